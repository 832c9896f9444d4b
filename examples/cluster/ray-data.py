"""Ray Data with actors: each keeps one `llava-video worker` alive, with the model loaded once.

    python ray-data.py --input jobs.jsonl --output captions --actors 2 -- [OPTIONS OF worker]

Needs `pip install "ray[data]"`. Runs on this machine, or on the cluster that RAY_ADDRESS names; there the clips, and the
program, are under the same paths on all nodes.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import threading
import time

import ray

ATTEMPTS = 3


class Worker:
    """An actor with a `llava-video worker` behind it, and another when that one dies."""

    def __init__(self, options):
        self.command = ["llava-video", "worker", *options]
        self.process = None

    def __call__(self, batch):
        """Adds the record of each line; where there is none, the row stays, with why."""
        lines = {json.loads(line)["id"]: str(line) for line in batch["line"]}
        records, error = {}, None
        for _ in range(ATTEMPTS):
            rest = {key: line for key, line in lines.items() if key not in records}
            if not rest:
                break
            error = self.ask(rest, records)
        return {
            "id": list(lines),
            "record": [records.get(key, "") for key in lines],
            "error": ["" if key in records else str(error) for key in lines],
        }

    def ask(self, lines, records):
        """Collects records, in whatever order they come, until all are there or the worker ends; then says how."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        worker = self.process
        # By a thread: a worker that has records to be read takes no more lines.
        writer = threading.Thread(target=write, args=(worker.stdin, lines.values()))
        writer.start()
        while any(key not in records for key in lines):
            record = worker.stdout.readline()
            # Half a line is what a killed worker leaves.
            if not record.endswith("\n"):
                writer.join()
                return f"the worker ended with {worker.wait()}"
            records[json.loads(record)["id"]] = record
        writer.join()
        return None


def write(stdin, lines):
    """Sends lines; a worker that has died is noticed by its output's end."""
    try:
        for line in lines:
            stdin.write(line + "\n")
        stdin.flush()
    except BrokenPipeError:
        pass


def answered(outputs):
    """The ids that earlier runs answered."""
    for output in outputs:
        for line in output.read_text().splitlines(keepends=True):
            if line.endswith("\n") and (record := json.loads(line))["status"] != "error":
                yield record["id"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder; the joined output lies beside it")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--gpus-per-actor", type=float, default=0)
    parser.add_argument("options", nargs="*", help="for the worker, behind --")
    args = parser.parse_args()

    args.output.mkdir(parents=True, exist_ok=True)
    done = set(answered(args.output.glob("*.jsonl")))
    # As text: columns would give each line the fields of all others.
    lines = [line for line in args.input.read_text().splitlines() if line.strip() and json.loads(line)["id"] not in done]
    rows = ray.data.from_items([{"line": line} for line in lines], override_num_blocks=max(1, len(lines) // 16))
    rows = rows.map_batches(
        Worker,
        fn_constructor_args=[args.options],
        batch_size=16,
        num_gpus=args.gpus_per_actor,
        compute=ray.data.ActorPoolStrategy(size=args.actors),
    )
    # A file for each run: one that was killed may leave half a line at its end.
    with (args.output / time.strftime("%Y%m%dT%H%M%S.jsonl")).open("x") as output:
        for row in rows.iter_rows():
            output.write(row["record"])
            if row["error"]:
                print(f"{row['id']}: {row['error']}", file=sys.stderr)

    merged = f"{args.output}.jsonl"
    outputs = map(str, sorted(args.output.glob("*.jsonl")))
    # 0: every input has its answer. 3: some failed or are missing; the same command goes on with these.
    merge = ["llava-video", "batch", "merge", *outputs, "--input", str(args.input), "-o", merged, "--force"]
    sys.exit(subprocess.run(merge).returncode)


if __name__ == "__main__":
    main()
