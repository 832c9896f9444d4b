"""Times loading a checkpoint's safetensors files into PyTorch: each tensor is copied out of the mapped file."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from torch_common import arguments, parse, report, timed


def load(files: list[Path]) -> dict[str, torch.Tensor]:
    """All tensors, none of them in mapped memory."""
    return {name: tensor.clone() for file in files for name, tensor in load_file(file).items()}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("model", type=Path)
    args = parse(parser)
    files = sorted(args.model.glob("*.safetensors"))
    report(seconds=timed(lambda: load(files), args.repeat), bytes=sum(file.stat().st_size for file in files))


if __name__ == "__main__":
    main()
