#!/usr/bin/env bash
# Makes the Debian package out of a leukd that is built already.
#
#   cargo build --release && packaging/deb.sh [--version VERSION] [--fast] [FOLDER]
#
# FOLDER (target/debian) gets leukd_VERSION_ARCHITECTURE.deb; its path is the last line. VERSION is Cargo.toml's with "-1"
# unless given; --fast packs less tightly. Needs cargo-deb (cargo install cargo-deb --locked), Python 3.11 and dpkg-dev. Everything but the program itself comes
# from the program (manual pages, completions) or from the repository, so that no two of them can disagree.
set -euo pipefail
cd "$(dirname "$0")/.."

version=
fast=()
while [ $# -gt 0 ]; do
    case $1 in
        --version) version=$2; shift 2 ;;
        --fast) fast=(--fast); shift ;;
        *) break ;;
    esac
done
out=${1:-target/debian}
parts=target/package
program=target/release/leukd

[ -x "$program" ] || { echo "deb.sh: there is no $program: cargo build --release" >&2; exit 66; }
cargo deb --version >/dev/null 2>&1 || { echo "deb.sh: cargo install cargo-deb --locked" >&2; exit 69; }
[ -n "$version" ] || version=$("$program" --version | awk '{ print $2 }')-1

rm -rf "$parts"
mkdir -p "$parts/man" "$out"
"$program" man --out "$parts/man"
for shell in bash zsh fish; do "$program" completions "$shell" >"$parts/leukd.$shell"; done
python3 packaging/dependencies.py "$parts" >&2

# The package's own list of changes has one entry: what changed stands in leukd's.
maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
printf 'leukd (%s) stable; urgency=medium\n\n  * What changed: /usr/share/doc/leukd/changelog.gz\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(date --utc --rfc-email --date="@$epoch")" >"$parts/changelog"

gzip -9n <CHANGELOG.md >"$parts/changelog.gz"

SOURCE_DATE_EPOCH=$epoch cargo deb --locked --offline --no-build -p leukd --deb-version "$version" --output "$out/" "${fast[@]}" | tail -n 1
