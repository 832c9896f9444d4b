"""The batch of each training step, made from the seed and the step's number alone."""

from dataclasses import dataclass

import numpy as np

import labels
from codes import blurred, code
from grid import CELLS, FRAME, SIDE, STRIDE
from prompt import HEAD
from scene import GROUNDS, TEXTURES
from text import Writer, table
from transforms import still

PICTURE = 0  # as a number of frames
FRAMES = {  # how often a step shows so many frames
    PICTURE: 0.04,
    1: 0.04,
    4: 0.06,
    5: 0.04,
    6: 0.06,
    8: 0.15,
    10: 0.1,
    12: 0.1,
    16: 0.16,
    20: 0.05,
    24: 0.06,
    32: 0.06,
    48: 0.03,
    64: 0.05,
    110: 0.08,
}
SHORT = 24  # no more frames than these while a stage is young
BUDGET, ROWS = 64, 10  # frames and clips a step, at most; two clips at least
TEXT = 1100  # tokens of text a step, about
AT = np.arange(SIDE) // STRIDE
PATCH_CELL = np.add.outer(AT * CELLS, AT).flatten()  # the cell of each patch


def stills(rng, clips, count):
    """A batch of single frames for the tower."""
    made = []
    for _ in range(count // 4):
        scene, times, data = clips.stills(rng, 4)
        there, place, color = labels.state(scene, times)
        ground = np.tile([[GROUNDS.index(scene["ground"]), TEXTURES.index(scene["texture"])]], (4, 1))
        drawn, coded = labels.outline(scene, there, place), code(scene, there, place, color)
        made.append((data, there, place, color, ground, drawn, coded))
    names = ("frames", "there", "place", "color", "ground", "outline", "code")
    return dict(zip(names, map(np.concatenate, zip(*made))))


@dataclass
class Seen:
    """A view: its scene, the indices of its frames, and their codes."""

    scene: dict
    picked: np.ndarray
    codes: np.ndarray

    @property
    def times(self):
        return self.picked / self.scene["fps"]

    def ground(self):
        one = [GROUNDS.index(self.scene["ground"]), TEXTURES.index(self.scene["texture"])]
        return np.array([one] * len(self.picked))


class Steps:
    """Batches of one stage; source gives views, long is the first step that may show many frames."""

    def __init__(self, tokenizer, source, seed, long=0):
        self.writer, self.source, self.seed, self.long = Writer(tokenizer), source, seed, long
        self.head = len(self.writer.encode(HEAD).ids)

    def __getitem__(self, step):
        rng = np.random.default_rng([self.seed, step])
        shares = {n: share for n, share in FRAMES.items() if step >= self.long or n <= SHORT}
        drawn = int(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
        total = max(2, min(ROWS, BUDGET // max(drawn, 1)))
        stamped = bool(rng.random() < 0.35 and drawn >= 4)
        picture, views, rows = drawn == PICTURE, [], []
        start = self.head + (SIDE * SIDE + 1 if picture else drawn * FRAME)
        while len(rows) < total:
            view = self.clip(rng, drawn) if drawn >= 4 else self.still(rng, picture)
            if view:
                views.append(view)
                rows.append(self.writer.row(rng, view.scene, view.picked, start, TEXT // total, stamped))
        batch = {"codes": np.stack([view.codes for view in views]), "picture": np.array(picture)}
        if drawn >= 4:
            stories = [labels.story(view.scene, view.times) | {"ground": view.ground()} for view in views]
            batch |= {name: np.stack([story[name] for story in stories]) for name in stories[0]}
        return batch | table(rows)

    def clip(self, rng, count):
        """A view of so many frames, or None."""
        found = self.source.view(rng, count)
        if not found:
            return None
        scene, picked, codes = found
        if codes is None:
            codes = blurred(rng, code(scene, *labels.state(scene, picked / scene["fps"])))
        return Seen(scene, picked, codes)

    def still(self, rng, picture):
        """A view of one frame, or None; a picture is seen by its patches, not by its cells."""
        scene, n, codes = self.source.still(rng, picture)
        times = np.array([n / scene["fps"]])
        shown = still(scene, float(times[0]))
        if codes is None:
            codes = code(scene, *labels.state(scene, times))
            codes = blurred(rng, codes[:, PATCH_CELL] if picture else codes)
        return shown and Seen(shown, np.array([n]), codes)
