"""What the PyTorch scripts share: sizes, random weights, timing, and the line of JSON that each of them prints."""

import argparse
import json
import time
from collections.abc import Callable

import torch
from transformers import Qwen2Config, SiglipVisionConfig

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments of every script."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=2, help="passes; the first one warms up")
    parser.add_argument("--layers", type=int, help="fewer layers than the real model has")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Reads the arguments and sets PyTorch up for inference."""
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    return args


def tower_config(layers: int | None = None) -> SiglipVisionConfig:
    """SigLIP-SO400M/14 at 384 pixels without its last layer and its pooling head, as LLaVA-Video uses it."""
    config = SiglipVisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=layers or 26,
        num_attention_heads=16,
        image_size=384,
        patch_size=14,
        attn_implementation="sdpa",
    )
    config.vision_use_head = False
    return config


def language_config(size: str, layers: int | None = None) -> Qwen2Config:
    """Qwen2 of 0.5 or 7 billion parameters."""
    half = size == "0.5b"
    return Qwen2Config(
        vocab_size=151_936 if half else 152_064,
        hidden_size=896 if half else 3584,
        intermediate_size=4864 if half else 18_944,
        num_hidden_layers=layers or (24 if half else 28),
        num_attention_heads=14 if half else 28,
        num_key_value_heads=2 if half else 4,
        tie_word_embeddings=half,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        rms_norm_eps=1e-6,
        attn_implementation="sdpa",
    )


def build(model_class: type, config: object, dtype: torch.dtype) -> torch.nn.Module:
    """A model whose own initialization is left out: what it holds is written afterwards."""
    from transformers.initialization import no_init_weights

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with no_init_weights():
            model = model_class(config).eval()
        model.tie_weights()
        return model
    finally:
        torch.set_default_dtype(before)


def randomize(model: torch.nn.Module) -> torch.nn.Module:
    """Random weights, norms of one and biases of zero; the noise repeats, which changes no time."""
    noise = torch.randn(2_097_143, generator=torch.Generator("cpu").manual_seed(1), device="cpu") * 0.02
    noise = noise.to(next(model.parameters()).device)
    for name, parameter in model.named_parameters():
        values = parameter.data.view(-1)
        if name.endswith("bias"):
            values.zero_()
        elif "norm" in name:
            values.fill_(1)
        else:
            for start in range(0, values.numel(), noise.numel()):
                part = values[start : start + noise.numel()]
                part.copy_(noise[: part.numel()])
    return model


def timed(work: Callable[[], object], repeat: int) -> list[float]:
    """Seconds of each pass."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def report(**facts: object) -> None:
    """The result, with the version of PyTorch."""
    print(json.dumps({"version": f"PyTorch {torch.__version__}", **facts}), flush=True)
