"""Train the demo model in resumable stages: python train.py STATE STAGE. A cut run goes on where it was.

tower: every patch says what the whole frame shows and redraws the outlines; the projector says the code of a frame.
talk: the decoder learns questions over imagined codes; heads say what it has to know midway.
clips: the same over the codes that the frozen tower gives of the rendered clips.
"""

import argparse
import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.utils.data import DataLoader

import codes
import decoder
import video
from batches import Steps, stills
from checkpoint import make_config, save
from clips import PICTURES, Clips, Coded, Imagined
from heads import Probe, Reading, Track
from model import DemoModel
from optimiser import Muon
from precision import has_fast_bf16
from text import NAMES

STAGES = {"tower": (2000, 2e-3), "talk": (5000, 1e-3), "clips": (1500, 7e-4)}  # steps, peak rate
FALL = 0.6  # share of the steps over which the rate falls to nothing
STILLS = 64  # frames a step of the tower


class Parts(nn.Module):
    """The model, and what trains it: the tower with its heads, and the decoder with its own, which share nothing
    until the end."""

    def __init__(self, tokenizer):
        super().__init__()
        self.model = DemoModel(make_config(tokenizer.get_vocab_size()), tokenizer)
        hidden, width = self.model.config["hidden_size"], self.model.config["mm_hidden_size"]
        self.probe = Probe(hidden, width)
        self.reader = nn.Linear(codes.WIDTH, hidden)
        self.heads = nn.ModuleDict({"track": Track(hidden), "reading": Reading(hidden)})
        nn.init.normal_(self.reader.weight, std=0.06)
        nn.init.normal_(self.model.llm.model.embed_tokens.weight, std=0.06)
        nn.init.normal_(self.model.newline, std=0.06)

    def trained(self, stage):
        """The modules of one half: name to module."""
        if stage == "tower":
            return {"tower": self.model.tower, "projector": self.model.projector[:1], "probe": self.probe}
        return {"llm": self.model.llm, "reader": self.reader, "heads": self.heads}

    def take_tower(self, state):
        """Take the tower's half of another state, rounded to bf16 as it will be exported."""
        mine = {k: v for k, v in state.items() if k.startswith(("model.tower.", "model.projector.", "probe."))}
        exported = lambda k, v: v.bfloat16().float() if k.startswith("model.") else v
        self.load_state_dict({k: exported(k, v) for k, v in mine.items()}, strict=False)

    @torch.no_grad()
    def join(self):
        """Put the projector's last layer together: what reads the code, and what hands it to the decoder."""
        last = self.model.projector[2]
        last.weight.copy_(self.reader.weight @ self.probe.code.weight)
        last.bias.copy_(self.reader.weight @ self.probe.code.bias + self.reader.bias)


class Stills:
    """The tower's batches."""

    def __init__(self, clips, seed):
        self.clips, self.seed = clips, seed

    def __getitem__(self, step):
        return stills(np.random.default_rng([self.seed, step]), self.clips, STILLS)


@torch.no_grad()
def coded(parts, clips, folder):
    """The codes of all clips, mirrored and swapped too, by the trained tower; kept in a file of the tower's name."""
    weights = b"".join(value.numpy().tobytes() for value in parts.probe.state_dict().values())
    file = folder / f"codes-{hashlib.sha256(weights).hexdigest()[:8]}.npz"
    if not file.exists():
        made, start = {}, time.time()
        for n, (_, frames) in enumerate(clips.items):
            both = np.stack([frames, frames[:, :, ::-1]])
            four = np.ascontiguousarray(np.stack([both, both[..., ::-1]], 1))
            flat, shape = torch.from_numpy(four).flatten(0, 2), four.shape[:3]
            seen = torch.cat([parts.model.patches(f)[-1] for f in flat.split(256)])
            patches = parts.probe.read(parts.model, seen).unflatten(0, shape)
            made[f"cells{n}"] = parts.probe.cells(parts.model, seen).unflatten(0, shape).half().numpy()
            made[f"patches{n}"] = patches[:, :, video.sample(len(frames), PICTURES)].half().numpy()
            if n % 100 == 99:
                print(n + 1, "clips coded", f"{time.time() - start:.0f} s", flush=True)
        np.savez(file.with_suffix(".tmp.npz"), **made)
        os.replace(file.with_suffix(".tmp.npz"), file)
    with np.load(file) as found:
        take = lambda name: [found[f"{name}{n}"].astype(np.float32) for n in range(len(clips.items))]
        return Coded([scene for scene, _ in clips.items], take("cells"), take("patches"))


def groups(parts, stage):
    """The optimiser's groups: matrices of the layers, and the rest."""
    named = [(f"{part}.{n}", p) for part, m in parts.trained(stage).items() for n, p in m.named_parameters()]
    named += [] if stage == "tower" else [("newline", parts.model.newline)]
    inner = lambda n, p: p.ndim == 2 and ("layers." in n or "projector" in n)
    return [([p for n, p in named if inner(n, p)], True), ([p for n, p in named if not inner(n, p)], False)]


class Run:
    """One stage: what is trained, how far it is, and its file."""

    def __init__(self, state, stage):
        self.state, self.stage, self.file = state, stage, state / f"{stage}.pt"
        self.tokenizer = Tokenizer.from_file(str(state / "tokenizer.json"))
        self.parts, self.step, self.errors = Parts(self.tokenizer), 0, torch.ones(len(NAMES))
        if stage == "talk":
            decoder.look_back(self.parts.model)
        if stage == "clips":
            self.parts.load_state_dict(torch.load(state / "talk.pt", weights_only=True)["model"])
            self.parts.take_tower(torch.load(state / "tower.pt", weights_only=True)["model"])
        self.optimizer = Muon(groups(self.parts, stage))
        if self.file.exists():
            saved = torch.load(self.file, weights_only=True)
            self.parts.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.errors = saved["step"], saved["errors"]

    def keep(self):
        """Write the stage's file, and the checkpoint where both halves are trained."""
        state = {"model": self.parts.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"step": self.step, "errors": self.errors}, self.file.with_suffix(".tmp"))
        os.replace(self.file.with_suffix(".tmp"), self.file)
        if self.stage == "clips":
            self.parts.join()
            save(self.parts.model, self.state / "export")

    def batches(self, steps, seed):
        if self.stage == "talk":
            return Steps(self.tokenizer, Imagined(), [seed, 2], long=steps * 2 // 5)
        clips = Clips(self.state / "data")
        print(len(clips.items), "clips", flush=True)
        if self.stage == "tower":
            return Stills(clips, [seed, 1])
        return Steps(self.tokenizer, coded(self.parts, clips, self.state), [seed, 3])

    def loss(self, batch):
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            if self.stage == "tower":
                return self.parts.probe.loss(self.parts.model, self.parts.model.patches(batch["frames"]), batch)
            return decoder.step(self.parts.model, self.parts.reader, self.parts.heads, batch, self.errors, NAMES)

    def learn(self, batch, rate):
        """One step; its scores."""
        loss, scores = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        nn.utils.clip_grad_norm_([p for group in self.optimizer.param_groups for p in group["params"]], 1.0)
        self.optimizer.step()
        self.step += 1
        return scores | {"~~loss": float(loss.detach())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--steps", type=int, help="length of the stage when it differs from the table")
    parser.add_argument("--rate", type=float, help="peak rate when it differs from the table")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(args.seed)
    steps, peak = args.steps or STAGES[args.stage][0], args.rate or STAGES[args.stage][1]
    run = Run(args.state, args.stage)
    batches, first = run.batches(steps, args.seed), run.step
    print(sum(p.numel() for p in run.parts.model.parameters()), "parameters, from step", first, flush=True)
    start = saved_at = time.time()
    meter, stop = {}, []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    loader = iter(DataLoader(batches, batch_size=None, sampler=range(first, steps), num_workers=1, prefetch_factor=4))
    while run.step < steps and not stop and time.time() - start < args.minutes * 60:
        while (args.state / "PAUSE").exists() and not stop:
            time.sleep(1)
        if stop:
            break
        scores = run.learn(next(loader), peak * min(1, (run.step + 1) / 100, (steps - run.step) / (FALL * steps)))
        for name, value in scores.items():
            meter.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        if run.step % 50 == 0:
            told = (f"{name} {np.mean(values):.3f}" for name, values in sorted(meter.items()) if values)
            print(run.step, f"{time.time() - start:.0f}s", f"{time.process_time():.0f} cpu-s", *told, flush=True)
            meter = {}
        if time.time() - saved_at > 240:
            run.keep()
            saved_at = time.time()
    run.keep()
    print("stopped at step", run.step, "of", steps, flush=True)


if __name__ == "__main__":
    main()
