"""Teach the decoder what a tower sees: python train.py STATE STAGE. A cut run goes on.

First tower and projector stay as see.py leaves them. What they make of the clips' frames is computed once and kept
beside them (STATE/see/seen), the decoder learns over that: first what shapes have done (track), then to answer (talk),
then the same with more frames (long, order, finish). In the end all learn together, over the clips' pixels (whole,
refer). STATE/refer/export is the checkpoint.
"""

import argparse
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

import checkpoint
import decoder
from batches import Steps
from clips import Clips, Films
from heads import Events, Options
from optimiser import Muon
from precision import has_fast_bf16
from probes import Frames, Story
from text import NAMES
from tower import HEADS, patches, seen

WARM_UP = 60  # steps
REST = 0.3  # rate of what is no matrix, in that of the matrices
LOOKS = 0.3  # weight of what frames show
SEES = ("model.tower.", "model.projector.", HEADS)


@dataclass
class Stage:
    """One training from beginning to end."""

    after: str  # the stage that it goes on from
    seed: int
    steps: int
    rate: float  # peak, of the matrices
    fall: float  # share of the steps over which the rate falls to nothing
    asks: bool = True  # or tells of shapes only
    many: float = 1.0  # how often many frames are shown, see Steps
    tower: float = 0.0  # rate of the tower, in that of the rest; at 0 it stays


STAGES = {
    "track": Stage(after="see", seed=13, steps=700, rate=1e-3, fall=0.2, asks=False),
    "talk": Stage(after="track", seed=15, steps=5000, rate=1e-3, fall=0.0, many=0.25),
    "long": Stage(after="talk", seed=17, steps=4500, rate=8e-4, fall=0.87),
    "order": Stage(after="long", seed=19, steps=3000, rate=8e-4, fall=1.0, many=1.5),
    "finish": Stage(after="order", seed=23, steps=2600, rate=8e-4, fall=1.0, many=1.5),
    "whole": Stage(after="again", seed=31, steps=3000, rate=8e-4, fall=1.0, many=2.0, tower=0.25),
    "refer": Stage(after="whole", seed=37, steps=1000, rate=5e-4, fall=1.0, many=2.0, tower=0.1),
}


class Parts(nn.Module):
    """The model, and the heads that it has in training."""

    def __init__(self, folder):
        super().__init__()
        self.model = checkpoint.load(folder).train()
        hidden, width = (self.model.config[name] for name in ("hidden_size", "mm_hidden_size"))
        self.head, self.events, self.story = Options(hidden), Events(hidden), Story(hidden)
        self.frames = Frames(hidden, width)

    def decoder(self):
        """(name, parameter) of all but what sees."""
        return [(n, p) for n, p in self.named_parameters() if not n.startswith(SEES)]

    def tower(self):
        """(name, parameter) of what sees, but for the last product, whose scale is the decoder's."""
        return [(n, p) for n, p in self.named_parameters() if n.startswith(SEES) and "projector.2." not in n]

    def look(self, batch):
        """(loss, scores) of what the tower says that a batch's frames show; makes the cells of them."""
        frames = batch["frames"]
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            states = patches(self.model, frames.flatten(0, 1))
            cells = self.model.pool(states[-1])
            loss, scores = self.frames.loss(states, cells, batch["shown"], True)
            seen = self.model.projector(states[-1]) if batch["picture"] else cells.flatten(1, 2)
        batch["cells"] = seen.float().unflatten(0, frames.shape[:2])
        return loss, scores


class Run:
    """The training: how far it is, and its files."""

    def __init__(self, state, name):
        self.stage, folder, before = STAGES[name], state / name, state / STAGES[name].after
        folder.mkdir(exist_ok=True)
        self.file, self.export = folder / "train.pt", folder / "export"
        self.parts, self.step, self.errors = Parts(before / "export"), 0, torch.full([len(NAMES)], 0.5)
        inner = lambda name, p: p.ndim == 2 and "layers." in name
        parts = ((self.parts.decoder(), 1.0), (self.parts.tower() if self.stage.tower else [], self.stage.tower))
        self.optimizer = Muon(
            [
                ([p for n, p in named if inner(n, p) == muon], muon, share if muon else REST * share)
                for named, share in parts
                for muon in (True, False)
            ]
        )
        if self.file.exists():
            saved = torch.load(self.file, weights_only=True)
            self.parts.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.errors = saved["step"], saved["errors"]
        else:
            self.parts.load_state_dict(checkpoint.heads(before / "export"), strict=False)

    def keep(self):
        """Write the state, and the checkpoint."""
        state = {"model": self.parts.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"step": self.step, "errors": self.errors}, self.file.with_suffix(".tmp"))
        os.replace(self.file.with_suffix(".tmp"), self.file)
        heads = {n: value for n, value in self.parts.state_dict().items() if not n.startswith("model.")}
        checkpoint.save(self.parts.model, self.export, heads)

    def learn(self, batch, rate):
        """One step; its scores."""
        parts = self.parts
        unseen, more = parts.look(batch) if "frames" in batch else (0.0, {})
        # In f32 everywhere: torch 2.5's attention in bf16 costs more backward than bf16 products save.
        if self.stage.asks:
            heads = parts.head, parts.events
            loss, scores = decoder.step(parts.model, heads, parts.story, batch, self.errors, NAMES)
        else:
            loss, scores = decoder.track(parts.model, parts.story, batch)
        self.optimizer.zero_grad(set_to_none=True)
        (loss + LOOKS * unseen).backward()
        self.optimizer.at(rate)
        learning = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        nn.utils.clip_grad_norm_(learning, 1.0)
        self.optimizer.step()
        self.step += 1
        return scores | more


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("name", metavar="stage", choices=STAGES, help=", ".join(STAGES))
    parser.add_argument("--threads", type=int, default=2, help="another number gives other roundings")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    stage = STAGES[args.name]
    torch.manual_seed(stage.seed)
    run = Run(args.state, args.name)
    clips = Clips(args.state / "data")
    source = Films(clips) if stage.tower else seen(run.parts.model, clips, args.state / "see/seen", args.threads)
    steps, first = Steps(run.parts.model.tokenizer, source, stage.seed, stage.asks, stage.many), run.step
    print(len(source.scenes), "clips, from step", first, flush=True)
    start = saved_at = time.time()
    meter, stop = {}, []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    loader = DataLoader(steps, batch_size=None, sampler=range(first, stage.steps), num_workers=1, prefetch_factor=4)
    for batch in loader:
        while (args.state / "PAUSE").exists() and not stop:
            time.sleep(1)
        if stop:
            break
        share = min(1, (run.step + 1) / WARM_UP, (stage.steps - run.step) / max(1, stage.fall * stage.steps))
        scores = run.learn(batch, stage.rate * share)
        for name, value in scores.items():
            meter.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        if run.step % 25 == 0:
            told = (f"{name} {np.mean(values):.3f}" for name, values in sorted(meter.items()) if values)
            print(run.step, f"{time.time() - start:.0f}s", f"{time.process_time():.0f} cpu-s", *told, flush=True)
            meter = {}
        if time.time() - saved_at > 180:
            run.keep()
            saved_at = time.time()
    run.keep()
    print("stopped at step", run.step, "of", stage.steps, flush=True)


if __name__ == "__main__":
    main()
