#!/usr/bin/env bash
# All runs that a shipped model rests on, on a machine with a time limit: three folds by subject, the split by image, and the
# model of all cells. Run it there, again and again with the same arguments, until it exits with 0; 75 says that some run is
# not over.
#
#     AT_ONCE=2 folds.sh RUNS MINUTES PROGRAM.xz CELLS.zip [flags of `leukd-train fit`]
#
# RUNS     kept on that machine between calls: RUNS/NAME is a run, RUNS/NAME-back what portion.sh brings back of it (45 MB each at
#          the end: copy them out in as many calls as it takes)
# AT_ONCE  runs side by side. Where the card's memory does not suffice, the runs that come last end at once: PERFORMANCE.md tells
#          what was measured.
#
# At home: put the pieces of each together, `leukd-train quantize` and `evaluate --out` them, then `pool` and `ship` (docs/models/shipping.md).
set -euo pipefail
runs=$1 minutes=$2 program=$3 cells=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$runs"
if [ ! -f "$cells" ]; then
    cat "$cells".?? > "$cells"
fi
one() {
    local name=$1 status=0
    local -A sides=(
        [fold-1]="--fold 1" [fold-2]="--fold 2" [fold-3]="--fold 3"
        [everything]="--protocol everything" [image]="--protocol image"
    )
    if [ -f "$runs/$name-back/done" ]; then
        return 0
    fi
    # shellcheck disable=SC2086 # a flag and its value
    bash "$here/portion.sh" "$runs/$name" "$minutes" "$runs/$name-back" "$program" "$cells" ${sides[$name]} "${@:2}" \
        > "$runs/$name.log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        touch "$runs/$name-back/done"
    fi
    echo "$name: exit code $status; $(tail -n 1 "$runs/$name.log")"
    return "$status"
}
worst=0
running=0
# A failure is told before a run that is merely not over.
keep() {
    if [ "$worst" -eq 0 ] || [ "$worst" -eq 75 ]; then
        worst=$1
    fi
}
# The folds first: a model of all cells is worth nothing without their figures.
for name in fold-1 fold-2 fold-3 everything image; do
    if [ "$running" -ge "${AT_ONCE:-2}" ]; then
        wait -n || keep $?
        running=$((running - 1))
    fi
    one "$name" "$@" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || keep $?
    running=$((running - 1))
done
exit "$worst"
