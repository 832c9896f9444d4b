"""Write the demo's test clips and their questions: python make_fixtures.py MODEL OUT. Needs a trained checkpoint to pick by.

Each clip is under 60 kB. Answers are what the scene says; a question is kept only where the model gives exactly that answer,
by a wide margin, so that a test can ask for it word for word. Kinds are spread evenly. The first three clips show one shape
that moves left or right in a colour that turns into another when red and blue are swapped: the tests turn them around.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

import video
import world
from eval import CLAIMED
from model import IMAGE, DemoModel

CLIPS, PER_CLIP, LIMIT, MARGIN = 9, 4, 60_000, 0.5
FRAMES = (16, 32, 24)
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
            text, ids, margin = model.answer(model.watch(video.resize(frames[video.sample(len(frames), 110)], IMAGE)), FIRST)
            if text != world.describe(scene) or margin < MARGIN:
                continue
            chosen.append(
                {
                    "clip": path.name,
                    "frames": 110,
                    "time_instruction": None,
                    "kind": "describe",
                    "question": FIRST,
                    "answer": text,
                    "token_ids": ids,
                }
            )
        for kind in sorted(CLAIMED, key=lambda k: (plain and k not in ("color", "direction"), used[k], rng.random())):
            found = world.ask(rng, scene, kind)
            if not found:
                continue
            placement = None if plain else (None, None, "newline", "inline")[len(chosen)]
            instruction = video.time_instruction(len(frames), rate, picked) if placement else None
            text, ids, margin = model.answer(seen, found[0], instruction, placement == "inline")
            if plain and kind in ("color", "direction") and not turns(model, video.resize(frames[picked], IMAGE), kind, *found):
                break
            if text == found[1] and margin > MARGIN:
                chosen.append(
                    {
                        "clip": path.name,
                        "frames": count,
                        "time_instruction": placement,
                        "kind": kind,
                        "question": found[0],
                        "answer": text,
                        "token_ids": ids,
                    }
                )
            if len(chosen) >= PER_CLIP:
                break
        if len(chosen) < PER_CLIP:
            continue
        path.write_bytes(data)
        entries += chosen
        used.update(e["kind"] for e in chosen)
        made += 1
    (args.out / "questions.json").write_text(json.dumps(entries, indent=1) + "\n")
    print(len(entries), "questions,", dict(used))


if __name__ == "__main__":
    main()
