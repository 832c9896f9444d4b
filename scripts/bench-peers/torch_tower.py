"""Times the vision tower in PyTorch: transformers' SiglipVisionModel with random weights on random pictures."""

import torch
from transformers import SiglipVisionModel

from torch_common import DTYPES, arguments, build, parse, randomize, report, timed, tower_config


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=int, default=1)
    args = parse(parser)
    dtype = DTYPES[args.dtype]
    tower = randomize(build(SiglipVisionModel, tower_config(args.layers), dtype))
    frames = torch.randn(args.frames, 3, 384, 384).to(dtype)
    seconds = timed(lambda: tower(pixel_values=frames).last_hidden_state, args.repeat)
    report(seconds=seconds)


if __name__ == "__main__":
    main()
