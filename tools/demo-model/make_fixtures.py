"""Write the demo's test clips and their questions: python make_fixtures.py MODEL OUT. A trained checkpoint picks them.

Each clip is under 60 kB. Answers are what the scene says; a question is kept only where the model gives exactly that
answer, by a wide margin, so that a test can ask for it word for word. The first clips show one plain shape whose
colour and direction both have a counterpart: the tests turn them around, and the first of all is the clip of `make
demo`. The others are taken as long as they add something that no question holds yet: a kind, a colour, a direction,
yes, no, a letter, a way of typing. Every clip is described, and asked once more, with 110 frames. What the model never
answers right is named in the end, and nothing is written. Clips that OUT has stay, with those of their questions that
the model still answers so.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

import checkpoint
import video
from draw import render
from eval import KINDS, question
from options import LETTERS
from questions import STILL, ask
from scene import COLORS, DIRECTIONS, SWAPPED, clear, heading, history, sample_scene

PLAIN = (("cyan", "left"), ("red", "right"), ("blue", "left"), ("yellow", "up"), ("red", "down"))  # of the first clips
PER_CLIP, LIMIT_BYTES, MARGIN, MOST = 5, 60_000, 0.5, 40
FRAMES, MANY = (16, 32, 24), 110
FIRST = "describe this video"
TYPED = {  # how people type, and whether a question is typed so
    "colour": lambda text: "colour" in text,
    "what's": lambda text: "what's " in text.lower(),
    "small letters without a mark": lambda text: text.islower() and text[-1].isalpha(),
}
PAIRS = ({"left": "right", "right": "left"}, {"up": "down", "down": "up"}, SWAPPED)


def wanted(kinds):
    """All that the questions together have to hold: (kind, answer), or (kind, None) for any answer; ("typed", way)."""
    needs = {(kind, None) for kind in kinds}
    needs |= {("color", color) for color in COLORS} | {("direction", way) for way in (*DIRECTIONS, STILL)}
    needs |= {("yesno", answer) for answer in ("yes", "no")} | {("options", letter) for letter in LETTERS[:4]}
    return {(kind, answer) for kind, answer in needs if kind in kinds} | {("typed", way) for way in TYPED}


def typed(text):
    """The ways in which a question is typed, of those that are wanted."""
    return {("typed", way) for way, is_so in TYPED.items() if is_so(text)}


def exchanged(answer, pairs):
    return " ".join(pairs.get(word, word) for word in answer.split(" "))


def turns_around(model, frames, asked):
    """Whether the model's answer about the changed frames is the changed answer."""
    backward, mirrored, swapped = frames[::-1], frames[:, :, ::-1], frames[..., ::-1]
    both_ways = PAIRS[0] | PAIRS[1]
    changes = {"direction": ((backward, both_ways), (mirrored, PAIRS[0])), "color": ((swapped, PAIRS[2]),)}[asked.kind]
    said = [(model.answer(model.watch(data), asked.text)[0], exchanged(asked.answer, pairs)) for data, pairs in changes]
    return all(got == want for got, want in said)


class Clip:
    """A clip that may be taken, and what the model says about it."""

    def __init__(self, model, rng, scene, number):
        self.model, self.rng, self.scene = model, rng, scene
        codec = list(video.CODECS)[number % 3]
        self.name = f"clip{number + 1}-{codec}.{video.CODECS[codec][1]}"
        self.data = video.encode(render(scene), scene["fps"], codec, rng, quality=0.6)
        self.frames, self.rate = video.decode(self.data)
        self.count = FRAMES[number % 3]
        self.shown = {n: video.resize(self.frames[self.picked(n)], model.image) for n in (self.count, MANY)}
        self.seen = {n: model.watch(shown) for n, shown in self.shown.items()}

    def picked(self, count):
        return video.sample(len(self.frames), count)

    def fits(self):
        return len(self.data) < LIMIT_BYTES and len(self.frames) == self.scene["frames"]

    def entry(self, asked, count, placement=None):
        """The question as the tests read it, or None where the model does not answer it right and surely."""
        picked = self.picked(count)
        instruction = video.time_instruction(len(self.frames), self.rate, picked) if placement else None
        text, ids, margin = self.model.answer(self.seen[count], asked.text, instruction, placement == "inline")
        if text != asked.answer or margin < MARGIN:
            return None
        told = {"clip": self.name, "frames": count, "time_instruction": placement, "kind": asked.kind}
        return told | {"question": asked.text, "answer": text, "token_ids": ids}

    def plain_entries(self):
        """Description, colour and direction of one plain shape, that turn around as they must; None where one does
        not."""
        out = []
        for kind in ("color", "direction"):
            asked = ask(self.rng, self.scene, kind, plain=True)
            whole = asked and not any(word in asked.text for word in ("first", "last", "start", "end"))
            if not whole or not turns_around(self.model, self.shown[self.count], asked):
                return None
            out.append(self.entry(asked, self.count))
        described = ask(self.rng, self.scene, "describe", plain=True)
        described.text = FIRST
        out.insert(0, self.entry(described, MANY))
        return out if all(out) else None

    def entries(self, kinds, missing):
        """Right answers to questions, those first that hold what is missing."""
        out, texts = [], set()
        for kind in sorted(kinds, key=lambda k: (not any(k == need[0] for need in missing), self.rng.random())):
            for _ in range(6):
                placement = (None, None, "newline", "inline")[int(self.rng.integers(4))] or (
                    "newline" if kind == "time" else None
                )
                asked = question(self.rng, self.scene, kind)
                new = asked and asked.text not in texts and gains(kind, asked.answer, asked.text) & missing
                found = new and self.entry(asked, self.count, placement)
                if found:
                    texts.add(asked.text)
                    out.append(found)
                    missing = missing - gains(kind, asked.answer, asked.text)
        return out[:PER_CLIP]

    def of_many_frames(self, entries):
        """The clip's description, and one of the entries, asked of 110 frames."""
        described = ask(self.rng, self.scene, "describe", plain=True)
        described.text = FIRST
        out = [self.entry(described, MANY)] if all(one["question"] != FIRST for one in entries) else []
        for found in entries:
            if found["frames"] != MANY and not found["time_instruction"] and found["kind"] != "time":
                text, ids, margin = self.model.answer(self.seen[MANY], found["question"])
                if text == found["answer"] and margin > MARGIN:
                    out.append(found | {"frames": MANY, "token_ids": ids})
                    break
        return [one for one in out if one]


def plain(scene, color, way):
    first = scene["objects"][0]
    return len(scene["objects"]) == 1 and not first["events"] and (first["color"], heading(first)) == (color, way)


def held(entries):
    """What these questions hold of what is wanted."""
    return {need for one in entries for need in gains(one["kind"], one["answer"], one["question"])}


def gains(kind, answer, text):
    """What of it one question holds."""
    return {(kind, None), (kind, answer)} | typed(text)


def kept(model, folder):
    """The questions of a folder that the model answers as they say, by a wide margin, with its own ids."""
    file, out = folder / "questions.json", []
    if not file.exists():
        return out
    seen = {}
    for one in json.loads(file.read_text()):
        frames, rate = video.decode(folder / one["clip"])
        picked, placement = video.sample(len(frames), one["frames"]), one["time_instruction"]
        key = one["clip"], one["frames"]
        if key not in seen:
            seen[key] = model.watch(video.resize(frames[picked], model.image))
        told = video.time_instruction(len(frames), rate, picked) if placement else None
        text, ids, margin = model.answer(seen[key], one["question"], told, placement == "inline")
        if text == one["answer"] and margin >= MARGIN:
            out.append(one | {"token_ids": ids})
        else:
            print("left out:", one["clip"], one["question"], "-", text)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--kinds", type=lambda text: tuple(text.split(",")), default=KINDS, help="those the model knows"
    )
    args = parser.parse_args()
    model = checkpoint.load(args.model)
    entries = kept(model, args.out)
    made, missing, seed = [], wanted(args.kinds) - held(entries), 0
    there = len({one["clip"] for one in entries})
    plain_ones = () if there else PLAIN
    while (missing or len(made) < len(plain_ones)) and seed < 20_000 and len(made) < MOST:
        seed += 1
        rng = np.random.default_rng([700_000, seed])
        scene, number = sample_scene(rng), there + len(made)
        times = video.sample(scene["frames"], FRAMES[number % 3]) / scene["fps"]
        first = number < len(plain_ones)
        fits = plain(scene, *PLAIN[number]) if first else history(scene) or number % 3 == 0
        if scene["w"] > 352 or not fits or not clear(scene, times):
            continue
        clip = Clip(model, rng, scene, number)
        if not clip.fits():
            continue
        found = clip.plain_entries() if first else []
        if found is None:
            continue
        found += clip.entries(args.kinds, missing)
        if len(found) < (3 if first else 1):
            continue
        found += clip.of_many_frames(found)
        made.append(clip)
        entries += found
        missing -= held(found)
    if missing or len(made) < len(plain_ones):
        raise SystemExit(f"{len(made)} clips found, and none for {sorted(missing, key=str)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for clip in made:
        (args.out / clip.name).write_bytes(clip.data)
    (args.out / "questions.json").write_text(json.dumps(entries, indent=1) + "\n")
    print(len(made), "clips,", len(entries), "questions,", dict(Counter(one["kind"] for one in entries)))


if __name__ == "__main__":
    main()
