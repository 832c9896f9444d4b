#!/usr/bin/env python3
"""Times the stages of `llava-video bench --device cuda` in PyTorch, on the same card, with random weights in bf16.

usage: scripts/compare-cuda-torch.py [--frames 1,8,110] [--prompt-tokens 512,2048,23127] [--new-tokens 64] [--layers 28]

transformers' SiglipVisionModel and Qwen2ForCausalLM of the 7B model's shapes with PyTorch's own attention ("sdpa"), one
line of JSON a stage: medians of three passes after one that warms up.
"""

import argparse
import inspect
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent / "bench-peers"))

from torch_common import build, language_config, randomize, tower_config  # noqa: E402
from transformers import DynamicCache, Qwen2ForCausalLM, SiglipVisionModel  # noqa: E402

REPEAT = 3


def counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def timed(work: Callable[[], object]) -> float:
    """The median of the seconds that a pass takes, all of the card's work included."""
    seconds = []
    for _ in range(REPEAT + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def report(**facts: object) -> None:
    card = torch.cuda.get_device_name()
    peak = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    print(json.dumps({"version": f"PyTorch {torch.__version__}", "card": card, "peak_gb": peak, **facts}), flush=True)


def tower(frame_counts: list[int]) -> None:
    model = randomize(build(SiglipVisionModel, tower_config(), torch.bfloat16))
    for frames in frame_counts:
        pixels = torch.randn(frames, 3, 384, 384, dtype=torch.bfloat16)
        report(stage="tower", frames=frames, seconds=timed(lambda: model(pixel_values=pixels)))


def language(lengths: list[int], new_tokens: int, layers: int | None) -> None:
    config = language_config("7b", layers)
    model = randomize(build(Qwen2ForCausalLM, config, torch.bfloat16))
    ids = (torch.arange(max(lengths))[None] * 7919) % 150_000
    # What transformers calls the cache depends on its version.
    names = inspect.signature(model.forward).parameters
    cache_name = "cache" if "cache" in names else "past_key_values"
    for length in lengths:
        caches = []

        def prefill() -> None:
            caches[:] = [DynamicCache(config=config)]
            model(input_ids=ids[:, :length], use_cache=True, logits_to_keep=1, **{cache_name: caches[0]})

        def decode() -> None:
            token = ids[:, :1]
            for _ in range(new_tokens):
                logits = model(input_ids=token, use_cache=True, **{cache_name: caches[0]}).logits
                token = logits[:, -1:].argmax(-1)

        report(stage="prefill", tokens=length, layers=config.num_hidden_layers, seconds=timed(prefill))
        decode_seconds = timed(decode)
        assert caches[0].get_seq_length() >= length + new_tokens
        report(stage="decode", depth=length, layers=config.num_hidden_layers, tokens_per_s=new_tokens / decode_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=counts, default=[1, 8, 110])
    parser.add_argument("--prompt-tokens", type=counts, default=[512, 2048, 23_127])
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--layers", type=int, help="fewer decoder layers than the model's 28")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_default_device("cuda")
    tower(args.frames)
    language(args.prompt_tokens, args.new_tokens, args.layers)


if __name__ == "__main__":
    main()
