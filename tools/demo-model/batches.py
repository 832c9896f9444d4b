"""The batch of each training step, made from the seed and the step's number alone."""

import numpy as np

from grid import FRAME, SIDE
from labels import shown, story
from prompt import HEAD
from text import Writer, table
from transforms import still

PICTURE = 0  # as a number of frames
FRAMES = {  # how often a step shows so many frames
    PICTURE: 0.07,
    1: 0.06,
    4: 0.08,
    5: 0.05,
    6: 0.07,
    8: 0.17,
    10: 0.1,
    12: 0.1,
    16: 0.14,
    20: 0.04,
    24: 0.05,
    32: 0.07,
    64: 0.08,
    110: 0.12,
}
BUDGET, ROWS, MANY = 56, 10, 64  # frames and clips a step, at most; two clips at least where frames are fewer than many
SILENT = 128  # frames a step where nothing is asked
PICTURES = 8  # a step
TEXT = 1100  # tokens of text a step, about


class Steps:
    """Batches of views that source gives. Those of several frames come with what shapes have done; with asks, there
    are questions about all, else there is nothing else. Frames as pixels come with what they show. many: how often MANY
    frames or more are shown, in their share of FRAMES; they cost most."""

    def __init__(self, tokenizer, source, seed, asks=True, many=1.0):
        frames = {n: share * (many if n >= MANY else 1) for n, share in FRAMES.items() if asks or n >= 4}
        self.asks = asks
        self.writer, self.source, self.seed = Writer(tokenizer), source, seed
        self.counts, self.shares = list(frames), np.array(list(frames.values())) / sum(frames.values())
        self.head = len(self.writer.encode(HEAD).ids)

    def __getitem__(self, step):
        rng = np.random.default_rng([self.seed, 9, step])
        drawn = int(rng.choice(self.counts, p=self.shares))
        picture = drawn == PICTURE
        most, budget = (ROWS, BUDGET) if self.asks else (SILENT, SILENT)
        total = PICTURES if picture else max(2 if drawn < MANY else 1, min(most, budget // drawn))
        stamped = bool(rng.random() < 0.2 and drawn >= 4)
        start = self.head + (SIDE * SIDE + 1 if picture else drawn * FRAME)
        frames, rows, stories, labels = [], [], [], []
        while len(frames) < total:
            view = self.source.view(rng, drawn) if drawn >= 4 else self.still(rng, picture)
            if view:
                scene, picked, seen = view
                frames.append(seen)
                if self.source.shows == "frames":
                    labels.append(shown(scene, picked / scene["fps"]))
                if self.asks:
                    rows.append(self.writer.row(rng, scene, picked, start, TEXT // total, stamped))
                if drawn >= 4:
                    stories.append(story(scene, picked / scene["fps"]))
        batch = {self.source.shows: np.stack(frames), "picture": np.array(picture)} | (table(rows) if rows else {})
        if labels:
            batch["shown"] = {name: np.concatenate([one[name] for one in labels]) for name in labels[0]}
        return batch | {name: np.stack([one[name] for one in stories]) for name in (stories[0] if stories else ())}

    def still(self, rng, picture):
        """A view of one frame, or None where it shows no shape."""
        scene, n, seen = self.source.still(rng, picture)
        scene = still(scene, float(n / scene["fps"]))
        return scene and (scene, np.array([n]), seen)
