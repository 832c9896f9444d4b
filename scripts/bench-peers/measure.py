#!/usr/bin/env python3
"""Runs our program and its rivals in turn, row by row, and writes the table.

Every run is one line of WORKDIR/results.jsonl; a later call measures only what is missing there for the same commit.
"""

import argparse
import os
import sys
from pathlib import Path

import machine
import report
from files import Files
from process import Failed, run
from results import BUSY_SHARE, Results
from rows import Row, all_rows
from side import Side

ROOT = Path(__file__).resolve().parents[2]
BUSY_SECS = 3
TIMEOUT_SECS = 3600


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, metavar="WORKDIR")
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="ROW,...", help="these rows alone")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each side, in turn (5)")
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--whole-7b", action="store_true", help="all layers of the 7B model: 24 GiB, 40 GB of disk")
    parser.add_argument("--busy-ok", action="store_true", help="measure beside other work, too; the table says so")
    parser.add_argument("--fresh", action="store_true", help="measure again what has been measured")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="put the table into this file")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and end")
    return parser.parse_args()


def warm(folder: Path) -> int:
    """Reads a checkpoint's weights into the page cache and counts their bytes."""
    count = 0
    for file in folder.glob("*.safetensors"):
        with file.open("rb", buffering=0) as opened:
            while part := opened.read(1 << 24):
                count += len(part)
    return count


def measure(row: Row, side: Side, files: Files) -> dict[str, object]:
    """One run of one side."""
    command = side.command(files, row.repeat)
    amount = warm(files.model(row.files_of)) / 1e9 if row.files_of else row.amount
    finished = run(command, files.work / "last-errors.log", TIMEOUT_SECS)
    try:
        reading = side.read(finished)
    except (KeyError, ValueError, IndexError) as error:
        raise Failed(f"{side.name} printed something else than expected: {error!r}") from error
    return {
        "seconds": reading.seconds,
        "amount": amount,
        "others_share": round(finished.others_share, 3),
        # Of ours the one without the probes of the machine, where it says so.
        "peak_rss_bytes": reading.facts.get("rss_bytes") or finished.peak_rss_bytes,
        "version": side.version(files) if side.version else reading.version,
        "facts": reading.facts,
        "command": [part.replace(str(files.work), "WORKDIR").replace(str(files.root), ".") for part in command],
    }


def measure_row(row: Row, files: Files, results: Results, args: argparse.Namespace) -> bool:
    """The rounds that are missing, each as a whole: its sides one after the other. False if a program failed."""
    succeeded = True
    for number in range(row.rounds or args.repeat):
        if results.has_round(row, number, args.busy_ok):
            continue
        results.drop_round(row, number)
        prompts = set()
        for side in row.sides:
            try:
                result = measure(row, side, files)
            except Failed as error:
                print(f"{row.key}: {error}", file=sys.stderr)
                succeeded = False
                continue
            results.add(row, number, side, result)
            value = f"{row.value(result['seconds'], result['amount']):.4g} {row.unit}"
            print(f"{row.key} {number + 1}: {side.name} {value}, others {result['others_share']:.0%}", flush=True)
            prompts.add(result["facts"].get("prompt_tokens"))
        if len(prompts) > 1:
            print(f"{row.key}: the prompts differ: {prompts}", file=sys.stderr)
            succeeded = False
    return succeeded


def main() -> int:
    args = arguments()
    rows = all_rows(args.whole_7b)
    if args.list:
        print("\n".join(f"{row.key:20} {row.work}" for row in rows))
        return 0
    unknown = set(args.only or []) - {row.key for row in rows}
    if unknown:
        sys.exit(f"error: no row is named {', '.join(sorted(unknown))}; --list names them")
    busy = machine.busy_share(BUSY_SECS)
    if busy > BUSY_SHARE and not args.busy_ok:
        sys.exit(f"error: {busy:.0%} of the machine is in use; wait, or pass --busy-ok")
    os.environ.update(OMP_NUM_THREADS=str(args.threads), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    files = Files(ROOT, args.work.resolve(), args.threads)
    place = {"commit": machine.commit(ROOT), "machine": machine.describe(), "threads": args.threads}
    wanted = [row for row in rows if not args.only or row.key in args.only]
    forgotten = {row.key for row in wanted} if args.fresh else set()
    results = Results(files.work / "results.jsonl", place, forgotten)
    succeeded = all([measure_row(row, files, results, args) for row in wanted])
    text = report.section(rows, results.records, place)
    (files.work / "table.md").write_text(text)
    if args.docs:
        report.insert(args.docs, text)
    print(text)
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
