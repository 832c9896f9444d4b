"""Views to train on: of the rendered clips, cut, reversed, mirrored or swapped, and of clips only imagined."""

import json

import numpy as np

import video
from grid import IMAGE
from scene import clear, history, sample_scene
from transforms import mirror, reverse, swap, window

PICTURES = 4  # frames of a clip whose patches are kept, too


class Clips:
    """(scene, u8 frames) of every clip that make_data.py has written."""

    def __init__(self, folder):
        self.items = []
        for path in sorted(folder.glob("*.json")):
            data = np.memmap(path.with_suffix(".u8"), np.uint8, "r").reshape(-1, IMAGE, IMAGE, 3)
            start = 0
            for scene in json.loads(path.read_text()):
                self.items.append((scene, data[start : start + scene["frames"]]))
                start += scene["frames"]

    def stills(self, rng, count):
        """(scene, times, u8 frames) of count random frames of a clip."""
        scene, data = self.items[int(rng.integers(len(self.items)))]
        picked = rng.choice(scene["frames"], count, replace=False)
        times, frames = picked / scene["fps"], data[picked]
        if rng.random() < 0.5:
            scene, frames = mirror(scene), frames[:, :, ::-1]
        swapped = swap(scene) if rng.random() < 0.5 else None
        return (swapped, times, frames[..., ::-1]) if swapped else (scene, times, frames)


def wanted(rng, scene):
    """Whether to take a clip: those with events are preferred, above all those that need a memory, and those with
    two shapes."""
    kinds = {e["kind"] for _, e in history(scene)}
    if rng.random() > (1.0 if kinds & {"turn", "blink"} else 0.5 if kinds else 0.2):
        return False
    return len(scene["objects"]) > 1 or rng.random() < 0.5


def cut(rng, scene):
    """(scene of a part of it, first frame), or (None, 0) where that would cut an event."""
    if rng.random() < 0.6:
        return scene, 0
    total = int(rng.integers(max(16, scene["frames"] // 2), scene["frames"] + 1))
    first = int(rng.integers(scene["frames"] - total + 1))
    return window(scene, first, total), first


class Imagined:
    """Views of fresh scenes, without frames."""

    def view(self, rng, count):
        """(scene, frame indices, None), or None where they would not show what the scene says."""
        scene = sample_scene(rng)
        if not wanted(rng, scene):
            return None
        scene, _ = cut(rng, scene)
        picked = scene and video.sample(scene["frames"], count)
        return (scene, picked, None) if scene and clear(scene, picked / scene["fps"]) else None

    def still(self, rng, picture):
        """(scene, index of a frame, None)."""
        scene = sample_scene(rng)
        return scene, int(rng.integers(scene["frames"])), None


class Coded:
    """Views of the rendered clips, with the codes that the tower gives of their frames.

    cells: one array for each clip, [mirrored, swapped, F, 4, WIDTH]; patches: likewise of a few frames, [..,
    PICTURES, 36, WIDTH]."""

    def __init__(self, scenes, cells, patches):
        self.scenes, self.cells, self.patches = scenes, cells, patches

    def view(self, rng, count):
        """(scene, frame indices, codes of these frames), or None where they would not show what the scene says."""
        n = int(rng.integers(len(self.scenes)))
        if not wanted(rng, self.scenes[n]):
            return None
        scene, first = cut(rng, self.scenes[n])
        backward = rng.random() < 0.5
        scene, flip, exchange = changed(rng, reverse(scene) if scene and backward else scene)
        if not scene:
            return None
        picked = video.sample(scene["frames"], count)
        if not clear(scene, picked / scene["fps"]):
            return None
        at = first + (scene["frames"] - 1 - picked if backward else picked)
        return scene, picked, self.cells[n][flip, exchange][at]

    def still(self, rng, picture):
        """(scene, index of a frame, codes of its cells, or of its patches for a picture)."""
        n = int(rng.integers(len(self.scenes)))
        scene, flip, exchange = changed(rng, self.scenes[n])
        if picture:
            kept = int(rng.integers(PICTURES))
            at = int(video.sample(scene["frames"], PICTURES)[kept])
            return scene, at, self.patches[n][flip, exchange][kept : kept + 1]
        at = int(rng.integers(scene["frames"]))
        return scene, at, self.cells[n][flip, exchange][at : at + 1]


def changed(rng, scene):
    """(scene, mirrored, swapped), each of the two by chance."""
    flip, exchange = rng.random(2) < 0.5
    scene = mirror(scene) if scene and flip else scene
    swapped = swap(scene) if scene and exchange else None
    return swapped or scene, int(flip), int(swapped is not None)
