"""Teach tower and projector, from nothing, what frames show: python see.py STATE. A cut run goes on.

First every pooled cell says what the whole frame shows, and every patch redraws the outlines of the shapes. Then the
cells of row r learn to speak of shape r alone (there are four of both), so that the decoder finds the shape that a
question names. STATE/see/export is the checkpoint; its decoder knows nothing yet.
"""

import argparse
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.utils.data import DataLoader

import checkpoint
import config
from clips import Clips, changed, changed_frames
from grid import CELLS
from labels import ground, outline, state
from model import DemoModel
from optimiser import Muon
from precision import has_fast_bf16
from probes import Frames

SEED = 11
ALL, SORTED = 1600, 400  # steps
RATES = {
    False: (2e-3, 0.4),
    True: (1e-3, 0.7),
}  # before and after the cells are sorted: peak, share of the steps that it falls over
WARM_UP = 100  # steps
FEW, CLIPS = 4, 32  # frames of a clip, clips a step
SMALL = 16  # visual tokens are made so much smaller at the end: beside larger ones, what the decoder adds would hardly count


class Stills:
    """The batch of each step, from the seed and the step's number alone: random frames of random clips."""

    def __init__(self, clips):
        self.clips = clips

    def __getitem__(self, step):
        rng = np.random.default_rng([SEED, step])
        made = []
        for _ in range(CLIPS):
            scene, data = self.clips.items[int(rng.integers(len(self.clips.items)))]
            picked = np.sort(rng.choice(scene["frames"], FEW, replace=False))
            frames = data[picked]
            if rng.random() < 0.5:
                scene, frames = changed(scene), changed_frames(scene, frames)
            there, place, color = state(scene, picked / scene["fps"])
            made.append((frames, there, place, color, np.tile(ground(scene), (FEW, 1)), outline(scene, there, place)))
        return dict(zip(("frames", "there", "place", "color", "ground", "outline"), map(np.concatenate, zip(*made))))


def patches(model, frames):
    """model.patches, with attention spelt out, which is faster backward: there are only 64 patches."""
    states = [model.tower.embeddings(model.pixels(frames)).float()]
    for layer in model.tower.encoder.layers:
        y, a, x = layer.layer_norm1(states[-1]), layer.self_attn, states[-1]
        q, k, v = (part(y).unflatten(-1, (-1, a.head_dim)).transpose(1, 2) for part in (a.q_proj, a.k_proj, a.v_proj))
        weights = ((q * a.head_dim**-0.5) @ k.mT).softmax(-1, torch.float32).to(v.dtype)
        x = x + a.out_proj((weights @ v).transpose(1, 2).flatten(2))
        states.append(x + layer.mlp(layer.layer_norm2(x)))
    return states


@torch.no_grad()
def prepare(model, distance=CELLS * (CELLS + 1), strength=2.4, fastest=14):
    """What the decoder needs to begin: small visual tokens, and in the first head of the first two layers one that sees
    the same place of the frame before. Rotary positions and the biases of queries and keys alone make its score peak at
    that distance."""
    for p in model.projector[2].parameters():
        p /= SMALL
    for layer in model.llm.model.layers[:2]:
        a = layer.self_attn
        half, angle = a.head_dim // 2, distance * model.llm.model.rotary_emb.inv_freq[:fastest]
        a.k_proj.bias[:fastest] = strength
        a.q_proj.bias[:fastest], a.q_proj.bias[half : half + fastest] = strength * angle.cos(), -strength * angle.sin()


class Run:
    """The training: how far it is, and its files."""

    def __init__(self, state):
        folder = state / "see"
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self.export, self.step = folder / "train.pt", folder / "export", 0
        tokenizer = Tokenizer.from_file(str(state / "tokenizer.json"))
        self.model = DemoModel(config.make(tokenizer.get_vocab_size()), tokenizer)
        self.probe = Frames(self.model.config["hidden_size"], self.model.config["mm_hidden_size"])
        self.parts = nn.ModuleList([self.model.tower, self.model.projector, self.probe])
        inner = lambda name, p: p.ndim == 2 and ("layers." in name or name.startswith("1."))
        named = list(self.parts.named_parameters())
        self.optimizer = Muon(
            [([p for n, p in named if inner(n, p)], True), ([p for n, p in named if not inner(n, p)], False)]
        )
        if self.file.exists():
            saved = torch.load(self.file, weights_only=True)
            self.model.load_state_dict(saved["model"])
            self.probe.load_state_dict(saved["probe"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step = saved["step"]

    def keep(self):
        """Write the state."""
        state = {"model": self.model.state_dict(), "probe": self.probe.state_dict(), "step": self.step}
        torch.save(state | {"optimizer": self.optimizer.state_dict()}, self.file.with_suffix(".tmp"))
        os.replace(self.file.with_suffix(".tmp"), self.file)

    def learn(self, batch):
        """One step; its scores."""
        is_sorted = self.step >= ALL
        peak, fall = RATES[is_sorted]
        done, steps = (self.step - ALL, SORTED) if is_sorted else (self.step, ALL)
        rate = peak * min(1, (done + 1) / WARM_UP, (steps - done) / (fall * steps))
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            states = patches(self.model, batch["frames"])
            loss, scores = self.probe.loss(states, self.model.pool(states[-1]), batch, is_sorted)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        nn.utils.clip_grad_norm_([p for p in self.parts.parameters() if p.grad is not None], 1.0)
        self.optimizer.step()
        self.step += 1
        return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path, help="with data, and tokenizer.json")
    parser.add_argument("--threads", type=int, default=2, help="another number gives other roundings")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)
    run, start, meter, stop = Run(args.state), time.time(), {}, []
    saved_at = start
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    steps = range(run.step, ALL + SORTED)
    loader = DataLoader(
        Stills(Clips(args.state / "data")), batch_size=None, sampler=steps, num_workers=1, prefetch_factor=4
    )
    for batch in loader:
        while (args.state / "PAUSE").exists() and not stop:
            time.sleep(1)
        if stop:
            break
        for name, value in run.learn(batch).items():
            meter.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        if run.step % 50 == 0:
            print(
                run.step,
                f"{time.time() - start:.0f}s",
                *(f"{n} {np.mean(v):.3f}" for n, v in meter.items()),
                flush=True,
            )
            meter = {}
        if time.time() - saved_at > 120:
            run.keep()
            saved_at = time.time()
    run.keep()
    if run.step == ALL + SORTED:
        prepare(run.model)
        checkpoint.save(run.model, run.export)
    print("stopped at step", run.step, "of", ALL + SORTED, flush=True)


if __name__ == "__main__":
    main()
