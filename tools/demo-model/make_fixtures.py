"""Write the demo's test clips and their questions: python make_fixtures.py MODEL OUT. Needs a trained checkpoint to pick by.

Each clip is under 60 kB. Answers are what the scene says; a question is kept only where the model gives exactly that answer,
by a wide margin, so that a test can ask for it word for word. Kinds are spread evenly.
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
        if scene["w"] > 352 or events != (0, 1, 2, 2, 1)[made % 5] or not world.clear(scene, picked / scene["fps"]):
            continue
        path = args.out / f"clip{made + 1}-{codec}.{video.CODECS[codec][1]}"
        data = video.encode(world.render(scene), scene["fps"], codec, rng, quality=0.6)
        frames, rate = video.decode(data)
        if len(data) >= LIMIT or len(frames) != scene["frames"]:
            continue
        seen = model.watch(video.resize(frames[picked], IMAGE))
        chosen = []
        for kind in sorted(CLAIMED, key=lambda k: (used[k], rng.random())):
            found = world.ask(rng, scene, kind)
            if not found or kind == "when" and scene["dur"] / (count - 1) > 0.6:
                continue
            placement = ("newline", "inline")[made % 2] if kind == "when" else None
            instruction = video.time_instruction(len(frames), rate, picked) if placement else None
            text, ids, margin = model.answer(seen, found[0], instruction, placement == "inline")
            if text == found[1] and margin > MARGIN:
                chosen.append({"clip": path.name, "frames": count, "time_instruction": placement, "kind": kind,
                               "question": found[0], "answer": text, "token_ids": ids})
            if len(chosen) == PER_CLIP:
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
