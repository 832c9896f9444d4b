#!/bin/sh
# Type-checks the `cuda` and `flash-attn` features on a machine without a CUDA toolkit: a stand-in for nvcc answers the build scripts with
# empty kernels, and only Rust is compiled. Says nothing about whether kernels compile or run.
# usage: scripts/check-cuda.sh [WORKDIR]   (default target/check-cuda; about two minutes on 2 cores)
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-target/check-cuda}/bin"
work=$(cd "${1:-target/check-cuda}" && pwd)

cat >"$work/bin/nvcc" <<'NVCC'
#!/bin/sh
# What build scripts ask nvcc for, answered without compiling.
output=
directory=.
sources=
mode=object
while [ $# -gt 0 ]; do
	case $1 in
	--version)
		echo "nvcc: NVIDIA (R) Cuda compiler driver"
		echo "Cuda compilation tools, release 13.0, V13.0.0"
		exit
		;;
	--list-gpu-code | --list-gpu-arch)
		printf 'sm_80\nsm_90\n'
		exit
		;;
	-o) output=$2 && shift ;;
	--output-directory) directory=$2 && shift ;;
	--ptx | -ptx) mode=ptx ;;
	--lib | -lib) mode=archive ;;
	*.cu | *.o) sources="$sources $1" ;;
	esac
	shift
done
case $mode in
ptx)
	for source in $sources; do
		: >"${output:-$directory/$(basename "${source%.cu}").ptx}"
	done
	;;
archive) rm -f "$output" && ar crs "$output" $sources ;;
object) cc -c -x c /dev/null -o "$output" ;;
esac
NVCC
chmod +x "$work/bin/nvcc"

# The build of candle-flash-attn asks git for CUTLASS at one commit: a checkout that is there already, and empty.
flash_attn=$(cargo metadata --locked --format-version 1 --features flash-attn |
	sed 's/.*"manifest_path":"\([^"]*candle-flash-attn[^"]*\)\/Cargo.toml".*/\1/')
cutlass=$(grep -o '[0-9a-f]\{40\}' "$flash_attn/build.rs" | head -n 1)
checkout="$work/cudaforge/git/checkouts/cutlass-$(echo "$cutlass" | cut -c 1-16)"
mkdir -p "$checkout/include" "$checkout/tools/util/include"
git=$(command -v git)
cat >"$work/bin/git" <<GIT
#!/bin/sh
case "\$1 \$2 \$PWD" in
"rev-parse HEAD "*/cutlass-*) echo $cutlass ;;
*) exec $git "\$@" ;;
esac
GIT
chmod +x "$work/bin/git"

export CUDAFORGE_HOME="$work/cudaforge"
export PATH="$work/bin:$PATH" NVCC="$work/bin/nvcc" CUDA_HOME="$work" CUDARC_CUDA_VERSION=13000 CUDA_COMPUTE_CAP=80
CARGO_TARGET_DIR="$work/target" cargo check --locked --all-targets --features cuda,flash-attn
