# shellcheck shell=bash
# Slurm's part of check-engines.sh: a cluster of this one machine, with its files in the temporary folder, and the array on
# it. A task of the array is killed, another is told to end as by `--signal`, and Slurm starts both again.
# shellcheck disable=SC2154 # variables of check-engines.sh

engine_slurm() {
	[ "$(id -u)" = 0 ] || { echo "Slurm's daemons are started by root only" && exit "$skipped"; }
	has slurmd slurmctld slurmd slurm-client munge
	has sbatch slurm-client
	export BATCH_OPTIONS="${options[*]}"
	begin slurm
	start_slurm
	trap stop_slurm EXIT

	local array=(--array=0-3 --cpus-per-task=1 --output="$OUT-%a.log") id merge
	id=$(sbatch --parsable "${array[@]}" "$examples/slurm-array.sbatch")
	merge=$(sbatch --parsable --dependency=afterany:"$id" --output="$OUT.log" \
		--wrap "llava-video batch merge $OUT/shard-*.jsonl --input $JOBS -o $OUT.jsonl")
	kill_one 20
	wait_for 60 is_running "${id}_1"
	wait_for 60 has_shard 1
	scancel --signal=TERM "${id}_1"
	wait_for 300 has_ended "$merge"
	[ "$(restarts "$id")" -ge 2 ] || { echo "Slurm has not started both tasks again" && exit 1; }
	[ "$(state "$merge")" = COMPLETED ] || { cat "$OUT".log && exit 1; }
	compare

	echo "  two tasks again"
	id=$(sbatch --parsable "${array[@]}" --array=1,3 --export=ALL,SHARDS=4 "$examples/slurm-array.sbatch")
	wait_for 60 has_ended "$id"
	[ "$(state "$id" | sort -u)" = COMPLETED ] || { tail "$OUT"-*.log && exit 1; }
	compare
	id=$(sbatch --parsable "${array[@]}" --array=1,3 "$examples/slurm-array.sbatch")
	wait_for 60 has_ended "$id"
	[ "$(state "$id" | sort -u)" = FAILED ] || { echo "a part of the array was taken for the whole" && exit 1; }
	grep -q 'auto/N' "$OUT-3.log"
}

# Processes are told apart by their parents, as without systemd there are no control groups for them; nothing is accounted.
start_slurm() {
	local etc=$work/slurm-etc host
	host=$(hostname -s)
	mkdir -p "$etc" "$work/state" "$work/spool"
	(umask 377 && head -c 128 /dev/urandom >"$etc/key")
	cat >"$etc/slurm.conf" <<-CONF
		ClusterName=check
		SlurmctldHost=$host(127.0.0.1)
		SlurmctldPort=$(free_port)
		SlurmdPort=$(free_port)
		SlurmUser=root
		SlurmdUser=root
		AuthType=auth/munge
		AuthInfo=socket=$etc/munge,cred_expire=5
		StateSaveLocation=$work/state
		SlurmdSpoolDir=$work/spool
		SlurmctldPidFile=$etc/slurmctld.pid
		SlurmdPidFile=$etc/slurmd.pid
		SlurmctldLogFile=$etc/slurmctld.log
		SlurmdLogFile=$etc/slurmd.log
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		SwitchType=switch/none
		MpiDefault=none
		JobAcctGatherType=jobacct_gather/none
		AccountingStorageType=accounting_storage/none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core
		SchedulerParameters=batch_sched_delay=1,sched_interval=2
		ReturnToService=2
		NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
		PartitionName=all Nodes=ALL Default=YES State=UP
	CONF
	export SLURM_CONF=$etc/slurm.conf
	munged --force --socket="$etc/munge" --key-file="$etc/key" --log-file="$etc/munged.log" \
		--pid-file="$etc/munged.pid" --seed-file="$etc/seed"
	slurmctld -f "$SLURM_CONF"
	slurmd -f "$SLURM_CONF"
	wait_for 60 is_up
}

stop_slurm() {
	scancel --user=root 2>/dev/null || true
	for daemon in slurmd slurmctld munged; do
		kill "$(cat "$work/slurm-etc/$daemon.pid")" 2>/dev/null || true
	done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
is_up() { [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; }
is_running() { [ "$(state "$1")" = RUNNING ]; }
has_shard() { [ -s "$OUT/shard-$1.jsonl" ]; }
has_ended() { ! squeue --noheader --jobs "$1" 2>/dev/null | grep -q .; }
state() { scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z]*\).*/\1/p'; }
restarts() { scontrol show job "$1" | sed -n 's/.*Restarts=\([0-9]*\).*/\1/p' | awk "{ sum += \$1 } END { print sum + 0 }"; }
