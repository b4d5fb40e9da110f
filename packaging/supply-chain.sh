#!/usr/bin/env bash
# What of others leukd is built from: licences, sources and bans, and the defects that are known. Asks no network; says what it could
# not look at.
#
#   cargo install cargo-deny --locked      licences, bans, sources; and defects, where there is a database
#   LEUKD_ADVISORY_DB=FOLDER               a clone of https://github.com/RustSec/advisory-db, for cargo audit
#                                          (cargo install cargo-audit --locked); cargo deny keeps its own (cargo deny fetch)
#
# Without any of these tests/machine/dependencies.rs still holds every licence against deny.toml.
set -euo pipefail
cd "$(dirname "$0")/.."

if cargo deny --version >/dev/null 2>&1; then
    cargo deny --offline check licenses bans sources
    if compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*/crates" >/dev/null; then
        cargo deny --offline check advisories
    else
        echo "known defects by cargo deny: skipped, there is no database (cargo deny fetch)"
    fi
else
    echo "licences, bans and sources by cargo deny: skipped, it is not installed"
fi

database=${LEUKD_ADVISORY_DB:-${CARGO_HOME:-$HOME/.cargo}/advisory-db}
if ! cargo audit --version >/dev/null 2>&1; then
    echo "known defects by cargo audit: skipped, it is not installed"
elif [ ! -d "$database/crates" ]; then
    echo "known defects by cargo audit: skipped, there is no database in $database (LEUKD_ADVISORY_DB)"
else
    cargo audit --no-fetch --stale --db "$database"
fi
