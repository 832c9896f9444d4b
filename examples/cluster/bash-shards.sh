#!/bin/bash
# A fixed share of the clips for each process. Needs nothing that the processes share but the list; where they run on
# several machines, give each machine some of the numbers, and merge at the end.
#
# JOBS=jobs.jsonl OUT=captions SHARDS=4 bash-shards.sh [OPTIONS OF batch]
set -u

jobs=${JOBS:-jobs.jsonl} out=${OUT:-captions} shards=${SHARDS:-4}
mkdir -p "$out"

# Background processes do not hear Ctrl-C; SIGTERM lets each finish the answers it has begun.
stopped=
pids=()
trap 'stopped=yes; kill -TERM "${pids[@]}" 2>/dev/null' INT TERM

for attempt in 1 2 3; do
	[ "$attempt" = 1 ] || echo "again, for what is missing or may succeed now" >&2
	pids=()
	for ((k = 0; k < shards; k++)); do
		# Goes on where it was; a share that is done ends before the model is loaded. With GPUs: --device "cuda:$k".
		llava-video batch --input "$jobs" --shard "$k/$shards" -o "$out/shard-$k.jsonl" "$@" &
		pids+=($!)
	done
	until wait; do :; done
	[ -z "$stopped" ] || exit 143

	# 0: every input has its answer. 3: some failed, or are missing because a process was killed.
	llava-video batch merge "$out"/shard-*.jsonl --input "$jobs" -o "$out.jsonl" --force
	code=$?
	[ $code = 3 ] || break
done
exit "$code"
