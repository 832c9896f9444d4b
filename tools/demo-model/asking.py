"""Questions put to a checkpoint, to the Rust binary beside it, and the count of right answers."""

import json
import os
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


class Tally:
    """Counts of right answers, under several headings at once."""

    def __init__(self):
        self.counts = defaultdict(lambda: [0, 0])
        self.wrong = []

    def add(self, ok, *keys):
        for key in keys:
            self.counts[key][0] += ok
            self.counts[key][1] += 1

    def show(self, title):
        print(f"\n{title}\n| | right | asked | % |\n|---|---|---|---|")
        for key, (hits, asked) in sorted(self.counts.items(), key=lambda item: item[0].split()[0]):
            print(f"| {key} | {hits} | {asked} | {100 * hits / asked:.1f} |")


@dataclass
class Asked:
    """One question about one clip or picture: how it is asked, what the model said, and what counts as right."""

    clip: object  # its path
    question: str
    frames: int
    said: tuple  # text, ids, smallest margin
    answer: str
    keys: tuple
    placement: object = None  # of the time instruction
    run: object = None  # the binary's, to come

    def about(self):
        return self.clip.name, self.frames, self.question


class Binary:
    """The Rust binary, asked in the background, one thread each."""

    def __init__(self, path, model, workers, stops):
        self.path, self.model, self.pool, self.stops = path, str(model), ThreadPoolExecutor(workers), stops
        self.asked, self.same, self.close, self.different = 0, 0, [], []

    def ask(self, asked):
        command = [self.path, "ask", str(asked.clip), asked.question, "--model", self.model, "--device", "cpu"]
        command += ["--dtype", "f32", "--json"]
        if asked.clip.suffix != ".png":  # a picture is not sampled
            command += ["--frames", str(asked.frames), "--time-instruction", asked.placement or "none"]
        env = os.environ | {"RAYON_NUM_THREADS": "1"}
        return self.pool.submit(subprocess.run, command, capture_output=True, text=True, env=env)

    def compare(self, asked):
        """What the binary answered; its ids are held against PyTorch's."""
        run, (text, ids, margin) = asked.run.result(), asked.said
        got = json.loads(run.stdout) if run.returncode == 0 else {"answer": run.stderr, "token_ids": None}
        self.asked += 1
        # A program may leave out the id that ends an answer, but no other.
        if got["token_ids"] == ids or ids[-1] in self.stops and got["token_ids"] == ids[:-1]:
            self.same += 1
        else:
            found = (asked.about(), text, got["answer"], f"margin {margin:.2g}")
            (self.close if margin < 1e-3 else self.different).append(found)
        return got["answer"]

    def show(self):
        differ = f"{len(self.close)} differ at a margin under 1e-3, {len(self.different)} differ"
        print(f"\nRust binary: {self.asked} asked, {self.same} with the same ids, {differ}")
        print(*self.close, *self.different, sep="\n")


class Answers:
    """Questions put to the model, and to the binary if there is one, until they are counted."""

    def __init__(self, binary):
        self.binary, self.asked = binary, []

    def add(self, asked, to_binary=True):
        asked.run = self.binary.ask(asked) if self.binary and to_binary else None
        self.asked.append(asked)

    def tally(self):
        tally = Tally()
        for asked in self.asked:
            text = self.binary.compare(asked) if asked.run else asked.said[0]
            tally.add(text == asked.answer, *asked.keys)
            if text != asked.answer:
                tally.wrong.append((*asked.about(), text, asked.answer))
        return tally
