#!/bin/sh
# Compiles candle's CUDA kernels with NVIDIA's compiler from PyPI for the compute capabilities of docs/gpu.md from 8.0
# on, on a machine with neither a GPU nor a CUDA toolkit, and type-checks the `cuda` feature against those of the first.
# Proves that the kernels compile, not that they run.
# usage: scripts/check-cuda-real.sh [--flash-attn] [--only CAPABILITY] [WORKDIR]
#
# WORKDIR is target/check-cuda-real by default and takes 3 GB. --only takes one capability, such as 90. --flash-attn
# compiles flash attention, too, which takes hours on two cores and fetches CUTLASS from GitHub.
set -eu
cd "$(dirname "$0")/.."

capabilities="80 86 89 90 120"
flash=
while [ $# -gt 0 ]; do
	case $1 in
	--flash-attn) flash=yes ;;
	--only)
		capabilities=${2:?a capability}
		shift
		;;
	-*)
		sed -n 's/^# usage: /usage: /p' "$0" >&2
		exit 2
		;;
	*) break ;;
	esac
	shift
done
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

export PATH="$cuda/bin:$PATH" NVCC="$cuda/bin/nvcc" CUDA_HOME="$cuda"
export CUDAFORGE_HOME="$work/cudaforge" CUDAFORGE_THREADS="${CUDAFORGE_THREADS:-$(nproc)}"
nvcc --version | tail -n 2

# The kernels alone, of the versions of our lock file: all of candle anew for each capability would take far longer.
version() {
	sed -n "/^name = \"$1\"/{n;s/version = \"\(.*\)\"/\1/p;}" Cargo.lock
}
mkdir -p "$work/kernels/src"
: >"$work/kernels/src/lib.rs"
cat >"$work/kernels/Cargo.toml" <<TOML
[package]
name = "kernels"
version = "0.0.0"
edition = "2024"

[features]
flash-attn = ["dep:candle-flash-attn"]

[dependencies]
candle-kernels = "=$(version candle-kernels)"
candle-flash-attn = { version = "=$(version candle-flash-attn)", optional = true }

[workspace]
TOML
cp Cargo.lock "$work/kernels/Cargo.lock"
for capability in $capabilities; do
	began=$(date +%s)
	# Build scripts ask the environment, and one folder each lets an interrupted run go on.
	CUDA_COMPUTE_CAP=$capability CARGO_TARGET_DIR="$work/kernels-$capability" \
		cargo check --quiet --manifest-path "$work/kernels/Cargo.toml" ${flash:+--features flash-attn}
	echo "compute capability $capability: the kernels compile ($(($(date +%s) - began)) s)"
done

export CUDA_COMPUTE_CAP="${capabilities%% *}"
CARGO_TARGET_DIR="$work/target" cargo check --locked --features "cuda${flash:+,flash-attn}"
