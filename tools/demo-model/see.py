"""Teach tower and projector what frames show: python see.py STATE [STAGE]. A cut run goes on.

The stage "see" begins from nothing. First every pooled cell says what the whole frame shows, and every patch redraws
the outlines of the shapes. Then the cells of row r learn to speak of shape r alone (there are four of both), so that
the decoder finds the shape that a question names. STATE/see/export is the checkpoint; its decoder knows nothing yet.
The stage "again" does more of the latter with what train.py made of it, over all clips that are there by then.
"""

import argparse
import os
import signal
import time
from dataclasses import dataclass
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
from labels import shown
from model import DemoModel
from optimiser import Muon
from precision import has_fast_bf16
from probes import Frames
from tower import HEADS, patches

WARM_UP = 100  # steps
FEW, CLIPS = 4, 32  # frames of a clip, clips a step
SMALL = 16  # visual tokens are made so much smaller at the end: what the decoder adds would hardly count beside others


@dataclass
class Part:
    """Steps of a stage before or after the cells are sorted."""

    is_sorted: bool
    steps: int
    peak: float  # rate
    fall: float  # share of the steps over which the rate falls to nothing


@dataclass
class Stage:
    """One training from beginning to end."""

    after: str | None  # the stage that it goes on from
    seed: int
    parts: tuple
    heads: float = 1.0  # rate of the heads, in that of the rest

    @property
    def steps(self):
        return sum(part.steps for part in self.parts)

    def at(self, step):
        """(rate, whether the cells are sorted)."""
        for part in self.parts:
            if step < part.steps:
                share = min(1, (step + 1) / WARM_UP, (part.steps - step) / (part.fall * part.steps))
                return part.peak * share, part.is_sorted
            step -= part.steps
        raise IndexError(step)


STAGES = {
    "see": Stage(after=None, seed=11, parts=(Part(False, 1600, 2e-3, 0.4), Part(True, 400, 1e-3, 0.7))),
    "again": Stage(after="finish", seed=29, parts=(Part(True, 2200, 1e-3, 0.9),), heads=3.0),
}


class Stills:
    """The batch of each step, from the seed and the step's number alone: random frames of random clips."""

    def __init__(self, clips, seed):
        self.clips, self.seed = clips, seed

    def __getitem__(self, step):
        rng = np.random.default_rng([self.seed, step])
        made = []
        for _ in range(CLIPS):
            scene, data = self.clips.items[int(rng.integers(len(self.clips.items)))]
            picked = np.sort(rng.choice(scene["frames"], FEW, replace=False))
            frames = data[picked]
            if rng.random() < 0.5:
                scene, frames = changed(scene), changed_frames(scene, frames)
            made.append({"frames": frames} | shown(scene, picked / scene["fps"]))
        return {name: np.concatenate([one[name] for one in made]) for name in made[0]}


@torch.no_grad()
def scale(model, factor):
    """Multiply the visual tokens by a factor."""
    for p in model.projector[2].parameters():
        p *= factor


@torch.no_grad()
def prepare(model, distance=CELLS * (CELLS + 1), strength=2.4, fastest=14):
    """What the decoder needs to begin: in the first head of the first two layers one that sees the same place of the
    frame before. Rotary positions and the biases of queries and keys alone make its score peak at that distance."""
    for layer in model.llm.model.layers[:2]:
        a = layer.self_attn
        half, angle = a.head_dim // 2, distance * model.llm.model.rotary_emb.inv_freq[:fastest]
        a.k_proj.bias[:fastest] = strength
        a.q_proj.bias[:fastest], a.q_proj.bias[half : half + fastest] = strength * angle.cos(), -strength * angle.sin()


class Run:
    """The training: how far it is, and its files."""

    def __init__(self, state, name):
        self.stage, folder = STAGES[name], state / name
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self.export, self.step = folder / "train.pt", folder / "export", 0
        before = self.stage.after and state / self.stage.after / "export"
        if before:
            self.model, self.heads = checkpoint.load(before).train(), checkpoint.heads(before)
            scale(self.model, SMALL)
        else:
            tokenizer = Tokenizer.from_file(str(state / "tokenizer.json"))
            self.model, self.heads = DemoModel(config.make(tokenizer.get_vocab_size()), tokenizer), {}
        self.probe = Frames(self.model.config["hidden_size"], self.model.config["mm_hidden_size"])
        self.parts = nn.ModuleList([self.model.tower, self.model.projector, self.probe])
        inner = lambda name, p: p.ndim == 2 and ("layers." in name or name.startswith("1."))
        named, heads = list(self.parts[:2].named_parameters()), self.probe.parameters()
        self.optimizer = Muon(
            [
                ([p for n, p in named if inner(n, p)], True, 1.0),
                ([p for n, p in named if not inner(n, p)], False, 1.0),
                (list(heads), False, self.stage.heads),
            ]
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

    def finish(self):
        """Write the checkpoint, with the heads of the stage before and these."""
        scale(self.model, 1 / SMALL)
        if not self.stage.after:
            prepare(self.model)
        mine = {HEADS + name: value for name, value in self.probe.state_dict().items()}
        checkpoint.save(self.model, self.export, self.heads | mine)

    def learn(self, batch):
        """One step; its scores."""
        rate, is_sorted = self.stage.at(self.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            states = patches(self.model, batch["frames"])
            loss, scores = self.probe.loss(states, self.model.pool(states[-1]), batch, is_sorted)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.at(rate)
        nn.utils.clip_grad_norm_([p for p in self.parts.parameters() if p.grad is not None], 1.0)
        self.optimizer.step()
        self.step += 1
        return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path, help="with data, and tokenizer.json")
    parser.add_argument("name", metavar="stage", nargs="?", choices=STAGES, default="see", help=", ".join(STAGES))
    parser.add_argument("--threads", type=int, default=2, help="another number gives other roundings")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(STAGES[args.name].seed)
    run, start, meter, stop = Run(args.state, args.name), time.time(), {}, []
    saved_at = start
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    steps, clips = range(run.step, run.stage.steps), Clips(args.state / "data")
    loader = DataLoader(Stills(clips, run.stage.seed), batch_size=None, sampler=steps, num_workers=1, prefetch_factor=4)
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
                *(f"{n} {np.mean(v):.4f}" for n, v in meter.items()),
                flush=True,
            )
            meter = {}
        if time.time() - saved_at > 120:
            run.keep()
            saved_at = time.time()
    run.keep()
    if run.step == run.stage.steps:
        run.finish()
    print("stopped at step", run.step, "of", run.stage.steps, flush=True)


if __name__ == "__main__":
    main()
