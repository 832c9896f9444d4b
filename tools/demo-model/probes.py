"""Heads that say what frames show and what shapes have done, in training only, and their losses."""

import torch
import torch.nn.functional as F
from torch import nn

from labels import EVENTS, FINE
from scene import COLORS, DIRECTIONS, GROUNDS, SHAPES, TEXTURES


def choose(logits, want):
    """(cross entropy, share right) where want >= 0."""
    known = want >= 0
    if not known.any():
        return 0.0, 1.0
    logits, want = logits[known], want[known]
    return F.cross_entropy(logits, want), float((logits.argmax(-1) == want).float().mean())


def head(width, out):
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, out))


class Frames(nn.Module):
    """What a frame shows, read from each pooled cell, and the outlines of the shapes, read from each patch.

    Without the outlines the tower knows colours at once and shapes hardly at all.
    """

    PARTS = (1, 2, len(COLORS))  # whether a shape is there, where, in which colour

    def __init__(self, hidden, width):
        super().__init__()
        self.parts = [len(SHAPES) * sum(self.PARTS), len(GROUNDS), len(TEXTURES)]
        self.all, self.one = head(hidden, sum(self.parts)), head(hidden, sum(self.PARTS) + sum(self.parts[1:]))
        self.early, self.late = head(width, FINE**2), head(width, len(SHAPES) * FINE**2)

    def outlines(self, states, masks):
        whole = masks.unflatten(-1, (len(SHAPES), -1)).amax(-2)
        early = F.binary_cross_entropy_with_logits(self.early(states[2]).float(), whole)
        return 10 * early + 30 * F.binary_cross_entropy_with_logits(self.late(states[3]).float(), masks)

    def read(self, cells, is_sorted):
        """Logits [N, cells, shapes, ...] of what cells [N,4,4,H] say: every cell of all shapes, or once they are sorted
        the cells of row r of shape r."""
        if is_sorted:
            objects, ground, texture = (
                self.one(cells.transpose(1, 2)).float().split([sum(self.PARTS), *self.parts[1:]], -1)
            )
            ground, texture = ground.flatten(1, 2), texture.flatten(1, 2)
        else:
            objects, ground, texture = self.all(cells.flatten(1, 2)).float().split(self.parts, -1)
            objects = objects.unflatten(-1, (len(SHAPES), -1))
        return *objects.split(self.PARTS, -1), ground, texture

    def loss(self, states, cells, batch, is_sorted):
        """(loss, scores) of the patches' states of all layers and of cells; the scores are of whole frames, which their
        cells vote on."""
        drawn = self.outlines(states, batch["outline"])
        there, place, color, ground, texture = self.read(cells, is_sorted)
        there, seen, under = there[..., 0], batch["there"], batch["ground"]
        spread = lambda x, like: x[:, None].expand(-1, like.shape[1], *x.shape[1:])
        shown = spread(seen, place)
        near = F.smooth_l1_loss(place[shown], spread(batch["place"], place)[shown], beta=0.05)
        loss = drawn + 20 * near
        loss = loss + 4 * F.binary_cross_entropy_with_logits(there, spread(seen.float(), there))
        loss = loss + choose(color, spread(batch["color"], color))[0]
        loss = loss + choose(ground, spread(under[:, 0], ground))[0] + choose(texture, spread(under[:, 1], texture))[0]
        gap = (place.mean(1)[seen] - batch["place"][seen]).abs()
        return loss, {
            "~outline": float(drawn),
            "~there": ((there.mean(1) > 0) == seen).all(1).float().tolist(),
            "~color": choose(color.mean(1), batch["color"])[1],
            "~place": float(gap.mean()),
            "~ground": choose(ground.mean(1), under[:, 0])[1],
            "~texture": choose(texture.mean(1), under[:, 1])[1],
        }


class Story(nn.Module):
    """What each shape has done so far, read from the last cell of its row in each frame after the decoder's first
    layers. Left to emerge from answers, direction is not learned at all."""

    DEPTHS = (1, 2, 3, 4)
    CHOICES = {
        "color": len(COLORS),
        "color first": len(COLORS),
        "way": len(DIRECTIONS) + 1,
        "way first": len(DIRECTIONS) + 1,
    }
    FLAGS = ("there", "ever", "there before", "there first")
    PLACES = {"step": 40, "shift": 20}  # and their weight
    RANKS = ("event first", "event last")
    LATER = ("way", "way first", "event first", "event last", "done", "age")  # too much for the first layer

    def __init__(self, hidden):
        super().__init__()
        self.parts = {name: 1 for name in self.FLAGS} | self.CHOICES | {name: 2 for name in self.PLACES}
        self.parts |= {"done": len(EVENTS), "age": len(EVENTS)} | {name: len(EVENTS) + 1 for name in self.RANKS}
        self.parts |= {"shape": len(SHAPES), "ground": len(GROUNDS), "texture": len(TEXTURES)}
        self.heads = nn.ModuleList(head(hidden, sum(self.parts.values())) for _ in self.DEPTHS)

    def loss(self, states, at, batch):
        """(loss, scores) at tokens at [F,4] of the decoder's states; the scores are of the deepest head, where it is told
        so at the last frame."""
        total = 0.0
        for depth, out in zip(self.DEPTHS, self.heads):
            read = out(states[depth][:, at]).float().split(list(self.parts.values()), -1)
            got = dict(zip(self.parts, read))
            total = total + self.missed(got, batch, depth > 1)
        return total / len(self.DEPTHS), self.scores(got, batch)

    def missed(self, got, batch, is_late):
        ever, happened = batch["ever"], batch["done"] > 0
        mine = ever[:, -1:].expand_as(ever)  # shapes of the clip
        near = lambda name, where: (
            F.smooth_l1_loss(got[name][where], batch[name][where], beta=0.05) if where.any() else 0.0
        )
        total = choose(got["shape"], torch.arange(len(SHAPES)).expand(got["shape"].shape[:-1]))[0]
        total = (
            total
            + choose(got["ground"], batch["ground"][..., 0])[0]
            + choose(got["texture"], batch["ground"][..., 1])[0]
        )
        for name in self.FLAGS:
            total = total + 2 * F.binary_cross_entropy_with_logits(got[name][..., 0], batch[name].float())
        for name in self.CHOICES:
            if is_late or name not in self.LATER:
                total = total + choose(got[name], batch[name])[0]
        for name, where in (("step", batch["both"]), ("shift", ever)):
            total = total + self.PLACES[name] * near(name, where)
        if is_late:
            total = total + 2 * sum(choose(got[name][mine], batch[name][mine])[0] for name in self.RANKS)
            weight = torch.where(mine, 1.0, 0.1)[..., None] * torch.where(happened, 3.0, 1.0)
            done = F.binary_cross_entropy_with_logits(got["done"], batch["done"], reduction="none") * weight
            total = total + 8 * done.sum() / weight.sum() + 10 * near("age", happened)
        return total

    @torch.no_grad()
    def scores(self, got, batch):
        end, mine = (lambda x: x[:, -1]), batch["ever"][:, -1]
        right = {name: choose(end(got[name]), end(batch[name]))[1] for name in self.CHOICES}
        firsts = [end(got[name]).argmax(-1) == end(batch[name]) for name in self.RANKS]
        right["order"] = (firsts[0] & firsts[1]).all(-1).float().tolist()
        right["done"] = (end(got["done"] > 0) == end(batch["done"] > 0))[mine].all(1).float().tolist()
        right["shift"] = float((end(got["shift"]) - end(batch["shift"]))[mine].abs().mean())
        return {"~" + name.replace(" ", "-"): value for name, value in right.items()}
