"""Teach the decoder, over the frames of a tower that sees: python train.py STATE STAGE. A cut run goes on.

Tower and projector stay as see.py leaves them. What they make of the clips' frames is computed once and kept beside
them (STATE/see/seen), the decoder learns over that: first what shapes have done (track), then to answer (talk), then
the same with more frames (long, order, finish). STATE/finish/export is the checkpoint.
"""

import argparse
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader

import checkpoint
import decoder
import video
from batches import Steps
from clips import PICTURES, Clips, Seen, changed_frames
from heads import Events, Options
from optimiser import Muon
from probes import Story
from text import NAMES

HEADS = "heads.safetensors"  # beside the checkpoint: what it had in training only, for the stage that goes on from it
WARM_UP = 60  # steps
REST = 0.3  # rate of what is no matrix, in that of the matrices


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


STAGES = {
    "track": Stage(after="see", seed=13, steps=700, rate=1e-3, fall=0.2, asks=False),
    "talk": Stage(after="track", seed=15, steps=5000, rate=1e-3, fall=0.0, many=0.25),
    "long": Stage(after="talk", seed=17, steps=4500, rate=8e-4, fall=0.87),
    "order": Stage(after="long", seed=19, steps=3000, rate=8e-4, fall=1.0, many=1.5),
    "finish": Stage(after="order", seed=23, steps=2600, rate=8e-4, fall=1.0, many=1.5),
}


class Parts(nn.Module):
    """The model, and what trains its decoder."""

    def __init__(self, folder):
        super().__init__()
        self.model = checkpoint.load(folder).train()
        hidden = self.model.config["hidden_size"]
        self.head, self.events, self.story = Options(hidden), Events(hidden), Story(hidden)

    def trained(self):
        """(name, parameter) of what learns."""
        frozen = ("model.tower.", "model.projector.")
        return [(n, p) for n, p in self.named_parameters() if not n.startswith(frozen)]


class Looking:
    """Item n keeps what the tower and the projector make of clip n, as it is and changed, in a file of folder."""

    def __init__(self, model, clips, folder):
        self.model, self.clips, self.folder = model, clips, folder

    def __len__(self):
        return len(self.clips.items)

    @torch.no_grad()
    def __getitem__(self, n):
        (scene, frames), file, made = self.clips.items[n], self.folder / f"{n}.npz", {}
        if file.exists():
            return n
        for name, data in (("", frames), (" changed", changed_frames(scene, frames))):
            features = torch.cat([self.model.patches(f)[-1] for f in torch.from_numpy(np.array(data)).split(64)])
            few = features[torch.from_numpy(video.sample(len(data), PICTURES))]
            made["cells" + name] = self.model.pool(features).flatten(1, 2).half().numpy()
            made["patches" + name] = self.model.projector(few).half().numpy()
        new = self.folder / f"new-{n}.npz"
        np.savez(new, **made)
        os.replace(new, file)
        return n


def seen(model, clips, folder, workers):
    """What the tower and the projector make of all clips. Workers look at one clip each, with one thread, so that their
    number changes nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in DataLoader(Looking(model, clips, folder), batch_size=None, num_workers=workers):
        if n % 100 == 99:
            print(n + 1, "clips seen", flush=True)
    cells, patches = [], []
    for n in range(len(clips.items)):
        with np.load(folder / f"{n}.npz") as found:
            cells.append([found["cells"], found["cells changed"]])
            patches.append([found["patches"], found["patches changed"]])
    return Seen([scene for scene, _ in clips.items], cells, patches)


class Run:
    """The training: how far it is, and its files."""

    def __init__(self, state, name):
        self.stage, folder, before = STAGES[name], state / name, state / STAGES[name].after
        folder.mkdir(exist_ok=True)
        self.file, self.export = folder / "train.pt", folder / "export"
        self.parts, self.step, self.errors = Parts(before / "export"), 0, torch.full([len(NAMES)], 0.5)
        named = self.parts.trained()
        inner = lambda name, p: p.ndim == 2 and "layers." in name
        self.optimizer = Muon(
            [([p for n, p in named if inner(n, p)], True), ([p for n, p in named if not inner(n, p)], False)]
        )
        if self.file.exists():
            saved = torch.load(self.file, weights_only=True)
            self.parts.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.errors = saved["step"], saved["errors"]
        elif self.stage.after in STAGES:
            self.parts.load_state_dict(load_file(before / "export" / HEADS), strict=False)

    def keep(self):
        """Write the state, and the checkpoint."""
        state = {"model": self.parts.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"step": self.step, "errors": self.errors}, self.file.with_suffix(".tmp"))
        os.replace(self.file.with_suffix(".tmp"), self.file)
        checkpoint.save(self.parts.model, self.export)
        heads = {n: value for n, value in self.parts.state_dict().items() if not n.startswith("model.")}
        save_file(heads, self.export / "heads.tmp")
        os.replace(self.export / "heads.tmp", self.export / HEADS)

    def learn(self, batch, rate):
        """One step; its scores."""
        parts = self.parts
        # In f32 everywhere: torch 2.5's attention in bf16 costs more backward than bf16 products save.
        if self.stage.asks:
            heads = parts.head, parts.events
            loss, scores = decoder.step(parts.model, heads, parts.story, batch, self.errors, NAMES)
        else:
            loss, scores = decoder.track(parts.model, parts.story, batch)
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
    parser.add_argument("name", metavar="stage", choices=STAGES, help=", ".join(STAGES))
    parser.add_argument("--threads", type=int, default=2, help="another number gives other roundings")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    stage = STAGES[args.name]
    torch.manual_seed(stage.seed)
    run = Run(args.state, args.name)
    source = seen(run.parts.model, Clips(args.state / "data"), args.state / "see/seen", args.threads)
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
