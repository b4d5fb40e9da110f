#!/usr/bin/env bash
# One portion of a training on a machine with a time limit. Run it there, again and again with the same arguments, until it
# exits with 0; 75 says that the run is not over.
#
#     portion.sh RUN MINUTES BACK PROGRAM.xz CELLS.zip [flags of `leukd-train fit`]
#
# RUN     the run's folder, kept on that machine between portions (weights, moments and averages of B3 are 170 MB)
# BACK    a folder that is brought back: metrics after each portion; at the end the f32 bundle in pieces of 15 MB
#         (`cat model-f32.onnx.?? > model-f32.onnx`), from which `leukd-train quantize` and `evaluate` go on
# ABOUT   the cells in words, with their source, for the card; without it that tells where CELLS lay
# CELLS   what `leukd-train pack` wrote, whole or in pieces CELLS.zip.aa, CELLS.zip.ab, … (`split -b 30M`)
set -euo pipefail
run=$1 minutes=$2 back=$3 program=$4 cells=$5
shift 5
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
xz --decompress --stdout "$program" > "$here/leukd-train"
chmod +x "$here/leukd-train"
# Kernels are compiled and tuned once a machine.
export CUBECL_AUTOTUNE_LEVEL="${CUBECL_AUTOTUNE_LEVEL:-minimal}" CUDA_PATH="${CUDA_PATH:-/usr/local/cuda}"
if [ ! -f "$cells" ]; then
    cat "$cells".?? > "$cells"
fi
begins=("$@")
if [ -d "$run/checkpoint" ] || [ -d "$run/checkpoint.old" ]; then
    # A run that goes on has its weights.
    begins=(--resume)
    for ((at = 1; at <= $#; at++)); do
        case ${!at} in
            --init=*) ;;
            --init) at=$((at + 1)) ;;
            *) begins+=("${!at}") ;;
        esac
    done
fi
mkdir -p "$back"
status=0
"$here/leukd-train" fit --data "$cells" --out "$run" --max-minutes "$minutes" "${begins[@]}" || status=$?
cp "$run"/metrics.jsonl "$back"/ 2>/dev/null || true
if [ "$status" -ne 0 ]; then
    exit "$status"
fi
# Who stands where must be said again: only those flags of `fit` mean something to `export`.
sides=()
while [ $# -gt 0 ]; do
    case $1 in
        --protocol=* | --folds=* | --fold=* | --hold-out=* | --validate-on=* | --test-fold=* | --split=* | --split-seed=*)
            sides+=("$1")
            shift
            ;;
        --protocol | --folds | --fold | --hold-out | --validate-on | --test-fold | --split | --split-seed)
            sides+=("$1" "$2")
            shift 2
            ;;
        *) shift ;;
    esac
done
"$here/leukd-train" export "$run" --data "$cells" --weights f32 ${ABOUT:+--about-data "$ABOUT"} --out "$here/model-f32.onnx" "${sides[@]}"
split -b 15M "$here/model-f32.onnx" "$back/model-f32.onnx."
