"""Train the demo model in resumable stages: python train.py STATE STAGE [--minutes 60]. A cut run goes on where it was.

tower: each pooled cell says what is on it (shape, colour, place, background), through heads that are dropped later.
track: the decoder's first layers learn, over the visual tokens alone, what each shape has done up to each frame; heads again.
language: the decoder learns questions, many of them a clip in one forward, and the tower goes on learning.
finish: the same at a low rate.
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

import video
import world
from model import CELLS, END, HEAD, IMAGE, PATCH, TAIL, DemoModel, make_config

STAGES = {  # steps, peak rate of (tower and projector, decoder), start of a fresh stage
    "tower": (1200, 2e-3, 0.0, None),
    "track": (3000, 1.5e-3, 1.5e-3, "tower"),
    "language": (5000, 5e-4, 1.5e-3, "track"),
    "finish": (2000, 2e-4, 4e-4, "language"),
}
FRAMES = {4: 0.08, 6: 0.12, 8: 0.3, 10: 0.14, 12: 0.12, 16: 0.14, 24: 0.05, 32: 0.03, 64: 0.01, 110: 0.01}
BUDGET = 128  # frames a step
TEXT = 320  # question and answer tokens a clip, about
KINDS = {"describe": 1.5, "color": 1.5, "shape": 1.2, "direction": 2.5, "count": 0.7, "order": 1.5, "relation": 1.5, "event": 1.2,
         "background": 1.0, "yesno": 2.5, "choice": 3.0, "when": 3.0}


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
                self.items.append((scene, data[start:start + scene["frames"]]))
                start += scene["frames"]

    def view(self, rng, count):
        """(scene, total frames, frame indices, u8 frames) with count frames, or None where they would not show what the scene says."""
        scene, data = self.items[int(rng.integers(len(self.items)))]
        if not history_bias(rng, scene):
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


def history_bias(rng, scene):
    """Prefer clips with events."""
    return rng.random() < (0.4, 0.8, 1.0)[len(world.history(scene))]


# ---- stage tower --------------------------------------------------------------------------------------------------

class Probe(nn.Module):
    """Heads that read each pooled cell; used in training only."""
    PARTS = (len(world.SHAPES) + 1, len(world.COLORS) + 1, len(world.GROUNDS), len(world.TEXTURES), 2)

    def __init__(self, hidden, width):
        super().__init__()
        self.norm, self.out = nn.LayerNorm(hidden), nn.Linear(hidden, sum(self.PARTS))
        self.early = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(world.SHAPES) * FINE ** 2))
        self.late = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(world.SHAPES) * FINE ** 2))

    def outline(self, states, masks):
        """Loss of redrawing the objects: each patch says which of its FINE x FINE parts each shape covers; early layers, any shape."""
        masks = torch.as_tensor(masks)
        whole = masks.unflatten(-1, (len(world.SHAPES), -1)).amax(-2)
        return 10 * F.binary_cross_entropy_with_logits(self.early(states[2])[..., :FINE ** 2], whole) + \
            30 * F.binary_cross_entropy_with_logits(self.late(states[-1]), masks)

    def loss(self, cells, labels):
        """(loss, accuracies) of cells [N,4,4,H]; labels are arrays [N,4,4] of classes and [N,4,4,2] of centres."""
        shape, color, ground, texture, place = self.out(self.norm(cells)).split(self.PARTS, -1)
        total, scores = 0.0, []
        for logits, want in zip((shape, color, ground, texture), labels):
            want = torch.as_tensor(want)
            total = total + F.cross_entropy(logits.flatten(0, 2), want.flatten())
            hit = logits.argmax(-1) == want
            scores.append(float(hit[torch.as_tensor(labels[0]) > 0].float().mean()))
        there = torch.as_tensor(labels[0]) > 0
        gap = (place - torch.as_tensor(labels[4]))[there].abs()
        return total + 4 * F.smooth_l1_loss(gap, torch.zeros_like(gap), beta=0.05), scores + [float(gap.mean())]


def cell_labels(scene, t):
    """What each cell shows at time t: shape, colour (0 for none), ground, texture, centre of the object on it."""
    shape, color = np.zeros((CELLS, CELLS), int), np.zeros((CELLS, CELLS), int)
    place, best = np.zeros((CELLS, CELLS, 2), np.float32), np.full((CELLS, CELLS), 0.08)
    low = np.arange(CELLS) / CELLS
    for obj in scene["objects"]:
        rgb = world.look(obj, t)
        if rgb is None:
            continue
        x, y = world.position(obj, t)
        name = obj["color"]
        for e in obj["events"]:
            name = e["to"] if e["kind"] == "color" and e["t"] <= t else name
        half = obj["size"] * min(scene["w"], scene["h"]) / 2
        over = [np.clip(np.minimum(low + 1 / CELLS, c + half / n) - np.maximum(low, c - half / n), 0, None) * CELLS
                for c, n in ((x, scene["w"]), (y, scene["h"]))]
        cover = np.outer(over[1], over[0])
        won = cover > best
        best = np.maximum(best, cover)
        shape[won], color[won], place[won] = world.SHAPES.index(obj["shape"]) + 1, world.COLORS.index(name) + 1, (x, y)
    full = np.ones((CELLS, CELLS), int)
    return shape, color, full * world.GROUNDS.index(scene["ground"]), full * world.TEXTURES.index(scene["texture"]), place


FINE = 4  # parts a patch is cut into, each way
STENCILS = [world.stencil(shape, 64, True) > 0 for shape in world.SHAPES]


def outline_labels(scene, t):
    """Share of each part of each patch that each shape covers: [patches, shapes * FINE * FINE]."""
    side = IMAGE // PATCH
    fine = side * FINE
    out = np.zeros((len(world.SHAPES), fine, fine), np.float32)
    at = (np.arange(2 * fine) + 0.5) / (2 * fine)
    for obj in scene["objects"]:
        if world.look(obj, t) is not None:
            half = obj["size"] * min(scene["w"], scene["h"]) / 2
            u, v = [np.floor(((at - c) / (half / n) + 1) * 32).astype(int) for c, n in zip(world.position(obj, t), (scene["w"], scene["h"]))]
            inside = STENCILS[world.SHAPES.index(obj["shape"])][np.ix_(v.clip(0, 63), u.clip(0, 63))]
            inside = inside & ((v >= 0) & (v < 64))[:, None] & ((u >= 0) & (u < 64))
            out[world.SHAPES.index(obj["shape"])] = inside.reshape(fine, 2, fine, 2).mean((1, 3))
    return out.reshape(-1, side, FINE, side, FINE).transpose(1, 3, 0, 2, 4).reshape(side * side, -1)


def tower_step(model, probe, clips, rng):
    frames, labels, masks = [], [], []
    while len(frames) < BUDGET:
        found = clips.view(rng, 8)
        if found:
            scene, _, picked, data = found
            for k in rng.permutation(8)[:4]:
                frames.append(data[k])
                labels.append(cell_labels(scene, picked[k] / scene["fps"]))
                masks.append(outline_labels(scene, picked[k] / scene["fps"]))
    states = model.patches(np.stack(frames))
    loss, scores = probe.loss(model.pool(states[-1]), [np.stack(part) for part in zip(*labels)])
    outline = probe.outline(states, np.stack(masks))
    return loss + outline, dict(zip(("shape", "color", "ground", "texture", "place", "outline"), scores + [float(outline)]))


# ---- stages with the decoder --------------------------------------------------------------------------------------

EVENTS = ("appear", "disappear", "color", "blink", "turn")


class Track(nn.Module):
    """Heads on the last token of each frame inside the decoder: what each shape does there and has done so far; training only."""
    PARTS = (1, len(world.DIRECTIONS) + 1, len(EVENTS), len(EVENTS))

    def __init__(self, hidden, depths):
        super().__init__()
        self.depths = depths
        self.heads = nn.ModuleList(nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, len(world.SHAPES) * sum(self.PARTS))) for _ in depths)

    def loss(self, states, at, labels):
        """Loss at positions at [B, F] of the decoder's states."""
        present, way, done, share = [torch.as_tensor(np.stack(part)) for part in zip(*labels)]
        total = 0.0
        for depth, head in zip(self.depths, self.heads):
            x = head(torch.gather(states[depth], 1, at[..., None].expand(-1, -1, states[depth].shape[-1])))
            a, b, c, d = x.unflatten(-1, (len(world.SHAPES), -1)).split(self.PARTS, -1)
            total = total + F.binary_cross_entropy_with_logits(a[..., 0], present) + F.cross_entropy(b.flatten(0, 2), way.flatten(), ignore_index=-1) + \
                2 * F.binary_cross_entropy_with_logits(c, done) + 4 * F.smooth_l1_loss(d, share, beta=0.05)
        hit = (b.argmax(-1) == way)[way >= 0].float().mean()
        return total / len(self.depths), float(hit), float(((c > 0) == (done > 0.5))[present.amax(1).unsqueeze(1).expand_as(present) > 0].float().mean())


def track_labels(scene, times):
    """Of each frame and shape: present [F,4], heading [F,4] (-1 before it can be known), events done and their age as a share [F,4,5]."""
    count, shapes = len(times), len(world.SHAPES)
    present, way = np.zeros((count, shapes), np.float32), np.full((count, shapes), -1)
    done, share = np.zeros((2, count, shapes, len(EVENTS)), np.float32)
    index, gap = np.arange(count), times[1] - times[0]
    for obj in scene["objects"]:
        s = world.SHAPES.index(obj["shape"])
        seen = np.array([world.look(obj, t) is not None for t in times])
        present[:, s] = seen
        ways = [("", *world.DIRECTIONS).index(world.heading(obj, last)) for last in (False, True)]
        turn = next((e["t"] for e in obj["events"] if e["kind"] == "turn"), np.inf)
        known = np.cumsum(seen) >= 2
        way[known, s] = np.where(times > turn + gap, ways[1], ways[0])[known]
        for e in obj["events"]:
            k = EVENTS.index(e["kind"])
            first = int(np.argmax(times >= e["t"]))
            over = times >= e.get("end", e["t"])
            done[over, s, k] = 1
            share[over, s, k] = ((index - first + 1) / (index + 1))[over]
            if e["kind"] == "blink":
                off = (times >= e["t"]) & ~over
                done[off, s, 1] = 1
                share[off, s, 1] = ((index - first + 1) / (index + 1))[off]
    return present, way, done, share


def quiz(rng, scene, timed, gap):
    """Different (kind, question, answer) of the scene, in random order."""
    kinds = {k: w for k, w in KINDS.items() if k != "when" or timed and gap <= 0.6}
    names, weights = list(kinds), np.array(list(kinds.values()))
    seen, described = set(), False
    for kind in rng.choice(names, 40, p=weights / weights.sum()):
        found = world.ask(rng, scene, str(kind))
        if found and found[0] not in seen and not (kind == "describe" and described):
            seen.add(found[0])
            described |= kind == "describe"
            yield str(kind), *found


def pack(model, rng, rows):
    """Ids, segments, positions, targets and weights of a batch; the visual tokens are -1 in ids."""
    made = []
    head = model.ids(HEAD)
    for scene, total, picked, _ in rows:
        timed = rng.random() < 0.4
        lead = "\n"
        if timed:
            lead = ("" if rng.random() < 0.5 else "\n") + video.time_instruction(total, scene["fps"], picked) + "\n"
        shared = head + [-1] * (len(picked) * CELLS * (CELLS + 1)) + model.ids(lead)
        ids, seg, pos, want, weight, kinds = list(shared), [0] * len(shared), list(range(len(shared))), [-100] * len(shared), [0.0] * len(shared), [-1] * len(shared)
        room = len(shared) + max(TEXT - len(model.ids(lead)), 200)
        for n, (kind, q, a) in enumerate(quiz(rng, scene, timed, total / scene["fps"] / (len(picked) - 1)), 1):
            ask, reply = model.ids(q + TAIL), model.ids(a + END)
            if len(ids) + len(ask) + len(reply) > room:
                break
            ids += ask + reply
            seg += [n] * (len(ask) + len(reply))
            pos += range(len(shared), len(shared) + len(ask) + len(reply))
            want += [-100] * (len(ask) - 1) + reply + [-100]
            weight += [len(reply) ** -0.5] * (len(ask) + len(reply))
            kinds += [list(KINDS).index(kind)] * (len(ask) + len(reply))
        made.append((ids, seg, pos, want, weight, kinds))
    longest = max(len(m[0]) for m in made)
    fill = (0, -1, 0, -100, 0.0, -1)
    return [torch.tensor([m[i] + [fill[i]] * (longest - len(m[i])) for m in made]) for i in range(6)]


def draw(clips, rng):
    """Clips that fit one step, all of one frame count: (frame count, rows, u8 frames)."""
    count = int(rng.choice(list(FRAMES), p=np.array(list(FRAMES.values())) / sum(FRAMES.values())))
    rows = []
    while len(rows) < max(1, BUDGET // count):
        found = clips.view(rng, count)
        if found:
            rows.append(found)
    return count, rows, np.concatenate([r[3] for r in rows])


def decode(model, x, mask, pos, depth):
    """The decoder's states before, between and after its first layers."""
    states, turn = [x], model.llm.model.rotary_emb(x, pos)
    for layer in model.llm.model.layers[:depth]:
        states.append(layer(states[-1], attention_mask=mask, position_embeddings=turn)[0])
    return states


def follow(model, track, states, count, rows):
    """Loss and scores of the track heads at the last token of each frame."""
    ends = len(model.ids(HEAD)) + CELLS * (CELLS + 1) * torch.arange(1, count + 1) - 1
    loss, way, done = track.loss(states, ends.expand(len(rows), -1), [track_labels(r[0], r[2] / r[0]["fps"]) for r in rows])
    return loss, {"~track": [float(loss)], "~way": [way], "~done": [done]}


def see(probe, features, cells, rows):
    """Loss and scores of the tower's heads."""
    spots = [(r[0], k / r[0]["fps"]) for r in rows for k in r[2]]
    loss, hits = probe.loss(cells, [np.stack(part) for part in zip(*(cell_labels(*s) for s in spots))])
    return loss + probe.outline(features, np.stack([outline_labels(*s) for s in spots])), {"~shape": [hits[0]], "~color": [hits[1]], "~place": [hits[4]]}


def track_step(model, probe, track, clips, rng):
    count, rows, frames = draw(clips, rng)
    features = model.patches(frames)
    cells = model.pool(features[-1])
    head = model.embed(model.ids(HEAD)).expand(len(rows), -1, -1)
    x = torch.cat([head, model.visual(cells).reshape(len(rows), -1, head.shape[-1])], 1)
    states = decode(model, x, None, torch.arange(x.shape[1])[None], max(track.depths))
    loss, scores = follow(model, track, states, count, rows)
    seen, more = see(probe, features, cells, rows)
    return loss + 0.3 * seen, scores | more


def language_step(model, probe, track, clips, rng):
    """Loss over many questions of several clips; scores are whole answers right, by kind."""
    count, rows, frames = draw(clips, rng)
    ids, seg, pos, want, weight, kinds = pack(model, rng, rows)
    features = model.patches(frames)
    cells = model.pool(features[-1])
    visual = model.visual(cells)
    x = model.embed(ids.clamp(min=0))
    x = x.masked_scatter((ids < 0)[..., None], visual.flatten(0, 1).float())
    mask = ((seg[:, None, :] == 0) | (seg[:, None, :] == seg[:, :, None])) & torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    mask = torch.zeros(mask.shape).masked_fill(~mask, -1e9)[:, None]
    states = decode(model, x, mask, pos, len(model.llm.model.layers))
    asked = want >= 0
    logits = model.llm.lm_head(model.llm.model.norm(states[-1][asked]))
    weight = weight[asked]
    loss = (F.cross_entropy(logits, want[asked], reduction="none") * weight).sum() / weight.sum()
    wrong = (logits.argmax(-1) != want[asked]).int()
    group = (torch.arange(len(rows))[:, None] * 100 + seg)[asked]
    scores = {}
    for g in group.unique():
        mine = group == g
        scores.setdefault(list(KINDS)[int(kinds[asked][mine][0])], []).append(1.0 - float(wrong[mine].max()))
    followed, more = follow(model, track, states, count, rows)
    seen, most = see(probe, features, cells, rows)
    return loss + 0.3 * followed + 0.2 * seen, {"~loss": [float(loss)], **scores, **more, **most}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, help="length of the stage when it differs from the table")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(args.seed)
    steps, tower_rate, text_rate, before = STAGES[args.stage]
    steps = args.steps or steps

    tokenizer = Tokenizer.from_file(str(args.state / "tokenizer.json"))
    model = DemoModel(make_config(tokenizer.get_vocab_size()), tokenizer)
    probe = Probe(model.config["hidden_size"], model.config["mm_hidden_size"])
    track = Track(model.config["hidden_size"], (2, 3))
    both = nn.ModuleList([model, probe, track])
    seeing = [*model.tower.parameters(), *model.projector.parameters(), *probe.parameters()]
    speaking = [*model.llm.parameters(), model.newline, *track.parameters()]
    groups = [{"params": [p for p in part if (p.ndim > 1) == wide], "rate": rate, "weight_decay": 0.05 if wide else 0.0}
              for part, rate in ((seeing, tower_rate), (speaking, text_rate)) if rate for wide in (True, False)]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    file = args.state / f"{args.stage}.pt"
    step = 0
    if file.exists():
        saved = torch.load(file, weights_only=True)
        both.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    elif before:
        both.load_state_dict(torch.load(args.state / f"{before}.pt", weights_only=True)["model"], strict=False)

    def save():
        torch.save({"model": both.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, file.with_suffix(".tmp"))
        os.replace(file.with_suffix(".tmp"), file)
        if args.stage in ("language", "finish"):
            model.save(args.state / "export")

    if args.stage in ("language", "finish"):
        for layer in model.llm.model.layers:
            layer.compile(dynamic=True)
    clips = Clips(args.state / "data")
    print(len(clips.items), "clips,", sum(p.numel() for p in model.parameters()), "parameters, from step", step, flush=True)
    start = saved_at = time.time()
    meter, stop = {}, []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    while step < steps and not stop and time.time() - start < args.minutes * 60:
        while (args.state / "PAUSE").exists() and not stop:
            time.sleep(1)
        if stop:
            break
        rng = np.random.default_rng([args.seed, list(STAGES).index(args.stage), step])
        scale = min(1, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = float(group["rate"] * scale)
        if args.stage == "tower":
            loss, scores = tower_step(model, probe, clips, rng)
        elif args.stage == "track":
            loss, scores = track_step(model, probe, track, clips, rng)
        else:
            loss, scores = language_step(model, probe, track, clips, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        step += 1
        for k, v in scores.items():
            meter.setdefault(k, []).extend(v if isinstance(v, list) else [v])
        if step % 50 == 0:
            print(step, f"{(time.time() - start):.0f}s", f"{float(loss):.3f}", *(f"{k} {np.mean(v):.3f}" for k, v in sorted(meter.items())), flush=True)
            meter = {}
            clips.refresh()
        if time.time() - saved_at > 240:
            save()
            saved_at = time.time()
    save()
    print("stopped at step", step, "of", steps, flush=True)


if __name__ == "__main__":
    main()
