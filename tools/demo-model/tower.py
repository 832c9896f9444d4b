"""The tower as it is trained, and what it makes of all clips, kept in files."""

import os

import numpy as np
import torch
from torch.utils.data import DataLoader

import video
from clips import PICTURES, Seen, changed_frames

HEADS = "frames."  # begins the names of its heads beside a checkpoint, as train.Parts has them


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
