"""Teach a checkpoint of the demo model more kinds of questions: python train.py STATE BASE PASS. A cut run goes on.

Tower and projector stay as they are. What they make of the clips' frames is computed once and kept
beside BASE (seen), the decoder learns over that. STATE/PASS/export is the checkpoint.
"""

import argparse
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

import checkpoint
import decoder
import video
from batches import FRAMES, Steps
from clips import PICTURES, Clips, Seen, changed_frames
from heads import Options
from optimiser import Muon
from precision import has_fast_bf16
from probes import Story
from text import KINDS, NAMES

WARM_UP = 60  # steps
FALL = 0.7  # see Pass
REST = 0.3  # rate of what is no matrix, in that of the matrices


@dataclass
class Pass:
    """One training from beginning to end."""

    seed: int
    steps: int
    rate: float  # peak, of the matrices
    after: str = ""  # the pass whose checkpoint it starts from, else the base
    kinds: dict = field(default_factory=dict)  # how often kinds are asked where not as in KINDS
    frames: dict = field(default_factory=dict)  # likewise of FRAMES
    asks: bool = True
    tells: bool = False  # what shapes have done
    keeps_view: bool = True  # what the decoder makes of frames stays what the base makes of them
    fall: float = FALL  # share of the steps over which the rate falls to nothing


HARD = {"describe": 3.0, "order": 2.0, "relation": 4.0}
MANY_FRAMES = {24: 0.05, 32: 0.07, 64: 0.08, 110: 0.12}
FROM_NOTHING = {"tells": True, "keeps_view": False}
PASSES = {
    "track": Pass(*(13, 1500, 5e-4, ""), frames=MANY_FRAMES, asks=False, fall=0.2, **FROM_NOTHING),
    "talk": Pass(*(15, 5000, 7e-4, "track"), HARD, MANY_FRAMES, **FROM_NOTHING),
    "first": Pass(*(1, 1800, 1e-3, ""), HARD | {"describe": 2.0}, MANY_FRAMES | {32: 0.06, 64: 0.04, 110: 0.05}),
    "second": Pass(*(3, 900, 8e-4, "first"), HARD | {"describe": 2.0}, MANY_FRAMES),
    "third": Pass(*(5, 1000, 8e-4, "second"), HARD, MANY_FRAMES),
    "fourth": Pass(*(7, 1200, 8e-4, "third"), HARD | {"describe": 6.0}, MANY_FRAMES),
}


class Parts(nn.Module):
    """The model, and what trains its decoder."""

    def __init__(self, folder):
        super().__init__()
        self.model = checkpoint.load(folder).train()
        self.head, self.story = (kind(self.model.config["hidden_size"]) for kind in (Options, Story))

    def trained(self):
        """(name, parameter) of what learns."""
        frozen = ("model.tower.", "model.projector.")
        return [(n, p) for n, p in self.named_parameters() if not n.startswith(frozen)]


@torch.no_grad()
def seen(model, clips, folder):
    """What the tower and the projector make of all clips, as they are and changed; kept in a file for each clip."""
    folder.mkdir(exist_ok=True)
    cells, patches = [], []
    for n, (scene, frames) in enumerate(clips.items):
        file = folder / f"{n}.npz"
        if not file.exists():
            made = {}
            for name, data in (("", frames), (" changed", changed_frames(scene, frames))):
                features = [model.patches(f)[-1] for f in torch.from_numpy(np.array(data)).split(64)]
                features = torch.cat(features)
                few = features[torch.from_numpy(video.sample(len(data), PICTURES))]
                made["cells" + name] = model.pool(features).flatten(1, 2).half().numpy()
                made["patches" + name] = model.projector(few).half().numpy()
            np.savez(folder / "new.npz", **made)
            os.replace(folder / "new.npz", file)
            if n % 100 == 99:
                print(n + 1, "clips seen", flush=True)
        with np.load(file) as found:
            cells.append([found["cells"], found["cells changed"]])
            patches.append([found["patches"], found["patches changed"]])
    return Seen([scene for scene, _ in clips.items], cells, patches)


class Run:
    """The training: how far it is, and its files."""

    def __init__(self, state, folder, base=None, wanted=None):
        state.mkdir(exist_ok=True)
        self.wanted = wanted or PASSES["first"]
        self.file, self.export, self.base = state / "train.pt", state / "export", base
        self.parts, self.step, self.errors = Parts(folder), 0, torch.full([len(NAMES)], 0.5)
        named = self.parts.trained()
        inner = lambda name, p: p.ndim == 2 and "layers." in name
        self.optimizer = Muon(
            [([p for n, p in named if inner(n, p)], True), ([p for n, p in named if not inner(n, p)], False)]
        )
        heads = state.parent / self.wanted.after / self.file.name
        if self.wanted.tells and self.wanted.after and not self.file.exists():  # heads are no part of a checkpoint
            self.parts.load_state_dict(torch.load(heads, weights_only=True)["model"])
        if self.file.exists():
            saved = torch.load(self.file, weights_only=True)
            self.parts.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.errors = saved["step"], saved["errors"]

    def keep(self):
        """Write the state, and the checkpoint."""
        state = {"model": self.parts.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"step": self.step, "errors": self.errors}, self.file.with_suffix(".tmp"))
        os.replace(self.file.with_suffix(".tmp"), self.file)
        checkpoint.save(self.parts.model, self.export)

    def learn(self, batch, rate):
        """One step; its scores."""
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            model, head, story = self.parts.model, self.parts.head, self.parts.story if self.wanted.tells else None
            if self.wanted.asks:
                loss, scores = decoder.step(model, head, batch, self.errors, NAMES, self.base, story)
            else:
                loss, scores = decoder.track(model, story, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = rate if group["muon"] else REST * rate
        learning = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        nn.utils.clip_grad_norm_(learning, 1.0)
        self.optimizer.step()
        self.step += 1
        return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("base", type=Path, help="the checkpoint to begin with")
    parser.add_argument("name", metavar="pass", choices=PASSES)
    parser.add_argument("--threads", type=int, default=1, help="another number gives other roundings")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    wanted = PASSES[args.name]
    torch.manual_seed(wanted.seed)
    before = args.state / wanted.after / "export" if wanted.after else args.base
    base = checkpoint.load(args.base).requires_grad_(False) if wanted.keeps_view else None
    run = Run(args.state / args.name, before, base, wanted)
    source = seen(run.parts.model, Clips(args.state / "data"), args.base.parent / "seen")
    kinds, frames = KINDS | wanted.kinds, FRAMES | wanted.frames
    more = {"told": wanted.tells, "asks": wanted.asks}
    steps, first = Steps(run.parts.model.tokenizer, source, wanted.seed, kinds, frames, **more), run.step
    print(len(source.scenes), "clips, from step", first, flush=True)
    start = saved_at = time.time()
    meter, stop = {}, []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    loader = DataLoader(steps, batch_size=None, sampler=range(first, wanted.steps), num_workers=1, prefetch_factor=4)
    for batch in loader:
        while (args.state / "PAUSE").exists() and not stop:
            time.sleep(1)
        if stop:
            break
        share = min(1, (run.step + 1) / WARM_UP, (wanted.steps - run.step) / (wanted.fall * wanted.steps))
        scores = run.learn(batch, wanted.rate * share)
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
    print("stopped at step", run.step, "of", wanted.steps, flush=True)


if __name__ == "__main__":
    main()
