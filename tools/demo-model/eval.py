"""Accuracy of a demo checkpoint on held-out clips: python eval.py MODEL [--binary PATH].

heldout: clips of unseen seeds as H.264, VP9 and MPEG-4 files, one question of each kind, at 4 to 110 frames; more clips
    for rare kinds; with every third clip a dialogue of three turns, the model's own answers put back.
pictures: single frames as PNG files and as one-frame views of the clip.
pairs: the same clips reversed, mirrored, and with red and blue swapped; the answer must change as the scene does.
lavfi: squares moved by the ffmpeg command line over plain grounds.

With --binary the answers that count are the Rust binary's own, and its token ids in f32 are compared with PyTorch's;
it has no dialogues to ask, so those are PyTorch's.
"""

import argparse
import json
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import checkpoint
import video
from asking import Answers, Asked, Binary, Tally
from draw import render
from options import ask_options
from questions import ASK, SEEN_ONCE, ask
from scene import clear, sample_scene
from transforms import mirror, reverse, still, swap

FRAMES = (4, 8, 12, 16, 24, 32, 64, 110)
KINDS = (*ASK, "options")


def question(rng, scene, kind):
    """A question of this kind, lettered options included, or None."""
    return ask_options(rng, scene) if kind == "options" else ask(rng, scene, kind)


def held_out_scene(rng, count, allowed):
    """(scene, picked) of a clip that count frames show, and that allows what is asked."""
    while True:
        scene = sample_scene(rng)
        picked = video.sample(scene["frames"], count)
        if clear(scene, picked / scene["fps"]) and allowed(scene):
            return scene, picked


def heldout(model, args, binary):
    """One question of each kind about each of args.clips files; then, of kinds that few clips allow, more clips up to
    args.least questions."""
    answers, counted, questions, n = Answers(binary), Counter(), [], 0
    while rare := [kind for kind in args.kinds if n < args.clips or counted[kind] < args.least]:
        rng = np.random.default_rng([900_000 + args.seed, n])
        count, codec = FRAMES[n % len(FRAMES)], list(video.CODECS)[n % len(video.CODECS)]
        any_rare = lambda scene: n < args.clips or any(question(rng, scene, kind) for kind in rare)
        scene, picked = held_out_scene(rng, count, any_rare)
        clip = args.clip_folder / f"{n:04d}-{codec}.{video.CODECS[codec][1]}"
        video.encode(render(scene), scene["fps"], codec, rng, path=clip)
        frames, rate = video.decode(clip)
        if len(frames) != scene["frames"] or abs(rate - scene["fps"]) > 1e-6:
            raise SystemExit(f"{clip}: {len(frames)} frames at {rate}, not {scene['frames']} at {scene['fps']}")
        seen = model.watch(video.resize(frames[picked], model.image))
        keys = "all", f"codec {codec}", f"frames {count}"
        for kind in map(str, rng.permutation(rare)):
            placement = ("newline", "inline")[int(rng.integers(2))] if kind == "time" or rng.random() < 0.2 else None
            asked = question(rng, scene, kind)
            if not asked:
                continue
            instruction = video.time_instruction(len(frames), rate, picked) if placement else None
            said = model.answer(seen, asked.text, instruction, placement == "inline")
            answers.add(Asked(clip, asked.text, count, said, asked.answer, (*keys, f"kind {kind}"), placement))
            counted[kind] += 1
            questions.append(
                {"clip": clip.name, "frames": count, "time_instruction": placement, "question": asked.text}
                | {"answer": asked.answer}
            )
        if n % 3 == 0 and n < args.clips:
            dialogue(model, rng, scene, picked, seen, clip, answers)
        n += 1
    (args.clip_folder / "questions.json").write_text(json.dumps(questions, indent=1) + "\n")
    tally = answers.tally()
    tally.show(f"Held-out clips: {args.clips}, and {n - args.clips} for kinds asked of less than {args.least} of them")
    listed(tally, args)


def dialogue(model, rng, scene, picked, seen, clip, answers):
    """Three turns about one clip; each sees the answers that the model gave before. The second and third count."""
    before = []
    while len(before) < 3:
        asked = question(rng, scene, str(rng.choice(KINDS)))
        if not asked or asked.text in [q for q, _ in before]:
            continue
        said = model.answer(seen, asked.text, before=before)
        if before:
            told = Asked(clip, asked.text, len(picked), said, asked.answer, ("all", "kind dialogue"))
            answers.add(told, to_binary=False)
        before.append((asked.text, said[0].strip()))


def pictures(model, args, binary):
    """What one frame can answer, asked of it as a picture and as a clip of one frame."""
    answers = Answers(binary)
    for n in range(args.clips // 2):
        rng = np.random.default_rng([600_000 + args.seed, n])
        scene = sample_scene(rng)
        at = int(rng.integers(scene["frames"]))
        shown = still(scene, at / scene["fps"])
        if shown is None:
            continue
        frame = render(scene)[at]
        file = args.clip_folder / f"{n:04d}.png"
        Image.fromarray(frame).save(file)
        small = video.resize(frame[None], model.image)
        for name, seen in (("picture", model.watch(small, picture=True)), ("one frame", model.watch(small))):
            for kind in (*SEEN_ONCE, "options"):
                asked = question(rng, shown, kind)
                if asked:
                    keys = (f"{name}: all", f"{name}: {kind}")
                    told = Asked(file, asked.text, 1, model.answer(seen, asked.text), asked.answer, keys)
                    answers.add(told, to_binary=name == "picture")
    tally = answers.tally()
    tally.show("Pictures")
    listed(tally, args)


def pairs(model, args):
    """Colour and direction of a clip and of its transforms."""
    tally = Tally()
    for n in range(args.clips // 2):
        rng = np.random.default_rng([800_000 + args.seed, n])
        scene = sample_scene(rng)
        picked = video.sample(scene["frames"], 16)
        if not clear(scene, picked / scene["fps"]):
            continue
        frames, _ = video.decode(video.encode(render(scene), scene["fps"], "h264", rng))
        frames = video.resize(frames, model.image)
        changed = {
            "as it is": (scene, frames),
            "reversed": (reverse(scene), frames[::-1]),
            "mirrored": (mirror(scene), frames[:, :, ::-1]),
            "red and blue swapped": (swap(scene), frames[..., ::-1]),
        }
        for name, (other, data) in changed.items():
            if other is None:
                continue
            seen = model.watch(data[picked])
            for kind in ("color", "direction"):
                asked = ask(np.random.default_rng(n), other, kind, plain=True)
                if asked:
                    tally.add(model.answer(seen, asked.text)[0] == asked.answer, f"{name}: {kind}")
    tally.show("Transforms")


WAYS = {"right": ("20+50*t", "90"), "left": ("240-50*t", "90"), "down": ("130", "10+40*t"), "up": ("130", "170-40*t")}
TINTS = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "white")


def lavfi(model, args, binary):
    """Colour, direction and description of clips made by ffmpeg's own sources."""
    answers, grounds = Answers(binary), ("gray", "black", "white", "blue")
    for n in range(32):
        way, tint, ground = list(WAYS)[n % 4], TINTS[n // 4], grounds[(n + n // 4) % 4]
        ground = "gray" if tint == ground else ground
        clip = args.clip_folder / f"lavfi-{n:02d}-{tint}-on-{ground}-{way}.mp4"
        source = lambda color, size: ["-f", "lavfi", "-i", f"color={color}:s={size}:r=25:d=4"]
        over = "overlay=x={}:y={}".format(*WAYS[way])
        command = ["ffmpeg", "-v", "error", "-y", *source(ground, "320x240"), *source(tint, "60x60")]
        command += ["-filter_complex", over, "-c:v", "libx264", "-pix_fmt", "yuv420p", str(clip)]
        subprocess.run(command, check=True)
        frames, _ = video.decode(clip)
        article = "An" if tint == "orange" else "A"
        for count in (16, 110):
            seen = model.watch(video.resize(frames[video.sample(len(frames), count)], model.image))
            for kind, text, want in (
                ("color", "What color is the square?", tint),
                ("color, spelt colour", "What colour is the square?", tint),
                ("direction", "Which direction does the square move?", way),
                (
                    "describe",
                    "describe this video",
                    f"{article} {tint} square moves {way}. The background is plain {ground}.",
                ),
            ):
                answers.add(Asked(clip, text, count, model.answer(seen, text), want, (f"{kind}, {count} frames",)))
    tally = answers.tally()
    tally.show("Clips of the ffmpeg command line: 32")
    listed(tally, args)


def listed(tally, args):
    if args.verbose:
        print(*tally.wrong, sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--clips", type=int, default=306)
    parser.add_argument("--least", type=int, default=100, help="questions of each kind")
    parser.add_argument(
        "--kinds", type=lambda text: tuple(text.split(",")), default=KINDS, help="only these, by commas"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("heldout", "pictures", "pairs", "lavfi"))
    parser.add_argument("--binary", help="ask this llava-video, too, and count its answers")
    parser.add_argument("--workers", type=int, default=2, help="binaries at a time")
    parser.add_argument("--clip-folder", type=Path, help="keep the held-out clips and their questions.json here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="list wrong answers, then what would have been right")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = checkpoint.load(args.model)
    binary = Binary(args.binary, args.model, args.workers, model.stops) if args.binary else None
    with tempfile.TemporaryDirectory() as scratch:
        args.clip_folder = args.clip_folder or Path(scratch)
        args.clip_folder.mkdir(parents=True, exist_ok=True)
        if args.only in (None, "heldout"):
            heldout(model, args, binary)
        if args.only in (None, "pictures"):
            pictures(model, args, binary)
        if args.only in (None, "pairs"):
            pairs(model, args)
        if args.only in (None, "lavfi"):
            lavfi(model, args, binary)
        if binary:
            binary.show()


if __name__ == "__main__":
    main()
