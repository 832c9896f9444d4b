"""Train the demo model in resumable stages: python train.py STATE STAGE [--minutes 60]. A cut run goes on where it was.

tower: every pooled cell says what the whole frame shows, and every patch redraws the outlines; heads that are dropped later.
sort: the cells of each row learn to speak of one shape only, whichever row it is in.
track: the decoder's first layers learn, over the visual tokens alone, what each shape has done up to each frame; heads again.
language: the decoder learns questions, many of them a clip in one forward; the tower is frozen.
finish: the same, the rate falling to nothing.
"""

import argparse
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn
from torch.utils.data import DataLoader

import labels
import video
import scene as world
from model import CELLS, END, HEAD, IMAGE, TAIL, DemoModel, make_config

STAGES = {  # steps, peak rate of (tower and projector, decoder), share of the steps over which the rate falls to 0, start of a fresh stage
    "tower": (2500, 2e-3, 0.0, 0.4, None),
    "sort": (600, 1e-3, 0.0, 0.7, "tower"),
    "track": (1500, 0.0, 5e-4, 0.0, "sort"),
    "language": (3200, 0.0, 5e-4, 0.0, "track"),
    "finish": (4600, 0.0, 5e-4, 0.6, "language"),
}
FRAMES = {4: 0.05, 6: 0.06, 8: 0.2, 10: 0.12, 12: 0.14, 16: 0.15, 24: 0.08, 32: 0.06, 64: 0.06, 110: 0.08}
BUDGET = 128  # frames a step
TEXT = 2200  # question and answer tokens a step, about
KINDS = {
    "describe": 2.0,
    "color": 0.7,
    "shape": 3.0,
    "direction": 1.0,
    "count": 0.2,
    "order": 2.5,
    "relation": 2.5,
    "event": 0.8,
    "background": 0.3,
    "yesno": 2.0,
}


# ---- data ---------------------------------------------------------------------------------------------------------


class Clips:
    """The cached clips: random views of them, cut, reversed, mirrored or with red and blue swapped, with the scene to match."""

    def __init__(self, folder):
        self.folder, self.known, self.items = folder, set(), []
        self.refresh()

    def refresh(self):
        for path in sorted(self.folder.glob("*.json")):
            if path.name in self.known:
                continue
            self.known.add(path.name)
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
            scene, frames = world.mirror(scene), frames[:, :, ::-1]
        swapped = world.swap(scene) if rng.random() < 0.5 else None
        return (swapped, times, frames[..., ::-1]) if swapped else (scene, times, frames)

    def view(self, rng, count):
        """(scene, total frames, frame indices, u8 frames) with count frames, or None where they would not show what the scene says."""
        scene, data = self.items[int(rng.integers(len(self.items)))]
        kinds = {e["kind"] for _, e in world.history(scene)}  # prefer clips with events, above all those that need a memory
        if rng.random() > (1.0 if kinds & {"turn", "blink"} else 0.4 if kinds else 0.12):
            return None
        if len(scene["objects"]) < 2 and rng.random() < 0.5:  # and with two shapes, which have to be told apart
            return None
        first, total = 0, scene["frames"]
        if rng.random() < 0.4:
            total = int(rng.integers(max(16, total // 2), total + 1))
            first = int(rng.integers(scene["frames"] - total + 1))
            scene = world.window(scene, first, total)
        picked = video.sample(total, count)
        backward, flip, swap = rng.random(3) < 0.5
        for wanted, change in ((backward, world.reverse), (flip, world.mirror)):
            scene = change(scene) if scene and wanted else scene
        swapped = world.swap(scene) if scene and swap else None
        scene = swapped or scene
        if not scene or not world.clear(scene, picked / scene["fps"]):
            return None
        frames = data[first + (total - 1 - picked if backward else picked)]
        frames = frames[:, :, ::-1] if flip else frames
        return scene, total, picked, frames[..., ::-1] if swapped else frames


class Steps:
    """The batch of each training step, made from its number alone."""

    def __init__(self, clips, tokenizer, stage, seed):
        self.clips, self.stage, self.seed = clips, stage, seed
        self.ids = lambda text: tokenizer.encode(text, add_special_tokens=False).ids

    def __getitem__(self, step):
        if step % 50 == 0:
            self.clips.refresh()
        rng = np.random.default_rng([self.seed, list(STAGES).index(self.stage), step])
        return self.frames(rng) if self.stage in ("tower", "sort") else self.clip_batch(rng)

    def frames(self, rng):
        made = []
        for _ in range(BUDGET // 4):
            scene, times, data = self.clips.stills(rng, 4)
            there, place, color = labels.state(scene, times)
            ground = np.tile([[world.GROUNDS.index(scene["ground"]), world.TEXTURES.index(scene["texture"])]], (4, 1))
            made.append((data, there, place, color, ground, labels.outline(scene, there, place)))
        return dict(zip(("frames", "there", "place", "color", "ground", "outline"), map(np.concatenate, zip(*made))))

    def clip_batch(self, rng):
        """Clips of one frame count: frames, labels of each frame and shape, and in the later stages questions."""
        count = int(rng.choice(list(FRAMES), p=np.array(list(FRAMES.values())) / sum(FRAMES.values())))
        rows = []
        while len(rows) < max(2, BUDGET // count):
            found = self.clips.view(rng, count)
            if found:
                rows.append(found)
        stories = [labels.story(r[0], r[2] / r[0]["fps"]) for r in rows]
        batch = {
            "frames": np.concatenate([r[3] for r in rows]),
            "ground": np.array([[[world.GROUNDS.index(r[0]["ground"]), world.TEXTURES.index(r[0]["texture"])]] * count for r in rows]),
        }
        batch |= {k: np.stack([s[k] for s in stories]) for k in stories[0]}
        return batch if self.stage == "track" else batch | self.questions(rng, rows)

    def questions(self, rng, rows):
        """Ids, segments, positions, targets, weights and kinds of the text after the visual tokens; segment 0 is what all questions see."""
        made, start = [], len(self.ids(HEAD)) + len(rows[0][2]) * CELLS * (CELLS + 1)
        for scene, total, picked, _ in rows:
            lead = "\n"
            if rng.random() < 0.4:
                lead = ("" if rng.random() < 0.5 else "\n") + video.time_instruction(total, scene["fps"], picked) + "\n"
            ids = self.ids(lead)
            shared = len(ids)
            columns = [ids, [0] * shared, list(range(start, start + shared)), [-100] * shared, [0.0] * shared, [-1] * shared]
            for n, (kind, q, a) in enumerate(quiz(rng, scene), 1):
                ask, reply = self.ids(q + TAIL), self.ids(a + END)
                both = len(ask) + len(reply)
                if len(ids) - shared + both > min(TEXT // len(rows), 600):
                    break
                at = start + shared
                for column, more in zip(
                    columns,
                    (
                        ask + reply,
                        [n] * both,
                        range(at, at + both),
                        [-100] * (len(ask) - 1) + reply + [-100],
                        [len(reply) ** -0.75] * both,
                        [list(KINDS).index(kind)] * both,
                    ),
                ):
                    column.extend(more)
            made.append(columns)
        longest = max(len(m[0]) for m in made)
        fill = {"ids": 0, "segment": -1, "position": 0, "want": -100, "weight": 0.0, "kind": -1}
        return {
            name: np.array([m[i] + [empty] * (longest - len(m[i])) for m in made], np.float32 if name == "weight" else np.int64)
            for i, (name, empty) in enumerate(fill.items())
        }


def quiz(rng, scene):
    """Different (kind, question, answer) of the scene, in random order."""
    names, weights = list(KINDS), np.array(list(KINDS.values()))
    seen, described = set(), False
    for kind in rng.choice(names, 60, p=weights / weights.sum()):
        found = world.ask(rng, scene, str(kind))
        if kind == "shape" and len(scene["objects"]) < 2 and rng.random() < 0.75:  # easy, and soon learned
            continue
        if found and found[0] not in seen and not (kind == "describe" and described):
            seen.add(found[0])
            described |= kind == "describe"
            yield str(kind), *found


# ---- heads, used in training only ----------------------------------------------------------------------------------


def choose(logits, want):
    """(cross entropy, share right) where want >= 0."""
    known = want >= 0
    if not known.any():
        return 0.0, 1.0
    logits, want = logits[known], want[known]
    return F.cross_entropy(logits, want), float((logits.argmax(-1) == want).float().mean())


class Probe(nn.Module):
    """What the frame shows, read from each pooled cell; the outlines of the shapes, read from each patch."""

    PARTS = (1, 2, len(world.COLORS))

    def __init__(self, hidden, width):
        super().__init__()
        self.parts = [len(world.SHAPES) * sum(self.PARTS), len(world.GROUNDS), len(world.TEXTURES)]
        self.out = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, sum(self.parts)))
        self.slot = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, sum(self.PARTS) + sum(self.parts[1:])))
        self.early = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, labels.FINE**2))
        self.late = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(world.SHAPES) * labels.FINE**2))

    def loss(self, states, cells, batch, sort):
        """(loss, scores) of patches' states and cells [N,4,4,H]; the scores are of whole frames, voted by the cells."""
        masks = batch["outline"]
        whole = masks.unflatten(-1, (len(world.SHAPES), -1)).amax(-2)
        drawn = 10 * F.binary_cross_entropy_with_logits(self.early(states[2]), whole) + 30 * F.binary_cross_entropy_with_logits(
            self.late(states[3]), masks
        )
        if sort:  # the cells of row r, each of shape r: [N,4 cells,4 shapes,...]
            objects, ground, texture = self.slot(cells.transpose(1, 2)).split([sum(self.PARTS), *self.parts[1:]], -1)
            ground, texture = ground.flatten(1, 2), texture.flatten(1, 2)
        else:  # every cell, of all shapes: [N,16 cells,4 shapes,...]
            objects, ground, texture = self.out(cells.flatten(1, 2)).split(self.parts, -1)
            objects = objects.unflatten(-1, (len(world.SHAPES), -1))
        there, place, color = objects.split(self.PARTS, -1)
        there, seen = there[..., 0], batch["there"]
        spread = lambda x, like: x[:, None].expand(-1, like.shape[1], *x.shape[1:])
        gap = place.mean(1)[seen] - batch["place"][seen]
        loss = (
            drawn
            + 4 * F.binary_cross_entropy_with_logits(there, spread(seen.float(), there))
            + choose(color, spread(batch["color"], color))[0]
            + 20 * F.smooth_l1_loss(place[spread(seen, place)], spread(batch["place"], place)[spread(seen, place)], beta=0.05)
            + choose(ground, spread(batch["ground"][:, 0], ground))[0]
            + choose(texture, spread(batch["ground"][:, 1], texture))[0]
        )
        return loss, {
            "outline": float(drawn),
            "there": float(((there.mean(1) > 0) == seen).all(1).float().mean()),
            "color": choose(color.mean(1), batch["color"])[1],
            "place": float(gap.abs().mean()),
            "ground": choose(ground.mean(1), batch["ground"][:, 0])[1],
            "texture": choose(texture.mean(1), batch["ground"][:, 1])[1],
        }


class Track(nn.Module):
    """What each shape has done so far, read from the last cell of its row in each frame after the decoder's first layers."""

    PARTS = {
        "there": 1,
        "ever": 1,
        "there before": 1,
        "there first": 1,
        "color": len(world.COLORS),
        "color first": len(world.COLORS),
        "step": 2,
        "shift": 2,
        "way": len(world.DIRECTIONS) + 1,
        "way first": len(world.DIRECTIONS) + 1,
        "done": len(labels.EVENTS),
        "age": len(labels.EVENTS),
    }

    def __init__(self, hidden, depths=(1, 2, 3, 4)):
        super().__init__()
        self.depths = depths
        self.order = nn.ModuleList(nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 2 * (len(labels.EVENTS) + 1))) for _ in depths)
        self.heads = nn.ModuleList(nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, sum(self.PARTS.values()))) for _ in depths)
        self.shapes = nn.ModuleList(nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, len(world.SHAPES))) for _ in depths)
        self.grounds = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, len(world.GROUNDS) + len(world.TEXTURES))) for _ in depths
        )

    def loss(self, states, at, batch):
        """(loss, scores) at positions at [F,4] of the decoder's states; the scores are of the deepest head, mostly at the last frame."""
        total, ever, happened = 0.0, batch["ever"], batch["done"] > 0
        mine = ever[:, -1:].expand_as(ever)  # shapes of the clip
        weight = torch.where(mine, 1.0, 0.1)[..., None] * torch.where(happened, 3.0, 1.0)
        near = lambda got, name, where: F.smooth_l1_loss(got[name][where], batch[name][where], beta=0.05) if where.any() else 0.0
        for depth, head, name, under, order in zip(self.depths, self.heads, self.shapes, self.grounds, self.order):
            ranks = order(states[depth][:, at]).float().chunk(2, -1)
            if depth > 1:
                total = total + 2 * sum(
                    choose(rank[mine], batch[part][mine])[0] for rank, part in zip(ranks, ("event first", "event last"))
                )
            shape = name(states[depth][:, at]).float()
            total = total + choose(shape, torch.arange(len(world.SHAPES)).expand(shape.shape[:-1]))[0]
            ground, texture = under(states[depth][:, at]).float().split((len(world.GROUNDS), len(world.TEXTURES)), -1)
            wanted = batch["ground"][:, :, None].expand(-1, -1, len(world.SHAPES), -1)
            total = total + choose(ground, wanted[..., 0])[0] + choose(texture, wanted[..., 1])[0]
            parts = head(states[depth][:, at]).float().split(list(self.PARTS.values()), -1)
            got = dict(zip(self.PARTS, parts))
            for part in ("there", "ever", "there before", "there first"):
                total = total + 2 * F.binary_cross_entropy_with_logits(got[part][..., 0], batch[part].float())
            for part in ("color", "color first") + (("way", "way first") if depth > 1 else ()):
                total = total + choose(got[part], batch[part])[0]
            total = total + 20 * near(got, "shift", ever) + 40 * near(got, "step", batch["both"])
            if depth > 1:
                done = F.binary_cross_entropy_with_logits(got["done"], batch["done"], reduction="none") * weight
                total = total + 8 * done.sum() / weight.sum() + 10 * near(got, "age", happened)
        end = lambda x: x[:, -1]
        scores = {name: choose(end(got[name]), end(batch[name]))[1] for name in ("color", "color first", "way", "way first")}
        scores |= {
            name: float((got[name] - batch[name])[where].abs().mean())
            for name, where in (("shift", ever), ("step", batch["both"]), ("age", happened))
            if where.any()
        }
        scores |= {
            name: float(((got[name][..., 0] > 0) == batch[name])[mine].float().mean()) for name in ("there", "there before", "there first")
        }
        scores["order"] = float(
            ((ranks[0].argmax(-1) == batch["event first"]) & (ranks[1].argmax(-1) == batch["event last"]))[:, -1].all(-1).float().mean()
        )
        scores["shape"] = float((shape.argmax(-1) == torch.arange(len(world.SHAPES)))[mine].float().mean())
        scores["ground"] = choose(ground, wanted[..., 0])[1]
        scores["done"] = float((end(got["done"] > 0) == end(happened))[end(mine)].all(1).float().mean())
        return total / len(self.depths), {"~" + k.replace(" ", "-"): v for k, v in scores.items()}


# ---- steps --------------------------------------------------------------------------------------------------------


def mix(q, k, v, mask=None, causal=False):
    """Attention of scaled q [B,H,Q,D] over k, v [B,G,K,D], to [B,Q,H*D]. By hand in bf16, or torch's own in f32 for long inputs:
    each is the fastest there on a CPU."""
    groups, rows = k.shape[1], q.shape[2]
    if k.shape[2] > 900:
        k, v = (part.float().repeat_interleave(q.shape[1] // groups, 1) for part in (k, v))
        out = F.scaled_dot_product_attention(q.float(), k, v, attn_mask=mask, is_causal=causal, scale=1.0)
    else:
        if causal:
            mask = torch.full((rows, rows), -1e9).triu(1)
        scores = q.unflatten(1, (groups, -1)).flatten(2, 3) @ k.mT
        if mask is not None:
            scores = (scores.unflatten(2, (-1, rows)) + (mask[:, None] if mask.dim() > 2 else mask).bfloat16()).flatten(2, 3)
        out = (torch._softmax(scores, -1, False) @ v).unflatten(2, (-1, rows)).flatten(1, 2)
    return out.transpose(1, 2).flatten(2).bfloat16()


def look(model, frames):
    """model.patches, faster to train."""
    layers = model.tower.encoder.layers
    states = [model.tower.embeddings(model.pixels(frames)).float()]
    for layer in layers:
        y, a = layer.layer_norm1(states[-1]).bfloat16(), layer.self_attn
        q, k, v = (part(y).unflatten(-1, (-1, a.head_dim)).transpose(1, 2) for part in (a.q_proj, a.k_proj, a.v_proj))
        x = states[-1] + a.out_proj(mix(q * a.scale, k, v))
        states.append(x + layer.mlp(layer.layer_norm2(x)))
    return states


def tower_step(model, probe, batch, sort):
    states = look(model, batch["frames"])
    return probe.loss(states, model.pool(states[-1]), batch, sort)


@torch.compile(dynamic=True)
def add_norm(x, more, weight):
    """(x + more, its RMS norm in bf16)."""
    x = x + more
    return x, (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight).bfloat16()


@torch.compile(dynamic=True)
def rotate(x, cos, sin, scale):
    """Rotary positions for x [B,L,H,D], to [B,H,L,D] in bf16."""
    x = x.float() * scale
    low, high = x.chunk(2, -1)
    return (x * cos[:, :, None] + torch.cat([-high, low], -1) * sin[:, :, None]).transpose(1, 2).bfloat16().contiguous()


def decode(model, x, pos, split, mask, depth):
    """The decoder's states before, between and after its first layers; x [B,L,H] is causal up to split, masked as told after it."""
    cos, sin = model.llm.model.rotary_emb(x, pos)
    states, more = [], torch.zeros_like(x)
    for layer in model.llm.model.layers[:depth]:
        a = layer.self_attn
        x, y = add_norm(x, more, layer.input_layernorm.weight)
        states.append(x)
        q, k, v = (part(y).unflatten(-1, (-1, a.head_dim)) for part in (a.q_proj, a.k_proj, a.v_proj))
        q, k, v = rotate(q, cos, sin, a.head_dim**-0.5), rotate(k, cos, sin, 1.0), v.transpose(1, 2).contiguous()
        out = mix(q[:, :, :split], k[:, :, :split], v[:, :, :split], causal=True)
        if mask is not None:
            out = torch.cat([out, mix(q[:, :, split:], k, v, mask)], 1)
        x, y = add_norm(x, a.o_proj(out), layer.post_attention_layernorm.weight)
        more = layer.mlp(y)
    return states + [x + more]


def decoder_step(model, track, batch, errors):
    """Loss of the track heads, and over the questions if there are any; question scores are whole answers right, by kind.
    errors, the recent share of wrong answers by kind, is brought up to date, and kinds with more of them weigh more."""
    rows, count = batch["there"].shape[:2]
    with torch.no_grad():
        cells = model.pool(look(model, batch["frames"])[-1]).float()
    head = model.embed(model.ids(HEAD)).expand(rows, -1, -1)
    x = torch.cat([head, model.visual(cells).reshape(rows, -1, head.shape[-1])], 1)
    split = x.shape[1]
    pos, mask, depth = torch.arange(split).expand(rows, -1), None, max(track.depths)
    asking = "ids" in batch
    if asking:
        seg, length = batch["segment"], batch["segment"].shape[1]
        x = torch.cat([x, model.embed(batch["ids"])], 1)
        pos = torch.cat([pos, batch["position"]], 1)
        mask = ((seg[:, None] == 0) | (seg[:, None] == seg[..., None])) & torch.ones(length, length, dtype=torch.bool).tril()
        mask = F.pad(torch.zeros(mask.shape).masked_fill(~mask, -1e9), (split, 0))[:, None]
        depth = len(model.llm.model.layers)
    states = decode(model, x, pos, split, mask, depth)
    at = head.shape[1] + (CELLS + 1) * torch.arange(CELLS * count).view(count, CELLS) + CELLS - 1
    loss, scores = track.loss(states, at, batch)
    if not asking:
        return loss, scores
    asked = batch["want"] >= 0
    logits, want = model.llm.lm_head(model.llm.model.norm(states[-1][:, split:][asked])).float(), batch["want"][asked]
    weight = batch["weight"][asked] * (0.2 + errors[batch["kind"][asked]])
    said = (F.cross_entropy(logits, want, reduction="none") * weight).sum() / weight.sum()
    wrong = (logits.argmax(-1) != want).int()
    _, group = torch.unique((torch.arange(rows)[:, None] * 1000 + seg)[asked], return_inverse=True)
    missed = torch.zeros(int(group.max()) + 1, dtype=torch.int).scatter_reduce(0, group, wrong, "amax")
    kind = torch.zeros(len(missed), dtype=torch.long).scatter_(0, group, batch["kind"][asked])
    for number, name in enumerate(KINDS):
        scores[name] = (1.0 - missed[kind == number].float()).tolist()
        for hit in scores[name]:
            errors[number] += 0.005 * (1 - hit - errors[number])
    return said + 0.3 * loss, scores | {"~loss": float(said)}


@torch.no_grad()
def look_back(model, distance=CELLS * (CELLS + 1), strength=2.4, fastest=14):
    """Start the first head of the first two layers as one that sees the same place of the frame before: rotary positions and the
    biases of queries and keys alone make its score peak at that distance."""
    for layer in model.llm.model.layers[:2]:
        a = layer.self_attn
        half = a.head_dim // 2
        angle = distance * model.llm.model.rotary_emb.inv_freq[:fastest]
        a.k_proj.bias[:fastest] = strength
        a.q_proj.bias[:fastest], a.q_proj.bias[half : half + fastest] = strength * angle.cos(), -strength * angle.sin()


class Muon(torch.optim.Optimizer):
    """Muon for the matrices of the layers (updates made orthogonal, scaled to AdamW's size), AdamW for the rest."""

    def __init__(self, matrices, rest, **rates):
        super().__init__(
            [{"params": list(m), "muon": True, "rate": r} for m, r in matrices]
            + [{"params": list(p), "muon": False, "rate": r} for p, r in rest],
            {"lr": 0.0},
        )

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            params, lr = [p for p in group["params"] if p.grad is not None], group["lr"]
            for p in params:
                state = self.state[p]
                if not state:
                    state.update({"m": torch.zeros_like(p), "step": 0} | ({} if group["muon"] else {"v": torch.zeros_like(p)}))
                state["step"] += 1
                state["m"].lerp_(p.grad, 0.05 if group["muon"] else 0.1)
            if group["muon"]:
                for shape in {p.shape for p in params}:
                    same = [p for p in params if p.shape == shape]
                    change = orthogonal(torch.stack([p.grad.lerp(self.state[p]["m"], 0.95) for p in same])) * 0.2 * max(shape) ** 0.5
                    for p, c in zip(same, change):
                        p.mul_(1 - 0.05 * lr).sub_(c, alpha=lr)
            else:
                for p in params:
                    s = self.state[p]
                    s["v"].lerp_(p.grad.square(), 0.02)
                    p.addcdiv_(s["m"] / (1 - 0.9 ** s["step"]), (s["v"] / (1 - 0.98 ** s["step"])).sqrt().add_(1e-8), value=-lr)


def orthogonal(x):
    """The nearest semi-orthogonal matrices of a stack, about (Newton-Schulz)."""
    flip = x.shape[1] > x.shape[2]
    x = x.mT if flip else x
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if flip else x).float()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, help="length of the stage when it differs from the table")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(2)
    torch.set_flush_denormal(True)
    torch.manual_seed(args.seed)
    steps, tower_rate, text_rate, fall, before = STAGES[args.stage]
    steps = args.steps or steps

    tokenizer = Tokenizer.from_file(str(args.state / "tokenizer.json"))
    model = DemoModel(make_config(tokenizer.get_vocab_size()), tokenizer)
    probe = Probe(model.config["hidden_size"], model.config["mm_hidden_size"])
    track = Track(model.config["hidden_size"])
    both = nn.ModuleList([model, probe, track])
    matrices, rest = [], []
    for rate, parts in (
        (tower_rate, {"tower": model.tower, "projector": model.projector, "probe": probe}),
        (text_rate, {"llm": model.llm, "track": track}),
    ):
        named = [(f"{part}.{n}", p) for part, m in parts.items() for n, p in m.named_parameters()] + (
            [("newline", model.newline)] if "llm" in parts else []
        )
        inner = lambda n, p: p.ndim == 2 and ("layers." in n or "projector" in n)
        if rate:
            matrices.append(([p for n, p in named if inner(n, p)], rate))
            rest.append(([p for n, p in named if not inner(n, p)], rate))
    optimizer = Muon(matrices, rest)
    file = args.state / f"{args.stage}.pt"
    step = 0
    if file.exists():
        saved = torch.load(file, weights_only=True)
        both.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    elif before:
        both.load_state_dict(torch.load(args.state / f"{before}.pt", weights_only=True)["model"])
        if args.stage == "track":
            look_back(model)
            for p in model.projector[2].parameters():
                p.data /= 16  # from about 5 to 0.3: beside larger visual tokens, what the decoder adds would hardly count
        if not tower_rate:  # frozen from here on: what it says is to be what the exported bf16 weights say
            with torch.no_grad():
                for p in [*model.tower.parameters(), *model.projector.parameters()]:
                    p.copy_(p.bfloat16())

    def save():
        torch.save({"model": both.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, file.with_suffix(".tmp"))
        os.replace(file.with_suffix(".tmp"), file)
        if args.stage in ("language", "finish"):
            model.save(args.state / "export")

    clips = Clips(args.state / "data")
    print(len(clips.items), "clips,", sum(p.numel() for p in model.parameters()), "parameters, from step", step, flush=True)
    start = saved_at = time.time()
    meter, stop, errors = {}, [], torch.ones(len(KINDS))
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    batches = iter(
        DataLoader(
            Steps(clips, tokenizer, args.stage, args.seed), batch_size=None, sampler=range(step, steps), num_workers=1, prefetch_factor=4
        )
    )
    while step < steps and not stop and time.time() - start < args.minutes * 60:
        while (args.state / "PAUSE").exists() and not stop:
            time.sleep(1)
        if stop:
            break
        batch = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * min(1, (step + 1) / 100, (steps - step) / (fall * steps) if fall else 1)
        with torch.autocast("cpu", torch.bfloat16):
            loss, scores = (
                tower_step(model, probe, batch, args.stage == "sort") if tower_rate else decoder_step(model, track, batch, errors)
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        step += 1
        for k, v in scores.items():
            meter.setdefault(k, []).extend(v if isinstance(v, list) else [v])
        if step % 50 == 0:
            print(
                step,
                f"{(time.time() - start):.0f}s",
                f"{float(loss):.3f}",
                *(f"{k} {np.mean(v):.3f}" for k, v in sorted(meter.items()) if v),
                flush=True,
            )
            meter = {}
        if time.time() - saved_at > 240:
            save()
            saved_at = time.time()
    save()
    print("stopped at step", step, "of", steps, flush=True)


if __name__ == "__main__":
    main()
