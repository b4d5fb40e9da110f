#!/usr/bin/env bash
# Everything that a shipped model rests on, on a machine without a card: the model of all cells, the split by image and three
# folds by subject, each trained, made smaller and tested with one thread on a core of its own; then the pooled figures, and the
# bundle that carries them. After a stop (Ctrl-C, SIGTERM), and after a failure, the same command goes on.
#
#     shipped.sh OUT CELLS ID [flags of `leukd-train fit`]
#
# OUT      gets the runs NAME/, with NAME.log, NAME.onnx, NAME-forms/ and NAME-tested/, of everything, image, fold-1, fold-2 and
#          fold-3; by-subject/, by-image/; at last model.onnx
# CELLS    what --data takes; a pack (`leukd-train pack --size …`) starts fastest
# ID       the bundle's; the others get -NAME behind it
# LANES    how many at once: as many as there are cores
# PROGRAM  leukd-train: the one in target/release
# FOLDS    a table of folds by person, `train/protocol/folds.csv`; without it folds are drawn. REPEAT: which repeat of it, 1
# TARGETS  a folder with a teacher's targets for each training, NAME.csv (`leukd-train fit --targets`)
# ABOUT    the cells in words, with their source, for the cards; without it they tell where CELLS lay
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: shipped.sh OUT CELLS ID [flags of leukd-train fit]" >&2
    exit 64
fi
out=$1 cells=$2 id=$3
shift 3
program=${PROGRAM:-$(cd "$(dirname "$0")/../.." && pwd)/target/release/leukd-train}
if ! command -v "$program" > /dev/null; then
    echo "$program: no such program; cargo build --release -p leukd-train makes it, or name it by PROGRAM=" >&2
    exit 69
fi
lanes=${LANES:-$(nproc)}
mkdir -p "$out"
claimed=$(mktemp -d)
trap 'rm -rf "$claimed"' EXIT
workers=()
# A training keeps what it has when it is told to stop once, and ends at once when it is told twice. So each lane is a process
# group of its own, which neither Ctrl-C nor a signal to this script's group reaches: it is told here, and waited for.
stop() {
    trap '' TERM INT
    local worker
    for worker in "${workers[@]}"; do
        kill -TERM -- "-$worker" 2> /dev/null || true
    done
    wait
    exit 75
}
trap stop TERM INT

# In this order two lanes end at nearly the same time: a fold has three fifths of the cells of everything, the split by image three
# quarters.
names=(fold-1 everything fold-2 image fold-3)
declare -A sides=(
    [everything]="--protocol everything" [image]="--protocol image"
    [fold-1]="--fold 1" [fold-2]="--fold 2" [fold-3]="--fold 3"
)
if [ -n "${FOLDS:-}" ]; then
    for fold in 1 2 3; do
        sides[fold-$fold]="--fold-table $FOLDS --repeat ${REPEAT:-1} --fold $fold"
    done
fi

# The cores that this shell may use, a line each.
allowed() {
    local range
    for range in $(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status | tr , ' '); do
        seq "${range%-*}" "${range#*-}"
    done
}
mapfile -t cores < <(allowed)
[ "${#cores[@]}" -gt 0 ] || cores=(0)

one() {
    local name=$1
    local run=$out/$name
    # shellcheck disable=SC2206 # a flag and its value
    local side=(${sides[$name]})
    shift
    local begins=("$@") taught=()
    [ -z "${TARGETS:-}" ] || taught=(--targets "$TARGETS/$name.csv")
    # Who stands where must be said again to the other commands, and what the weights began as not to a run that goes on.
    local again=()
    while [ $# -gt 0 ]; do
        case $1 in
            --split-seed=* | --folds=* | --validate-on=*) side+=("$1") again+=("$1") ;;
            --split-seed | --folds | --validate-on)
                side+=("$1" "$2") again+=("$1" "$2")
                shift
                ;;
            --init=*) ;;
            --init) shift ;;
            *) again+=("$1") ;;
        esac
        shift
    done
    if [ -f "$run/checkpoint/run.toml" ] || [ -f "$run/checkpoint.old/run.toml" ]; then
        begins=(--resume "${again[@]}")
    fi
    # shellcheck disable=SC2086 # a flag and its value
    "$program" fit --data "$cells" --out "$run" ${sides[$name]} "${taught[@]}" "${begins[@]}"
    if [ ! -f "$run-forms/model.onnx" ]; then
        "$program" export "$run" --data "$cells" "${side[@]}" --weights f32 --id "$([ "$name" = everything ] && echo "$id" || echo "$id-$name")" \
            ${ABOUT:+--about-data "$ABOUT"} --out "$run.onnx"
        "$program" quantize "$run.onnx" --data "$cells" "${side[@]}" --out "$run-forms"
    fi
    if [ "$name" != everything ] && [ ! -f "$run-tested/report.html" ]; then
        "$program" evaluate "$run-forms/model.onnx" --data "$cells" "${side[@]}" --metrics "$run/metrics.jsonl" --out "$run-tested"
    fi
}

lane() {
    local core=$1 failed=0 name
    shift
    # Runs once the training that it waits for has ended.
    trap 'exit 75' TERM
    taskset -pc "$core" "$BASHPID" > /dev/null 2>&1 || echo "not pinned to core $core" >&2
    export RAYON_NUM_THREADS=1
    # glibc asks for large pages then; another C library knows nothing of it.
    export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
    for name in "${names[@]}"; do
        if mkdir "$claimed/$name" 2> /dev/null; then
            echo "$(date +%T) $name on core $core"
            # A shell of its own: `set -e` holds in no function whose status is asked for.
            set +e
            (trap 'exit 75' TERM; set -e; one "$name" "$@") >> "$out/$name.log" 2>&1
            local status=$?
            set -e
            echo "$(date +%T) $name: exit code $status; $out/$name.log"
            [ "$status" -eq 0 ] || failed=$status
        fi
    done
    return "$failed"
}

set -m
for ((at = 0; at < lanes; at++)); do
    lane "${cores[at % ${#cores[@]}]}" "$@" &
    workers+=($!)
done
set +m
failed=0
for worker in "${workers[@]}"; do
    wait "$worker" || failed=$?
done
[ "$failed" -eq 0 ] || exit "$failed"

"$program" pool "$out/fold-1-tested" "$out/fold-2-tested" "$out/fold-3-tested" --out "$out/by-subject"
"$program" pool "$out/image-tested" --out "$out/by-image"
"$program" ship "$out/everything-forms/model.onnx" --figures "$out/by-subject/pooled.json" \
    --figures "$out/by-image/pooled.json" --out "$out/model.onnx"
