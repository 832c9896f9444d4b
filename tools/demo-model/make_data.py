"""Render, encode and read back clips to train on; keep their resized frames: python make_data.py STATE --clips N."""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

import video
from draw import render
from grid import IMAGE
from scene import history, sample_scene

SHARD = 100


def make_clip(rng, events):
    """(scene, decoded frames resized) of one random clip of at least so many events."""
    while True:
        scene = sample_scene(rng)
        if len(history(scene)) < events:
            continue
        codec = ("h264", "vp9", "mpeg4")[int(rng.choice(3, p=[0.45, 0.25, 0.3]))]
        frames, rate = video.decode(video.encode(render(scene), scene["fps"], codec, rng))
        if len(frames) == scene["frames"] and abs(rate - scene["fps"]) < 1e-3:
            return dict(scene, codec=codec), video.resize(frames, IMAGE)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--events", type=int, default=0, help="only clips of at least so many")
    args = parser.parse_args()
    folder = args.state / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(args.clips // SHARD):
        name = folder / f"s{args.seed:02d}-{shard:03d}"
        if name.with_suffix(".json").exists():
            continue
        start = time.time()
        rng = np.random.default_rng([args.seed, shard])
        scenes = []
        with open(name.with_suffix(".tmp"), "wb") as out:
            for _ in range(SHARD):
                while (args.state / "PAUSE").exists():
                    time.sleep(2)
                scene, frames = make_clip(rng, args.events)
                scenes.append(scene)
                out.write(frames.tobytes())
        os.replace(name.with_suffix(".tmp"), name.with_suffix(".u8"))
        name.with_suffix(".json").write_text(json.dumps(scenes))
        print(name.name, f"{time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
