#!/bin/sh
# Compiles candle's CUDA kernels with NVIDIA's compiler from PyPI and type-checks the `cuda` feature against them, on a
# machine with neither a GPU nor a CUDA toolkit. Proves that the kernels compile, not that they run.
# usage: scripts/check-cuda-real.sh [WORKDIR]   (default target/check-cuda-real; 3 GB, about 12 minutes of processor time)
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-target/check-cuda-real}"
work=$(cd "${1:-target/check-cuda-real}" && pwd)
cuda="$work/python/nvidia/cu13"

# The wheels of CUDA 13 hold the whole compiler; those of 12 do not.
[ -x "$cuda/bin/nvcc" ] || python3 -m pip install --quiet --no-deps --target "$work/python" \
	nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
	nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 nvidia-curand==10.4.0.35
chmod +x "$cuda"/bin/* "$cuda"/nvvm/bin/*
[ -e "$cuda/lib64" ] || ln -s lib "$cuda/lib64"
[ -e "$cuda/lib/libcudart.so" ] || ln -s libcudart.so.13 "$cuda/lib/libcudart.so"

export PATH="$cuda/bin:$PATH" NVCC="$cuda/bin/nvcc" CUDA_HOME="$cuda" CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-80}"
export CUDAFORGE_THREADS="${CUDAFORGE_THREADS:-$(nproc)}"
nvcc --version | tail -n 2
CARGO_TARGET_DIR="$work/target" cargo check --locked --features cuda
