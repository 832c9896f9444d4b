#!/bin/bash
# GNU parallel keeps SLOTS workers alive, each with its model loaded once, and gives each the next line when it has room.
# Lines may as well come from another program: put `that | ` before `parallel`, and leave `<"$jobs"` out.
#
# JOBS=jobs.jsonl OUT=captions SLOTS=2 parallel-worker.sh [OPTIONS OF worker]
set -u

jobs=${JOBS:-jobs.jsonl} out=${OUT:-captions} slots=${SLOTS:-2}
mkdir -p "$out"

if ! ls "$out"/*.jsonl >/dev/null 2>&1; then
	# --round-robin -N1: line by line to the same few processes, instead of a new process for each block.
	# Each writes a file of its own: of a killed one, half a line may be left, which must not meet another's.
	# shellcheck disable=SC2016 # $0 and $@ are for the inner shell
	parallel --pipe --round-robin -N1 --quote --jobs "$slots" \
		sh -c 'exec llava-video worker "$@" >"$0"' "$out/worker-{#}.jsonl" "$@" <"$jobs"
fi
[ -e "$out.jsonl" ] || llava-video batch merge "$out"/*.jsonl --input "$jobs" -o "$out.jsonl"

# A killed worker's lines are nobody's, and a worker that is started again knows nothing of what is done. A batch does: the
# records are its own, if the options are the same, so it goes on with them. It loads the model only if something is left.
llava-video batch --input "$jobs" -o "$out.jsonl" "$@"
