"""Heads that speak for the tower and the decoder in training only, and their losses."""

import torch
import torch.nn.functional as F
from torch import nn

import codes
import labels
from grid import CELLS, SIDE, STRIDE
from scene import COLORS, DIRECTIONS, GROUNDS, SHAPES, TEXTURES


def choose(logits, want):
    """(cross entropy, share right) where want >= 0."""
    known = want >= 0
    if not known.any():
        return 0.0, 1.0
    logits, want = logits[known], want[known]
    return F.cross_entropy(logits, want), float((logits.argmax(-1) == want).float().mean())


class Probe(nn.Module):
    """What the frame shows, read from each patch; the outlines of the shapes; and the code, read through the
    projector."""

    PARTS = (1, 2, len(COLORS))

    def __init__(self, hidden, width):
        super().__init__()
        self.parts = [len(SHAPES) * sum(self.PARTS), len(GROUNDS), len(TEXTURES)]
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sum(self.parts)))
        self.early = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, labels.FINE**2))
        self.late = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(SHAPES) * labels.FINE**2))
        self.code = nn.Linear(hidden, codes.WIDTH)
        at = torch.arange(SIDE) // STRIDE
        shape = (at[:, None] * CELLS + at).flatten()  # of which each patch speaks
        self.register_buffer("shape", shape, persistent=False)

    def read(self, model, features):
        """The tower's features [N,36,W] to codes of each patch."""
        return self.code(model.projector[1](model.projector[0](features)))

    def cells(self, model, features):
        """Codes of the pooled cells [N,4,WIDTH]."""
        x = self.read(model, features).transpose(1, 2).unflatten(2, (SIDE, SIDE))
        return F.interpolate(x, size=(CELLS, CELLS), mode="bilinear", align_corners=False).flatten(2).transpose(1, 2)

    def loss(self, model, states, batch):
        """(loss, scores) of the tower's states; the scores are of whole frames, voted by the patches."""
        masks = batch["outline"]
        whole = masks.unflatten(-1, (len(SHAPES), -1)).amax(-2)
        drawn = 10 * F.binary_cross_entropy_with_logits(self.early(states[2]), whole)
        drawn = drawn + 30 * F.binary_cross_entropy_with_logits(self.late(states[3]), masks)
        objects, ground, texture = self.out(states[-1]).split(self.parts, -1)
        there, place, color = objects.unflatten(-1, (len(SHAPES), -1)).split(self.PARTS, -1)
        there, seen = there[..., 0], batch["there"]
        spread = lambda x, like: x[:, None].expand(-1, like.shape[1], *x.shape[1:])
        where = spread(seen, place)
        told = self.read(model, states[-1]) - batch["code"][:, self.shape]
        gap = place.mean(1)[seen] - batch["place"][seen]
        loss = (
            drawn
            + 4 * F.binary_cross_entropy_with_logits(there, spread(seen.float(), there))
            + choose(color, spread(batch["color"], color))[0]
            + 20 * F.smooth_l1_loss(place[where], spread(batch["place"], place)[where], beta=0.05)
            + choose(ground, spread(batch["ground"][:, 0], ground))[0]
            + choose(texture, spread(batch["ground"][:, 1], texture))[0]
            + 40 * F.smooth_l1_loss(told, torch.zeros_like(told), beta=0.1)
        )
        cells = self.cells(model, states[-1])
        wrong = (cells - batch["code"]).abs()
        first, last = 3 + len(COLORS), 3 + len(COLORS) + len(GROUNDS)
        said = cells[..., 3:first].argmax(-1)
        return loss, {
            "outline": float(drawn),
            "there": float(((there.mean(1) > 0) == seen).all(1).float().mean()),
            "place": float(gap.abs().mean()),
            "code": float(wrong.mean()),
            "code-there": float(((cells[..., 0] > 0.5) == seen).all(1).float().mean()),
            "code-place": float(wrong[seen][:, 1:3].mean() / 2),
            "code-color": float((said == batch["color"])[seen].float().mean()),
            "code-ground": float((cells[..., first:last].mean(1).argmax(-1) == batch["ground"][:, 0]).float().mean()),
            "code-texture": float((cells[..., last:].mean(1).argmax(-1) == batch["ground"][:, 1]).float().mean()),
        }


class Track(nn.Module):
    """What each shape has done so far, read from its cell of each frame after the decoder's first layers."""

    PARTS = {
        "there": 1,
        "ever": 1,
        "there before": 1,
        "there first": 1,
        "now": len(labels.NOW),
        "color": len(COLORS),
        "color first": len(COLORS),
        "step": 2,
        "shift": 2,
        "way": len(DIRECTIONS) + 1,
        "way first": len(DIRECTIONS) + 1,
        "event first": len(labels.EVENTS) + 1,
        "event last": len(labels.EVENTS) + 1,
        "done": len(labels.EVENTS),
        "age": len(labels.EVENTS),
        "shape": len(SHAPES),
        "ground": len(GROUNDS),
        "texture": len(TEXTURES),
    }

    def __init__(self, hidden, depths=(1, 2, 3)):
        super().__init__()
        self.depths = depths
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, sum(self.PARTS.values()))) for _ in depths
        )

    def loss(self, states, at, batch):
        """(loss, scores) at positions at [F,4] of the decoder's states; the scores are of the deepest head, mostly
        at the last frame."""
        total, ever, happened = 0.0, batch["ever"], batch["done"] > 0
        mine = ever[:, -1:].expand_as(ever)  # shapes of the clip
        weight = torch.where(mine, 1.0, 0.1)[..., None] * torch.where(happened, 3.0, 1.0)
        fresh = torch.where(batch["now"] > 0, 10.0, 1.0)
        near = lambda got, name, where: (
            F.smooth_l1_loss(got[name][where], batch[name][where], beta=0.05) if where.any() else 0.0
        )
        yes = lambda got, want: F.binary_cross_entropy_with_logits(got, want, reduction="none")
        shapes = torch.arange(len(SHAPES)).expand(ever.shape)
        ground = batch["ground"][:, :, None].expand(-1, -1, len(SHAPES), -1)
        for depth, head in zip(self.depths, self.heads):
            got = dict(zip(self.PARTS, head(states[depth][:, at]).float().split(list(self.PARTS.values()), -1)))
            for part, want in (("shape", shapes), ("ground", ground[..., 0]), ("texture", ground[..., 1])):
                total = total + choose(got[part], want)[0]
            for part in ("there", "ever", "there before", "there first"):
                total = total + 2 * yes(got[part][..., 0], batch[part].float()).mean()
            total = total + 4 * (yes(got["now"], batch["now"]) * fresh).sum() / fresh.sum()
            for part in ("color", "color first") + (("way", "way first") if depth > 1 else ()):
                total = total + choose(got[part], batch[part])[0]
            total = total + 20 * near(got, "shift", ever) + 40 * near(got, "step", batch["both"])
            if depth > 1:
                for part in ("event first", "event last"):
                    total = total + 2 * choose(got[part][mine], batch[part][mine])[0]
                total = total + 8 * (yes(got["done"], batch["done"]) * weight).sum() / weight.sum()
                total = total + 10 * near(got, "age", happened)
        end = lambda x: x[:, -1]
        scores = {
            name: choose(end(got[name]), end(batch[name]))[1] for name in ("color", "color first", "way", "way first")
        }
        scores |= {
            name: float((got[name] - batch[name])[where].abs().mean())
            for name, where in (("shift", ever), ("step", batch["both"]), ("age", happened))
            if where.any()
        }
        right = lambda name: got[name].argmax(-1) == batch[name]
        scores["order"] = float((right("event first") & right("event last"))[:, -1].all(-1).float().mean())
        scores["done"] = float((end(got["done"] > 0) == end(happened))[end(mine)].all(1).float().mean())
        scores["now"] = float(((got["now"] > 0) == (batch["now"] > 0))[mine].all(-1).float().mean())
        return total / len(self.depths), {"~" + k.replace(" ", "-"): v for k, v in scores.items()}


class Reading(nn.Module):
    """What the text's tokens have to know midway: what happens at the time that a stamp names, and which option is
    right."""

    STAMPS, OPTIONS = 4, 5  # after how many layers

    def __init__(self, hidden):
        super().__init__()
        self.stamp = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, len(SHAPES) * len(labels.NOW)))
        self.option = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 1 + 5))

    def loss(self, states, batch):
        """(loss, scores); states are of the text only."""
        total, scores = 0.0, {}
        if len(at := batch["stamps"]):
            row, token, frame = at.T
            want = batch["now"][row, frame].flatten(1)
            got = self.stamp(states[self.STAMPS][row, token]).float()
            weight = torch.where(want > 0, 10.0, 1.0)
            missed = F.binary_cross_entropy_with_logits(got, want, reduction="none") * weight
            total = total + 4 * missed.sum() / weight.sum()
            some = want.any(1)
            scores["~stamp"] = ((got > 0) == (want > 0)).all(1)[some].float().tolist()
        if len(at := batch["options"]):
            row, token, letter, right = at.T
            got = self.option(states[self.OPTIONS][row, token]).float()
            total = total + 2 * F.binary_cross_entropy_with_logits(got[:, 0], right.float())
            total = total + choose(got[:, 1:], letter)[0]
            scores["~option"] = ((got[:, 0] > 0) == (right > 0)).float().tolist()
        return total, scores
