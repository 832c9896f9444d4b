"""Write the demo's test clips and their questions: python make_fixtures.py MODEL OUT. Needs a trained checkpoint to pick by.

Each clip is under 60 kB. Answers are what the scene says; a question is kept only where the model gives exactly that answer,
by a wide margin, so that a test can ask for it word for word. Kinds are spread evenly. The first three clips show one shape
that moves left or right in a colour that turns into another when red and blue are swapped: the tests turn them around.
The last clips show one shape in red or blue that moves to the right or left, and ask questions whose right answer is "no".
Questions about all clips are asked once more of 110 frames.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

import video
import scene as world
from eval import CLAIMED
from model import IMAGE, DemoModel

CLIPS, PER_CLIP, LIMIT, MARGIN = 9, 4, 60_000, 0.5
FRAMES = (16, 32, 24)
TURNED = (("red", "right"), ("blue", "right"), ("red", "left"), ("blue", "right"))  # colours and directions of the last clips
MANY, PER_CLIP_OF_MANY = 110, 1
FIRST = "describe this video"


PAIRS = ({"left": "right", "right": "left"}, world.SWAPPED)


def turned(answer, pairs):
    return " ".join(pairs.get(word, word) for word in answer.split(" "))


def can_be_turned(scene):
    """Whether it is one plain shape whose colour and direction both have a counterpart."""
    first = scene["objects"][0]
    return len(scene["objects"]) == 1 and not first["events"] and first["color"] in world.SWAPPED and world.heading(first) in PAIRS[0]


def turns(model, frames, kind, question, answer):
    """Whether the model's answer about the changed frames is the changed answer."""
    changes = {"direction": ((frames[::-1], PAIRS[0]), (frames[:, :, ::-1], PAIRS[0])), "color": ((frames[..., ::-1], PAIRS[1]),)}
    whole = not any(word in question for word in ("first", "last", "start", "end"))
    return whole and all(model.answer(model.watch(changed), question)[0] == turned(answer, pairs) for changed, pairs in changes[kind])


def entry(path, count, placement, kind, question, said):
    text, ids, _ = said
    return {
        "clip": path.name,
        "frames": count,
        "time_instruction": placement,
        "kind": kind,
        "question": question,
        "answer": text,
        "token_ids": ids,
    }


def turned_clips(model, out, made):
    """Clips of one shape in red or blue that moves right or left, each with two questions to be answered with no."""
    entries, seed = [], 0
    for color, way in TURNED:
        count, codec = FRAMES[made % 3], list(video.CODECS)[made % 3]
        while True:
            seed += 1
            rng = np.random.default_rng([710_000, seed])
            scene = world.sample_scene(rng)
            first, picked = scene["objects"][0], video.sample(scene["frames"], count)
            if scene["w"] > 352 or not can_be_turned(scene) or (first["color"], world.heading(first)) != (color, way):
                continue
            if not world.clear(scene, picked / scene["fps"]):
                continue
            path = out / f"clip{made + 1}-{codec}.{video.CODECS[codec][1]}"
            data = video.encode(world.render(scene), scene["fps"], codec, rng, quality=0.6)
            frames, _ = video.decode(data)
            if len(data) >= LIMIT // 2 or len(frames) != scene["frames"]:
                continue
            shown = video.resize(frames[picked], IMAGE)
            seen, chosen = model.watch(shown), {}
            for kind in ("color", "direction", "yesno", "yesno"):
                for _ in range(40):
                    question, want = world.ask(rng, scene, kind) or (None, None)
                    said = question and question not in chosen and model.answer(seen, question)
                    right = said and said[0] == want and said[2] > MARGIN and (kind != "yesno" or want == "no")
                    if right and (kind == "yesno" or turns(model, shown, kind, question, want)):
                        chosen[question] = entry(path, count, None, kind, question, said)
                        break
            if len(chosen) == PER_CLIP:
                break
        path.write_bytes(data)
        entries += chosen.values()
        made += 1
    return entries


def of_many_frames(model, out, entries):
    """Some of the questions asked of 110 frames, where the model gives the same right answer."""
    many, used = [], Counter(e["answer"] for e in entries if e["frames"] == MANY)
    for name in dict.fromkeys(e["clip"] for e in entries):
        frames, _ = video.decode((out / name).read_bytes())
        seen, found = model.watch(video.resize(frames[video.sample(len(frames), MANY)], IMAGE)), 0
        candidates = [e for e in entries if e["clip"] == name and e["frames"] != MANY and not e["time_instruction"]]
        for asked in sorted(candidates, key=lambda e: used[e["answer"]]):
            said = model.answer(seen, asked["question"])
            if said[0] == asked["answer"] and said[2] > MARGIN:
                many.append(entry(out / name, MANY, None, asked["kind"], asked["question"], said))
                used[asked["answer"]] += 1
                found += 1
            if found == PER_CLIP_OF_MANY:
                break
    return many


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = DemoModel.load(args.model)
    used, entries, made, seed = Counter(), [], 0, 0
    while made < CLIPS:
        seed += 1
        rng = np.random.default_rng([700_000, seed])
        scene = world.sample_scene(rng)
        count, codec = FRAMES[made % 3], list(video.CODECS)[made % 3]
        picked = video.sample(scene["frames"], count)
        events = len(world.history(scene))
        plain = made < 3
        if (
            scene["w"] > 352
            or (not can_be_turned(scene) if plain else events != (1, 2, 2)[made % 3])
            or not world.clear(scene, picked / scene["fps"])
        ):
            continue
        path = args.out / f"clip{made + 1}-{codec}.{video.CODECS[codec][1]}"
        data = video.encode(world.render(scene), scene["fps"], codec, rng, quality=0.6)
        frames, rate = video.decode(data)
        if len(data) >= LIMIT or len(frames) != scene["frames"]:
            continue
        seen = model.watch(video.resize(frames[picked], IMAGE))
        chosen = []
        if made == 0:  # the first is also the clip of `make demo`, described as a newcomer asks
            said = model.answer(model.watch(video.resize(frames[video.sample(len(frames), MANY)], IMAGE)), FIRST)
            if said[0] != world.describe(scene) or said[2] < MARGIN:
                continue
            chosen.append(entry(path, MANY, None, "describe", FIRST, said))
        for kind in sorted(CLAIMED, key=lambda k: (plain and k not in ("color", "direction"), used[k], rng.random())):
            found = world.ask(rng, scene, kind)
            if not found:
                continue
            placement = None if plain else (None, None, "newline", "inline")[len(chosen)]
            instruction = video.time_instruction(len(frames), rate, picked) if placement else None
            said = model.answer(seen, found[0], instruction, placement == "inline")
            if plain and kind in ("color", "direction") and not turns(model, video.resize(frames[picked], IMAGE), kind, *found):
                break
            if said[0] == found[1] and said[2] > MARGIN:
                chosen.append(entry(path, count, placement, kind, found[0], said))
            if len(chosen) >= PER_CLIP:
                break
        if len(chosen) < PER_CLIP:
            continue
        path.write_bytes(data)
        entries += chosen
        used.update(e["kind"] for e in chosen)
        made += 1
    entries += turned_clips(model, args.out, made)
    entries += of_many_frames(model, args.out, entries)
    (args.out / "questions.json").write_text(json.dumps(entries, indent=1) + "\n")
    print(len(entries), "questions,", dict(Counter(e["kind"] for e in entries)))


if __name__ == "__main__":
    main()
