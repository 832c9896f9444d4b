"""Write a set in Video-MME's published format, about clips of the demo model's world: python make_video_mme.py OUT.

OUT/videomme/test-00000-of-00001.parquet has the published columns, OUT/videomme/data the clips, as `eval fetch` would
leave them; OUT/predictions.jsonl has the right letter of each row, from the scene, for `eval score`. No model has a say
in what is asked: the scenes are of seeds that nothing else here uses, and a question is left out only where the sampled
frames do not show its answer. As in the benchmark there are three questions about a clip and four options to each,
so the kinds that have fewer answers, yes or no and patterns, are not asked.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

import video
from draw import render
from options import LETTERS, offered, wrong_answers
from questions import ask
from scene import clear, sample_scene

CLIPS, PER_CLIP, OPTIONS, LIMIT_BYTES = 20, 3, 4, 25_000
FRAMES = (32, 110)  # how many frames must show what is asked
# Kinds of questions, and the benchmark's type of task that comes nearest.
TASKS = {
    "color": "Attribute Perception",
    "shape": "Object Recognition",
    "direction": "Action Recognition",
    "count": "Counting Problem",
    "event": "Temporal Perception",
    "background": "Spatial Perception",
}
COLUMNS = "video_id duration domain sub_category url videoID question_id task_type question options answer".split()


def scene_and_clip(number):
    """A scene and its file's bytes: small, and clear in as many frames as are taken of it."""
    codec = list(video.CODECS)[number % len(video.CODECS)]
    for attempt in range(10_000):
        rng = np.random.default_rng([500_000, number, attempt])
        scene = sample_scene(rng)
        if not all(clear(scene, video.sample(scene["frames"], count) / scene["fps"]) for count in FRAMES):
            continue
        data = video.encode(render(scene), scene["fps"], codec, rng, quality=0.6)
        if len(data) < LIMIT_BYTES and len(video.decode(data)[0]) == scene["frames"]:
            return rng, scene, data, video.CODECS[codec][1]
    raise SystemExit(f"no clip under {LIMIT_BYTES} bytes")


def asked_of(rng, scene, asked_before):
    """PER_CLIP questions of different kinds with options, (question, options, place of the right one) each; kinds that
    were asked least come first."""
    found = []
    for kind in sorted(TASKS, key=lambda kind: (asked_before[kind], rng.random())):
        asked = ask(rng, scene, kind, plain=True)
        wrong = wrong_answers(asked) if asked else []
        if len(wrong) < OPTIONS - 1:
            continue
        found.append((asked, *offered(rng, scene, asked, wrong, OPTIONS - 1)))
        if len(found) == PER_CLIP:
            return found
    raise SystemExit(f"a scene allows only {len(found)} questions")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    clips = args.out / "videomme/data"
    clips.mkdir(parents=True, exist_ok=True)
    rows, kinds, letters = [], Counter(), Counter()
    for number in range(CLIPS):
        rng, scene, data, suffix = scene_and_clip(number)
        name = f"demo-{number + 1:03d}"
        # The harness knows three endings, and FFmpeg looks at a file's content.
        (clips / f"{name}.{'mp4' if suffix == 'mp4' else 'mkv'}").write_bytes(data)
        for n, (asked, options, right) in enumerate(asked_of(rng, scene, kinds)):
            # Letters are right equally often: the right one changes places with another.
            place = min(range(OPTIONS), key=lambda place: (letters[place], rng.random()))
            options[right], options[place] = options[place], options[right]
            kinds[asked.kind] += 1
            letters[place] += 1
            lettered = [f"{letter}. {option}" for letter, option in zip(LETTERS, options)]
            about = (f"{number + 1:03d}", "short", "Film & Television", "Animation", "", name)
            asked = (f"{number + 1:03d}-{n + 1}", TASKS[asked.kind], asked.text, lettered, LETTERS[place])
            rows.append(dict(zip(COLUMNS, about + asked)))
    text = {"dtype": "string", "_type": "Value"}
    features = {name: {"feature": text, "_type": "Sequence"} if name == "options" else text for name in COLUMNS}
    kinds_of = {name: pyarrow.list_(pyarrow.string()) if name == "options" else pyarrow.string() for name in COLUMNS}
    schema = pyarrow.schema(kinds_of).with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    pyarrow.parquet.write_table(table, args.out / "videomme/test-00000-of-00001.parquet", compression="snappy")
    lines = [json.dumps({"row": row, "output": made["answer"]}) + "\n" for row, made in enumerate(rows)]
    (args.out / "predictions.jsonl").write_text("".join(lines))
    print(len(rows), "questions about", CLIPS, "clips,", dict(kinds), dict(letters))


if __name__ == "__main__":
    main()
