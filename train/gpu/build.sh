#!/usr/bin/env bash
# Builds leukd-train for NVIDIA cards and packs it: train/gpu/out/leukd-train.xz. Takes half an hour on two cores.
# Where the LLVM that cubecl asks for cannot be downloaded, name a stand-in crate for it:
#     CUBECL_LLVM=path/to/cubecl-llvm bash train/gpu/build.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
stand_in=()
if [ -n "${CUBECL_LLVM:-}" ]; then
    stand_in=(--config "patch.crates-io.cubecl-llvm.path=\"$CUBECL_LLVM\"")
fi
# The CUDA version whose functions are called: that of the driver there, or an older one.
CUDARC_CUDA_VERSION="${CUDARC_CUDA_VERSION:-13000}" cargo build --release -p leukd-train --features cuda \
    --target-dir target/gpu "${stand_in[@]}"
mkdir -p train/gpu/out
cp target/gpu/release/leukd-train train/gpu/out/leukd-train
strip train/gpu/out/leukd-train
xz --force --threads=0 train/gpu/out/leukd-train
ls -l train/gpu/out
