#!/usr/bin/env bash
# leukd's pixels beside the reference readers', over the whole matrix; `run.sh --every 20` takes each 20th variant.
# Needs Python 3. cjpeg (libjpeg-turbo-progs) and tiff2rgba (libtiff-tools) add variants and libtiff's own reading
# where they are installed; what is skipped without them is said.
set -euo pipefail
cd "$(dirname "$0")/../../../.."
here=crates/leukd-cell/tests/reference
python=target/reference/bin/python
if ! "$python" -c 'import imagecodecs, numpy, PIL' 2>/dev/null; then
    if ! { python3 -m venv target/reference &&
        "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"; }; then
        echo "skipped: the packages of $here/requirements.txt do not install"
        exit 0
    fi
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" "$here/variants.py" "$folder" "$@"
# The whole workspace: another selection would compile the dependencies anew.
LEUKD_VARIANTS="$folder" cargo test --release --workspace --test differential -- --nocapture
