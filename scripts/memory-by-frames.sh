#!/bin/sh
# Shows that peak memory grows linearly with the number of frames, on a generated model of Qwen2-0.5B size in f32.
# usage: scripts/memory-by-frames.sh WORKDIR [FRAMES ...]   (needs 3 GB of disk, 5 GB of memory and GNU time)
# The tower has 2 of its 26 layers, which costs no memory per frame and saves most of the time.
set -eu
cd "$(dirname "$0")/.."
work=${1:?usage: scripts/memory-by-frames.sh WORKDIR [FRAMES ...]}
shift
[ $# -gt 0 ] || set -- 14 28 55 110
clip=tests/fixtures/clips/real/sk_bigbuckbunny.mp4

cargo build --release --locked --quiet --bin llava-video --example generate-checkpoint
[ -f "$work/model.safetensors" ] || target/release/examples/generate-checkpoint 0.5b "$work" --tower-layers 2

echo "frames positions peak_rss_mib prefill_secs"
for frames; do
	/usr/bin/time -f %M -o "$work/rss" target/release/llava-video ask "$clip" "What happens?" --model "$work" \
		--frames "$frames" --max-new-tokens 1 --device cpu --dtype f32 --quiet --json >"$work/record.json"
	positions=$(sed 's/.*"prompt_tokens":\([0-9]*\).*/\1/' "$work/record.json")
	prefill=$(sed 's/.*"prefill_secs":\([0-9.]*\).*/\1/' "$work/record.json")
	echo "$frames $positions $(($(cat "$work/rss") / 1024)) $prefill"
done
