#!/bin/sh
# Peak memory of quantizing at load, by format, as a table: scripts/memory-by-quantization.sh WORKDIR [SIZE].
# The weights are zeros of the real names and shapes, which take no disk space and the same memory as any others.
# Needs target/release/llava-video, the example generate-checkpoint, and GNU time.
set -eu

[ $# -ge 1 ] || { echo "usage: $0 WORKDIR [0.5b|7b|72b]" >&2; exit 2; }
model=$1/sparse-${2:-7b}
[ -d "$model" ] || target/release/examples/generate-checkpoint "${2:-7b}" "$model" --sparse

echo "| format | peak RSS, MB |"
echo "| --- | --- |"
for format in q8_0 q6_k q5_k q4_k; do
    peak=$(/usr/bin/time -f %M target/release/llava-video ask --no-video "Why?" --model "$model" --device cpu \
        --max-new-tokens 2 --quantize "$format" 2>&1 >/dev/null | tail -n 1)
    echo "| $format | $((peak * 1024 / 1000000)) |"
done
