#!/bin/bash
# GNU parallel keeps SLOTS shards running at a time, here or (with --sshloginfile) on other machines, and starts one that
# ends with anything but 0 again.
#
# JOBS=jobs.jsonl OUT=captions SHARDS=16 SLOTS=2 parallel-shards.sh [OPTIONS OF batch]
set -u

jobs=${JOBS:-jobs.jsonl} out=${OUT:-captions} shards=${SHARDS:-16} slots=${SLOTS:-2}
mkdir -p "$out"

# --retries: a killed shard goes on where it was. One that ends with 3 (finished, some inputs failed) runs again, too, but
#   tries only what may succeed now; add --max-errors 1% to batch, and 3 becomes 0 below that.
# --joblog, --resume-failed: after a stop, the same command runs only shards whose last exit code was not 0.
# --termseq: time for the answers that have begun, above --grace; parallel itself would kill after 0.4 seconds.
# GPUs: --device 'cuda:{= $_ = slot() - 1 =}' gives each slot one of its own.
seq 0 $((shards - 1)) | parallel --quote --jobs "$slots" --line-buffer --retries 3 --joblog "$out/joblog" --resume-failed \
	--termseq TERM,35000,KILL,1000 \
	llava-video batch --input "$jobs" --shard "{}/$shards" -o "$out/shard-{}.jsonl" "$@"

# Exit code 0: every input has its answer. 3: some failed or are missing.
llava-video batch merge "$out"/shard-*.jsonl --input "$jobs" -o "$out.jsonl" --force
