#!/bin/bash
# Runs the examples of examples/cluster for real, by the demo model on small clips: under bash, GNU parallel, Slurm and Ray,
# each with a process killed by SIGKILL in the middle, and checks that no answer is lost, doubled or another than without
# a kill. The Kubernetes Job is validated against Kubernetes' schema, and its pods are played by this machine.
#
# scripts/check-engines.sh [--only bash|parallel|slurm|ray|kubernetes]
#
# Engines that are missing are installed: Debian packages as root, Python packages (800 MB) in target/check-engines. One
# that cannot be is skipped, which is said; at least one must have run. Slurm needs root, as it starts its daemons.
# LLAVA_VIDEO names another program than target/release/llava-video.
set -eu

cd "$(dirname "$0")/.."
root=$PWD
examples=$root/examples/cluster
venv=$root/target/check-engines/venv
skipped=77

engines=(bash parallel slurm ray kubernetes)
case ${1:-} in
'') ;;
--only)
	case " ${engines[*]} " in
	*" ${2:-} "*) engines=("$2") ;;
	*) echo "--only takes one of: ${engines[*]}" >&2 && exit 2 ;;
	esac
	;;
*) sed -n '/^# scripts/s/^# /usage: /p' "$0" >&2 && exit 2 ;;
esac

program=$(realpath "${LLAVA_VIDEO:-target/release/llava-video}")
[ -x "$program" ] || { echo "no program at $program: run make build" >&2 && exit 1; }

# Short, as paths of sockets are.
work=$(mktemp -d /tmp/engines.XXXX)
# In the environment of all that is started below, so that exactly that is found again.
export CHECK_ENGINES_RUN=$work
ours() { grep -lz "^CHECK_ENGINES_RUN=$work\$" /proc/[0-9]*/environ 2>/dev/null | grep -o '[0-9]*' | grep -vx "$$" || true; }
clean_up() {
	for pid in $(ours); do
		kill -KILL "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Before the program, a note of who runs it and for whom.
mkdir "$work/bin" "$work/clips"
cat >"$work/bin/llava-video" <<WRAPPER
#!/bin/sh
[ "\$1 \$2" = "batch merge" ] || echo "\$\$ \$PPID" >>"$work/started"
exec "$program" "\$@"
WRAPPER
chmod +x "$work/bin/llava-video"
export PATH=$work/bin:$PATH LLAVA_VIDEO_MODEL=demo

inputs=208
options=(--frames 8 --dtype f32 --cache off --quiet)
export JOBS=$work/jobs.jsonl
prepare() {
	local clips=("$root"/tests/fixtures/demo/clip*) i name
	for ((i = 0; i < inputs; i++)); do
		name=$(printf 'clip-%03d' "$i")
		ln -s "${clips[i % ${#clips[@]}]}" "$work/clips/$name"
		echo "{\"id\": \"$name\", \"video\": \"$work/clips/$name\", \"question\": \"describe this video\"}"
	done >"$JOBS"
	llava-video batch --input "$JOBS" -o "$work/whole.jsonl" "${options[@]}"
}

# has COMMAND PACKAGE...: the command, from these Debian packages where it is missing.
has() {
	local command=$1
	shift
	command -v "$command" >/dev/null && return
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
			>"$work/apt.log" 2>&1 || tail -n 3 "$work/apt.log"
	fi
	command -v "$command" >/dev/null && return
	echo "no $command, and it cannot be installed; on Debian, as root: apt-get install $*"
	exit $skipped
}

# python_has MODULE PACKAGE
python_has() {
	[ -x "$venv/bin/python" ] || python3 -m venv "$venv" || exit $skipped
	"$venv/bin/python" -c "import $1" 2>/dev/null || "$venv/bin/pip" install --quiet "$2" || exit $skipped
}

records() { cat "$OUT"/*.jsonl 2>/dev/null | wc -l; }

# wait_for SECONDS CONDITION...
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "waited in vain for: $*" && exit 1; }
		sleep 0.1
	done
}

has_records() { [ "$(records)" -ge "$1" ]; }

# begin NAME: a folder for the outputs that follow.
begin() {
	export OUT=$work/$1
	: >"$work/started"
	echo "- $1"
}

# kill_one RECORDS [parent]: when the outputs have so many records, SIGKILL for a process that writes them, or its parent.
kill_one() {
	local pid parent victim
	wait_for 300 has_records "$1"
	while read -r pid parent; do
		victim=$pid
		[ "${2:-}" != parent ] || victim=$parent
		if kill -0 "$pid" 2>/dev/null && kill -KILL "$victim" 2>/dev/null; then
			echo "  killed ${2:-process} with $(records) of $inputs records written"
			[ "$(records)" -lt $inputs ] || { echo "that was too late" && exit 1; }
			return
		fi
	done <"$work/started"
	echo "nobody to kill" && exit 1
}

nothing_runs() { ! ps -o args= -p "$(ours | paste -sd,)" 2>/dev/null | grep -q "^$program "; }

# compare: the joined output has what the uninterrupted run has, and no output has anything twice.
compare() {
	wait_for 20 nothing_runs
	python3 "$root/scripts/check-engines/same.py" "$work/whole.jsonl" "$OUT.jsonl" "$OUT"/*.jsonl
}

# during COMMAND...: what follows happens while it runs; `finish` waits for it.
during() {
	"$@" </dev/null >"$OUT.log" 2>&1 &
	running=$!
}
finish() { wait "$running" || { echo "exit code $?" && tail -n 20 "$OUT.log" && exit 1; }; }

# again COMMAND...: with everything done, the same command has nothing to do and nothing against that.
again() {
	during timeout --kill-after=10 120 "$@"
	finish
	compare
}

engine_bash() {
	for way in claims shards; do
		begin bash-$way
		during "$examples/bash-$way.sh" "${options[@]}"
		kill_one 20
		finish
		compare
		again "$examples/bash-$way.sh" "${options[@]}"
	done
}

engine_parallel() {
	has parallel parallel
	for way in shards worker; do
		begin parallel-$way
		export SHARDS=6
		during "$examples/parallel-$way.sh" "${options[@]}"
		kill_one 20
		finish
		compare
		again "$examples/parallel-$way.sh" "${options[@]}"
	done
}

engine_ray() {
	python_has ray.data 'ray[data]'
	begin ray
	# A home of its own, where Ray leaves a token; its processes are no nicer than others, or they wait on a busy machine.
	export RAY_TMPDIR=$work/r HOME=$work RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0
	mkdir -p "$RAY_TMPDIR"
	local command=("$venv/bin/python" "$examples/ray-data.py" --input "$JOBS" --output "$OUT" -- "${options[@]}")
	during "${command[@]}"
	kill_one 1
	kill_one 60 parent
	finish
	compare
	again "${command[@]}"
}

engine_kubernetes() {
	python_has kubernetes_validate kubernetes-validate
	"$venv/bin/python" "$root/scripts/check-engines/validate.py" "$examples/kubernetes-job.yaml"
	begin kubernetes
	mkdir "$OUT"
	during "$venv/bin/python" "$root/scripts/check-engines/play-job.py" "$examples/kubernetes-job.yaml" "$work" "$OUT" \
		"${options[@]}"
	kill_one 20
	finish
	compare
}

# shellcheck source=scripts/check-engines/slurm.sh
. scripts/check-engines/slurm.sh

prepare
ran=0 failed=() missing=()
for engine in "${engines[@]}"; do
	echo "$engine"
	code=0
	# Not as a condition, in which `set -e` would not hold.
	(engine_"$engine") &
	wait $! || code=$?
	case $code in
	0) ran=$((ran + 1)) ;;
	"$skipped") missing+=("$engine") ;;
	*) failed+=("$engine") ;;
	esac
done
echo "$ran ran, ${#missing[@]} skipped${missing:+ (${missing[*]})}, ${#failed[@]} failed${failed:+ (${failed[*]})}"
[ ${#failed[@]} = 0 ] && [ $ran -gt 0 ]
