#!/bin/sh
# On a machine with an NVIDIA GPU and a CUDA toolkit: the test suite's questions, prompts and scores on the GPU, its
# memory against the plan, and speeds under each switch of LLAVA_VIDEO_GPU. Ends with a report to paste into an issue,
# which also lies in target/test-cuda/report.md; exits with 1 if a step failed.
# usage: scripts/test-cuda.sh [--no-flash]
#
# Flash attention compiles for hours of processor time; --no-flash leaves it out, as a GPU before 8.0 has to.
# LLAVA_VIDEO_TEST_DEVICE names another device than `cuda`.
set -u
cd "$(dirname "$0")/.." || exit

features=cuda,flash-attn
case ${1:-} in
--no-flash) features=cuda ;;
"") ;;
*)
	sed -n 's/^# usage: /usage: /p' "$0" >&2
	exit 2
	;;
esac

export LLAVA_VIDEO_TEST_DEVICE="${LLAVA_VIDEO_TEST_DEVICE:-cuda}"
unset LLAVA_VIDEO_GPU
# Where the driver keeps what it compiles. Tests give the program homes of their own, and compiling takes 20 s.
export CUDA_CACHE_PATH="${CUDA_CACHE_PATH:-$HOME/.nv/ComputeCache}"
out=target/test-cuda
rm -rf "$out"
mkdir -p "$out"
steps=$out/steps
figures=$out/figures
: >"$steps"
: >"$figures"
failed=0

# step NAME COMMAND...: runs it, keeps what it prints, and notes the outcome and the time.
step() {
	name=$1
	shift
	echo "== $name: $*"
	began=$(date +%s)
	if "$@" >"$out/log" 2>&1; then result=passed; else result=FAILED && failed=1; fi
	secs=$(($(date +%s) - began))
	log=$out/$(echo "$name" | tr ' ' '-').log
	mv "$out/log" "$log"
	counts=$(sed -n 's/^test result: [^0-9]*\([0-9]* passed; [0-9]* failed\).*/\1/p' "$log" | paste -sd, -)
	echo "| $name | $result | ${counts:--} | $secs |" | tee -a "$steps"
}

# What a step printed of figures.
keep() {
	{
		echo
		echo "$1:"
		grep -E "$2" "$out/$(echo "$1" | tr ' ' '-').log" | sed 's/^/    /'
	} >>"$figures"
}

tests="cargo test --release --locked --features $features"
step "build" cargo build --release --locked --features "$features" --bins --tests --examples
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
program=$target/release/llava-video

# Over 5,000 positions, quantizations, two slots; memory against the plan; the upload through page-locked buffers.
step "gpu" $tests --test suite model::gpu -- --nocapture --test-threads 1
keep "gpu" 'relative error|differs'
step "memory" $tests --lib -- --nocapture --test-threads 1 memory::gpu_tests checkpoint::upload
keep "memory" 'planned'
# That counts what the whole process holds, and has run.
step "library" $tests --lib -- --skip memory::gpu_tests
step "suite" $tests --test suite
if [ "$features" = cuda,flash-attn ]; then
	step "suite without flash attention" env LLAVA_VIDEO_GPU=no-flash $tests --test suite model::
fi

# The 7B model with 4 of its layers: each switch alone, beside none.
bench="$program bench --device $LLAVA_VIDEO_TEST_DEVICE --size 7b-4-layers --frames 8 --prompt-tokens 2048,23127"
for switch in "" no-flash track-events return-memory pinned-upload; do
	name="bench${switch:+ $switch}"
	step "$name" env LLAVA_VIDEO_GPU="$switch" $bench
	keep "$name" '.'
done
step "bench q4_k" $bench --quantize q4_k
keep "bench q4_k" '.'

version() {
	sed -n "/^name = \"$1\"/{n;s/version = \"\(.*\)\"/$1 \1/p;}" Cargo.lock
}
{
	echo "**make test-cuda: $([ $failed = 0 ] && echo passed || echo FAILED)**"
	echo
	echo "$(git rev-parse --short HEAD 2>/dev/null || echo 'no git'), $(date -u +%F), features $features," \
		"CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-of this machine}"
	echo
	echo '```'
	rustc --version
	nvcc --version 2>/dev/null | tail -n 2
	nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total --format=csv 2>/dev/null
	for crate in candle-core candle-kernels candle-flash-attn cudarc; do version "$crate"; done
	"$program" doctor 2>&1
	echo '```'
	echo
	echo "| step | result | tests | seconds |"
	echo "| --- | --- | --- | --- |"
	cat "$steps"
	echo
	echo '```'
	cat "$figures"
	for log in "$out"/*.log; do
		grep -lE 'FAILED|panicked|^error' "$log" >/dev/null || continue
		echo
		echo "--- $log, its last lines"
		tail -n 40 "$log"
	done
	echo '```'
} >"$out/report.md"
echo
echo "---------- to paste into an issue, also in $out/report.md ----------"
cat "$out/report.md"
exit $failed
