"""Accuracy of a demo checkpoint on held-out clips, and agreement with the Rust binary: python eval.py MODEL [--binary PATH].

heldout: clips of unseen seeds as H.264, VP9 and MPEG-4 files, one question of each type, at 4 to 110 frames; more clips for rare types.
pairs:   the same clips reversed, mirrored, and with red and blue swapped; the answer must change as the scene does.
lavfi:   squares moved by the ffmpeg command line over plain grounds.

With --binary the answers that count are the binary's own, and its token ids in f32 are compared with PyTorch's.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

import video
import scene as world
from model import IMAGE, DemoModel

FRAMES = (4, 8, 12, 16, 24, 32, 64, 110)
CLAIMED = tuple(world.ASK)


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


class Binary:
    """The Rust binary, asked in the background, one thread each."""

    def __init__(self, path, model, workers, stops):
        self.path, self.model, self.pool, self.stops = path, str(model), ThreadPoolExecutor(workers), stops
        self.asked, self.same, self.close, self.different = 0, 0, [], []

    def ask(self, clip, question, frames, placement):
        command = [
            self.path,
            "ask",
            str(clip),
            question,
            "--model",
            self.model,
            "--device",
            "cpu",
            "--dtype",
            "f32",
            "--json",
            "--frames",
            str(frames),
            "--time-instruction",
            placement or "none",
        ]
        env = os.environ | {"RAYON_NUM_THREADS": "1"}
        return self.pool.submit(subprocess.run, command, capture_output=True, text=True, env=env)

    def compare(self, asked, said):
        """What the binary answered; its ids are held against PyTorch's."""
        run, (text, ids, margin) = asked.result(), said
        got = json.loads(run.stdout) if run.returncode == 0 else {"answer": run.stderr, "token_ids": None}
        self.asked += 1
        # A program may leave out the id that ends an answer, but no other.
        if got["token_ids"] == ids or ids[-1] in self.stops and got["token_ids"] == ids[:-1]:
            self.same += 1
        else:
            (self.close if margin < 1e-3 else self.different).append((asked.about, text, got["answer"], f"margin {margin:.2g}"))
        return got["answer"]

    def show(self):
        differ = f"{len(self.close)} differ at a margin under 1e-3, {len(self.different)} differ"
        print(f"\nRust binary: {self.asked} asked, {self.same} with the same ids, {differ}")
        print(*self.close, *self.different, sep="\n")


class Answers:
    """Questions put to the model, and to the binary if there is one, until they are counted."""

    def __init__(self, model, binary):
        self.model, self.binary, self.asked = model, binary, []

    def ask(self, seen, clip, question, count, instruction, placement, is_right, *keys):
        said = self.model.answer(seen, question, instruction, placement == "inline")
        run = self.binary and self.binary.ask(clip, question, count, placement)
        if run:
            run.about = (clip.name, count, question)
        self.asked.append(((clip.name, count, question), said, run, is_right, keys))

    def tally(self):
        tally = Tally()
        for about, said, run, is_right, keys in self.asked:
            text = self.binary.compare(run, said) if run else said[0]
            tally.add(is_right(text), *keys)
            if not is_right(text):
                tally.wrong.append((*about, text))
        return tally


def heldout(model, args, binary):
    """One question of each type about each of args.clips files; then, of types that few clips allow, more clips up to args.least questions."""
    answers, folder, asked, questions, n = Answers(model, binary), args.clip_folder, Counter(), [], 0
    while rare := [kind for kind in CLAIMED if n < args.clips or asked[kind] < args.least]:
        rng = np.random.default_rng([900_000 + args.seed, n])
        count, codec = FRAMES[n % len(FRAMES)], list(video.CODECS)[n % len(video.CODECS)]
        while True:
            scene = world.sample_scene(rng)
            picked = video.sample(scene["frames"], count)
            if world.clear(scene, picked / scene["fps"]) and (n < args.clips or any(world.ask(rng, scene, kind) for kind in rare)):
                break
        clip = folder / f"{n:04d}-{codec}.{video.CODECS[codec][1]}"
        video.encode(world.render(scene), scene["fps"], codec, rng, path=clip)
        frames, rate = video.decode(clip)
        assert len(frames) == scene["frames"] and abs(rate - scene["fps"]) < 1e-6
        seen = model.watch(video.resize(frames[picked], IMAGE))
        for kind in map(str, rng.permutation(rare)):
            found = world.ask(rng, scene, kind)
            if not found:
                continue
            question, want = found
            placement = ("newline", "inline")[int(rng.integers(2))] if rng.random() < 0.2 else None
            instruction = video.time_instruction(len(frames), rate, picked) if placement else None
            keys = "all", f"type {kind}", f"codec {codec}", f"frames {count}"
            answers.ask(seen, clip, question, count, instruction, placement, want.__eq__, *keys)
            asked[kind] += 1
            questions.append({"clip": clip.name, "frames": count, "time_instruction": placement, "question": question, "answer": want})
        n += 1
    (folder / "questions.json").write_text(json.dumps(questions, indent=1) + "\n")
    tally = answers.tally()
    tally.show(f"Held-out clips: {args.clips}, and {n - args.clips} for types asked of less than {args.least} of them")
    if args.verbose:
        print(*tally.wrong, sep="\n")


def pairs(model, args):
    """Colour and direction of a clip and of its transforms."""
    tally = Tally()
    for n in range(args.clips // 2):
        rng = np.random.default_rng([800_000 + args.seed, n])
        scene = world.sample_scene(rng)
        picked = video.sample(scene["frames"], 16)
        if not world.clear(scene, picked / scene["fps"]):
            continue
        frames, _ = video.decode(video.encode(world.render(scene), scene["fps"], "h264", rng))
        frames = video.resize(frames, IMAGE)
        changed = {
            "as it is": (scene, frames),
            "reversed": (world.reverse(scene), frames[::-1]),
            "mirrored": (world.mirror(scene), frames[:, :, ::-1]),
            "red and blue swapped": (world.swap(scene), frames[..., ::-1]),
        }
        for name, (other, data) in changed.items():
            if other is None:
                continue
            seen = model.watch(data[picked])
            for kind in ("color", "direction"):
                found = world.ask(np.random.default_rng(n), other, kind)
                if found:
                    text, _, _ = model.answer(seen, found[0])
                    tally.add(text == found[1], f"{name}: {kind}")
    tally.show("Transforms")


def lavfi(model, args, binary):
    """Colour, direction and description of clips made by ffmpeg's own sources."""
    answers, ways = Answers(model, binary), {
        "right": ("20+50*t", "90"),
        "left": ("240-50*t", "90"),
        "down": ("130", "10+40*t"),
        "up": ("130", "170-40*t"),
    }
    tints, grounds = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "white"), ("gray", "black", "white", "blue")
    for n in range(32):
        way, tint, ground = list(ways)[n % 4], tints[n // 4], grounds[(n + n // 4) % 4]
        if tint == ground:
            ground = "gray"
        clip = args.clip_folder / f"lavfi-{n:02d}-{tint}-on-{ground}-{way}.mp4"
        x, y = ways[way]
        subprocess.run(
            [
                "ffmpeg",
                "-v",
                "error",
                "-y",
                "-f",
                "lavfi",
                "-i",
                f"color={ground}:s=320x240:r=25:d=4",
                "-f",
                "lavfi",
                "-i",
                f"color={tint}:s=60x60:r=25:d=4",
                "-filter_complex",
                f"overlay=x={x}:y={y}",
                "-c:v",
                "libx264",
                "-pix_fmt",
                "yuv420p",
                str(clip),
            ],
            check=True,
        )
        frames, _ = video.decode(clip)
        for count in (16, 110):
            seen = model.watch(video.resize(frames[video.sample(len(frames), count)], IMAGE))
            article = "An" if tint == "orange" else "A"
            for kind, question, want in (
                ("color", "What color is the square?", tint),
                ("direction", "Which direction does the square move?", way),
                ("describe", "describe this video", f"{article} {tint} square moves {way}. The background is plain {ground}."),
            ):
                answers.ask(seen, clip, question, count, None, None, want.__eq__, f"{kind}, {count} frames")
    tally = answers.tally()
    tally.show("Clips of the ffmpeg command line: 32")
    if args.verbose:
        print(*tally.wrong, sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--clips", type=int, default=306)
    parser.add_argument("--least", type=int, default=100, help="questions of each type")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("heldout", "pairs", "lavfi"))
    parser.add_argument("--binary", help="ask this llava-video, too, and count its answers")
    parser.add_argument("--workers", type=int, default=2, help="binaries at a time")
    parser.add_argument("--clip-folder", type=Path, help="keep the held-out clips and their questions.json here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="list wrong answers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = DemoModel.load(args.model)
    binary = Binary(args.binary, args.model, args.workers, model.stops) if args.binary else None
    with tempfile.TemporaryDirectory() as scratch:
        args.clip_folder = args.clip_folder or Path(scratch)
        args.clip_folder.mkdir(parents=True, exist_ok=True)
        if args.only in (None, "heldout"):
            heldout(model, args, binary)
        if args.only in (None, "pairs"):
            pairs(model, args)
        if args.only in (None, "lavfi"):
            lavfi(model, args, binary)
        if binary:
            binary.show()


if __name__ == "__main__":
    main()
