#!/bin/bash
# Processes that each take the next clip that is free. Start it on one machine or, with OUT on a disk that all of them
# see, on many: at any time, as processes may join and leave, and what a killed one had in hand goes to the others.
#
# JOBS=jobs.jsonl OUT=captions PROCESSES=2 bash-claims.sh [OPTIONS OF batch]
set -u

jobs=${JOBS:-jobs.jsonl} out=${OUT:-captions} processes=${PROCESSES:-2}
mkdir -p "$out"

# Background processes do not hear Ctrl-C; SIGTERM lets each finish the answers it has begun.
stopped=
pids=()
trap 'stopped=yes; kill -TERM "${pids[@]}" 2>/dev/null' INT TERM

for ((i = 0; i < processes; i++)); do
	# Each has an output of its own, with the same name the next time. With GPUs: --device "cuda:$i".
	llava-video batch --input "$jobs" --claim "$out/claims" -o "$out/$(hostname)-$i.jsonl" "$@" &
	pids+=($!)
done
until wait; do :; done
[ -z "$stopped" ] || exit 143

# Exit code 0: every input has its answer. 3: some failed or are missing; start again for those.
llava-video batch merge "$out"/*.jsonl --input "$jobs" -o "$out.jsonl" --force
