"""Accuracy of a demo checkpoint on held-out clips, and agreement with the Rust binary: python eval.py MODEL [--binary PATH].

heldout: clips of unseen seeds as H.264, VP9 and MPEG-4 files, several questions each, at 6 to 110 frames.
pairs:   the same clips reversed, mirrored, and with red and blue swapped; the answer must change as the scene does.
lavfi:   squares moved by the ffmpeg command line over plain grounds.
"""
import argparse
import json
import re
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

import video
import world
from model import IMAGE, DemoModel

FRAMES = (4, 8, 12, 16, 24, 32, 64, 110)
CLAIMED = tuple(kind for kind in world.ASK if kind != "choice")


def right(kind, got, want, scene, question):
    if kind != "when":
        return got == want
    number = re.fullmatch(r"at (\d+\.\d) seconds", got)
    return bool(number) and abs(float(number[1]) - world.event_time(scene, question)) <= 0.5


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
        for key, (hits, asked) in self.counts.items():
            print(f"| {key} | {hits} | {asked} | {100 * hits / asked:.1f} |")


class Binary:
    """Runs the Rust binary on a file and compares with what torch said."""

    def __init__(self, path, model):
        self.path, self.model = path, model
        self.asked, self.same, self.close, self.different = 0, 0, [], []

    def check(self, clip, question, frames, placement, text, ids, margin):
        command = [self.path, "ask", str(clip), question, "--model", str(self.model), "--device", "cpu", "--dtype", "f32", "--json", "--frames", str(frames)]
        run = subprocess.run(command + (["--time-instruction", placement] if placement else []), capture_output=True, text=True)
        self.asked += 1
        got = json.loads(run.stdout) if run.returncode == 0 else {"token_ids": None, "error": run.stderr[-300:]}
        if isinstance(got, list):
            got = got[0]
        if got["token_ids"] in (ids, ids[:-1]):
            self.same += 1
        else:
            (self.close if margin < 1e-3 else self.different).append((str(clip), question, frames, text, got, margin))

    def show(self):
        print(f"\nRust binary: {self.asked} asked, {self.same} with the same ids, {len(self.close)} differ at a margin under 1e-3, {len(self.different)} differ")
        for item in self.close + self.different:
            print(item)


def heldout(model, args, binary):
    """Several questions about each of args.clips files."""
    tally, folder = Tally(), args.clip_folder
    for n in range(args.clips):
        rng = np.random.default_rng([900_000 + args.seed, n])
        count, codec = FRAMES[n % len(FRAMES)], list(video.CODECS)[n % len(video.CODECS)]
        while True:
            scene = world.sample_scene(rng)
            picked = video.sample(scene["frames"], count)
            if world.clear(scene, picked / scene["fps"]):
                break
        clip = folder / f"{n:04d}-{codec}.{video.CODECS[codec][1]}"
        video.encode(world.render(scene), scene["fps"], codec, rng, path=clip)
        frames, rate = video.decode(clip)
        assert len(frames) == scene["frames"] and abs(rate - scene["fps"]) < 1e-6
        seen = model.watch(video.resize(frames[picked], IMAGE))
        compared = 0
        kinds = [k for k in CLAIMED if k != "when" or scene["dur"] / (count - 1) <= 0.6]
        for kind in rng.permutation(kinds):
            found = world.ask(rng, scene, str(kind))
            if not found:
                continue
            question, want = found
            placement = ("newline", "inline")[int(rng.integers(2))] if kind == "when" or rng.random() < 0.2 else None
            instruction = video.time_instruction(len(frames), rate, picked) if placement else None
            text, ids, margin = model.answer(seen, question, instruction, placement == "inline")
            ok = right(kind, text, want, scene, question)
            tally.add(ok, "all", f"type {kind}", f"codec {codec}", f"frames {count}")
            if not ok:
                tally.wrong.append((clip.name, count, question, want, text))
            if binary and compared < args.per_clip:
                binary.check(clip, question, count, placement, text, ids, margin)
                compared += 1
    tally.show(f"Held-out clips: {args.clips}")
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
        changed = {"as it is": (scene, frames), "reversed": (world.reverse(scene), frames[::-1]), "mirrored": (world.mirror(scene), frames[:, :, ::-1]),
                   "red and blue swapped": (world.swap(scene), frames[..., ::-1])}
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
    """Colour, direction and shape of clips made by ffmpeg's own sources."""
    tally, ways = Tally(), {"right": ("20+50*t", "90"), "left": ("240-50*t", "90"), "down": ("130", "10+40*t"), "up": ("130", "170-40*t")}
    tints, grounds = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "white"), ("gray", "black", "white", "blue")
    for n in range(32):
        way, tint, ground = list(ways)[n % 4], tints[n // 4], grounds[(n + n // 4) % 4]
        if tint == ground:
            ground = "gray"
        clip = args.clip_folder / f"lavfi-{n:02d}.mp4"
        x, y = ways[way]
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"color={ground}:s=320x240:r=25:d=4", "-f", "lavfi", "-i", f"color={tint}:s=60x60:r=25:d=4",
                        "-filter_complex", f"overlay=x={x}:y={y}", "-c:v", "libx264", "-pix_fmt", "yuv420p", str(clip)], check=True)
        frames, _ = video.decode(clip)
        for count in (16, 110):
            seen = model.watch(video.resize(frames[video.sample(len(frames), count)], IMAGE))
            for kind, question, want in (("color", "What color is the square?", tint), ("direction", "Which direction does the square move?", way),
                                         ("describe", "describe this video", f"{'An' if tint == 'orange' else 'A'} {tint} square moves {way}. The background is plain {ground}.")):
                text, ids, margin = model.answer(seen, question)
                tally.add(text == want, f"{kind}, {count} frames")
                if text != want and args.verbose:
                    print(tint, ground, way, count, question, "->", text)
                if binary:
                    binary.check(clip, question, count, None, text, ids, margin)
    tally.show("ffmpeg lavfi clips")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--clips", type=int, default=306)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("heldout", "pairs", "lavfi"))
    parser.add_argument("--binary", help="compare token ids with this llava-video")
    parser.add_argument("--per-clip", type=int, default=2, help="questions of a held-out clip asked of the binary too")
    parser.add_argument("--clip-folder", type=Path, help="keep the clips here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="list wrong answers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = DemoModel.load(args.model)
    binary = Binary(args.binary, args.model) if args.binary else None
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
