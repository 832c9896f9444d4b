"""The rendered clips, and views of them: cut, reversed, mirrored or swapped, as the frozen tower sees them."""

import json

import numpy as np

import video
from grid import IMAGE
from scene import clear, history
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


def changed(scene):
    """The scene mirrored, and with red and blue swapped where that stays in the world."""
    scene = mirror(scene)
    return swap(scene) or scene


def changed_frames(scene, frames):
    """The frames of the changed scene."""
    frames = frames[:, :, ::-1]
    return frames[..., ::-1] if swap(scene) else frames


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


class Seen:
    """Views of the clips, with what the tower and the projector make of their frames.

    cells: for each clip as it is and changed, [F, CELLS * CELLS, width]; patches: likewise of a few frames, [PICTURES,
    SIDE * SIDE, width]."""

    def __init__(self, scenes, cells, patches):
        self.scenes, self.cells, self.patches = scenes, cells, patches

    def view(self, rng, count):
        """(scene, frame indices, cells of these frames), or None where they would not show what the scene says."""
        n = int(rng.integers(len(self.scenes)))
        if not wanted(rng, self.scenes[n]):
            return None
        scene, first = cut(rng, self.scenes[n])
        if scene is None:
            return None
        backward, second = rng.random() < 0.5, int(rng.random() < 0.5)
        scene = reverse(scene) if backward else scene
        scene = changed(scene) if second else scene
        picked = video.sample(scene["frames"], count)
        if not clear(scene, picked / scene["fps"]):
            return None
        at = first + (scene["frames"] - 1 - picked if backward else picked)
        return scene, picked, self.cells[n][second][at]

    def still(self, rng, picture):
        """(scene, index of a frame, its cells, or its patches for a picture)."""
        n, second = int(rng.integers(len(self.scenes))), int(rng.random() < 0.5)
        scene = changed(self.scenes[n]) if second else self.scenes[n]
        if picture:
            kept = int(rng.integers(PICTURES))
            at = int(video.sample(scene["frames"], PICTURES)[kept])
            return scene, at, self.patches[n][second][kept : kept + 1]
        at = int(rng.integers(scene["frames"]))
        return scene, at, self.cells[n][second][at : at + 1]
