"""The rendered clips, and views of them: cut, reversed, mirrored or swapped."""

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


class Views:
    """Views of clips of these scenes. A subclass says what frames are in a clip (frames) and alone (picture); shows is
    their name in a batch."""

    def __init__(self, scenes):
        self.scenes = scenes

    def view(self, rng, count):
        """(scene, frame indices, these frames), or None where they would not show what the scene says."""
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
        return scene, picked, self.frames(n, second, first + (scene["frames"] - 1 - picked if backward else picked))

    def still(self, rng, picture):
        """(scene, index of a frame, that frame, as it is in a clip or as a picture)."""
        n, second = int(rng.integers(len(self.scenes))), int(rng.random() < 0.5)
        scene = changed(self.scenes[n]) if second else self.scenes[n]
        if picture:
            kept = int(rng.integers(PICTURES))
            return scene, int(video.sample(scene["frames"], PICTURES)[kept]), self.picture(n, second, kept)
        at = int(rng.integers(scene["frames"]))
        return scene, at, self.frames(n, second, np.array([at]))


class Seen(Views):
    """A frame is what the tower and the projector make of it.

    cells: for each clip as it is and changed, [F, CELLS * CELLS, width]; patches: likewise of a few frames, [PICTURES,
    SIDE * SIDE, width]."""

    shows = "cells"

    def __init__(self, scenes, cells, patches):
        super().__init__(scenes)
        self.cells, self.patches = cells, patches

    def frames(self, n, second, at):
        return self.cells[n][second][at].astype(np.float32)

    def picture(self, n, second, kept):
        return self.patches[n][second][kept : kept + 1].astype(np.float32)


class Films(Views):
    """A frame is its pixels, u8 [S, S, 3]."""

    shows = "frames"

    def __init__(self, clips):
        super().__init__([scene for scene, _ in clips.items])
        self.clips = clips

    def frames(self, n, second, at):
        scene, frames = self.clips.items[n]
        return np.array(changed_frames(scene, frames[at]) if second else frames[at])

    def picture(self, n, second, kept):
        return self.frames(n, second, video.sample(len(self.clips.items[n][1]), PICTURES)[kept : kept + 1])
