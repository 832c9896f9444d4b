"""Views of fresh scenes with noise for cells, for the tests: their text is what training would put there."""

import numpy as np

import video
from grid import CELLS, SIDE
from scene import clear, sample_scene

WIDTH = 256


class Imagined:
    shows = "cells"

    def view(self, rng, count):
        scene = sample_scene(rng)
        picked = video.sample(scene["frames"], count)
        fits = clear(scene, picked / scene["fps"])
        return (scene, picked, noise(rng, count, CELLS * CELLS)) if fits else None

    def still(self, rng, picture):
        scene = sample_scene(rng)
        return scene, int(rng.integers(scene["frames"])), noise(rng, 1, SIDE * SIDE if picture else CELLS * CELLS)


class Filmed:
    """Clips at hand, in place of those that make_data.py has written."""

    def __init__(self, items):
        self.items = items


def noise(rng, frames, cells):
    return rng.normal(0, 1, (frames, cells, WIDTH)).astype(np.float32)
