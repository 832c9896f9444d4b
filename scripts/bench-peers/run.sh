#!/bin/sh
# Our program against PyTorch and llama.cpp on this machine's processor, as a table.
#
# scripts/bench-peers/run.sh [WORKDIR] [--only ROW,...] [--repeat N] [--threads N] [--busy-ok] [--docs FILE] ...
#
# WORKDIR (target/bench-peers) keeps the rivals, the model files and the results, about 25 GB. A run that was stopped
# goes on where it was. `measure.py --help` says what the flags do.
set -eu

cd "$(dirname "$0")/../.."
work=target/bench-peers
case ${1:-} in
'' | -*) ;;
*)
	work=$1
	shift
	;;
esac

case " $* " in
*' --help '* | *' --list '*) ;;
*)
	scripts/bench-peers/setup.sh "$work" || exit
	cargo build --release --locked --quiet --bins --examples
	;;
esac
exec python3 -B scripts/bench-peers/measure.py "$work" "$@"
