#!/bin/sh
# Perplexity of a text under a model as it is and in every quantization, as a table:
# scripts/perplexity-by-quantization.sh MODEL TEXT [CONTEXT]. Needs target/release/llava-video and jq.
set -eu

[ $# -ge 2 ] || { echo "usage: $0 MODEL TEXT [CONTEXT]" >&2; exit 2; }
model=$1 text=$2 context=${3:-512}

echo "| weights | perplexity | nats a token | tokens |"
echo "| --- | --- | --- | --- |"
for format in "" q8_0 q6_k q5_k q4_k; do
    target/release/llava-video score --text-only "$text" --model "$model" --context "$context" --json \
        ${format:+--quantize "$format"} |
        jq -r --arg format "${format:-as they are}" '"| \($format) | \(.perplexity) | \(.mean_nats) | \(.predicted_tokens) |"'
done
