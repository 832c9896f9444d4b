"""Answers a question about a clip with PyTorch, up to the first token, as `llava-video ask --max-new-tokens 1` does."""

import argparse
import json
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers.models.qwen2.modeling_qwen2 import Qwen2ForCausalLM
from transformers.models.siglip.modeling_siglip import SiglipVisionModel

from torch_common import DTYPES, arguments, build, language_config, parse, report, tower_config

TOWER = "model.vision_tower.vision_tower.vision_model."
PROJECTOR = "model.mm_projector."
NEWLINE = "model.image_newline"
BEFORE = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
AFTER = "\n{}<|im_end|>\n<|im_start|>assistant\n"
SIDE, PATCHES, POOLED = 384, 27, 14


def read_frames(clip: Path, count: int) -> list[Image.Image]:
    """Frames spread evenly over the clip, decoded from the start with FFmpeg's own threads."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        wanted = np.linspace(0, stream.frames - 1, count, dtype=int).tolist()
        frames = {}
        for index, frame in enumerate(container.decode(stream)):
            if index in wanted:
                frames[index] = frame.to_image()
            if index == wanted[-1]:
                break
    return [frames[index] for index in wanted]


def preprocess(frames: list[Image.Image], dtype: torch.dtype) -> torch.Tensor:
    """The tower's input, between -1 and 1."""
    resized = np.stack([np.asarray(frame.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for frame in frames])
    return (torch.from_numpy(resized).permute(0, 3, 1, 2).float() / 255 * 2 - 1).to(dtype)


def part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin like this, named by the rest."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def load(args: argparse.Namespace) -> tuple[SiglipVisionModel, torch.nn.Module, torch.Tensor, Qwen2ForCausalLM]:
    """Tower, projector, newline token and language model; the weights stay in the mapped files."""
    tensors = {}
    for file in sorted(args.model.glob("*.safetensors")):
        tensors.update(load_file(file))
    dtype = DTYPES[args.dtype]
    if dtype != torch.bfloat16:
        tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    config = json.loads((args.model / "config.json").read_text())
    size = "0.5b" if config["hidden_size"] == 896 else "7b"
    tower_layers = 1 + max(int(name.split(".")[6]) for name in tensors if ".encoder.layers." in name)
    with torch.device("meta"):
        tower = build(SiglipVisionModel, tower_config(tower_layers), dtype)
    tower.load_state_dict(part(tensors, TOWER), assign=True)
    tower.embeddings.position_ids = torch.arange(tower.embeddings.num_positions)[None]
    # The projector takes what the last layer gives.
    tower.post_layernorm = torch.nn.Identity()
    hidden = config["hidden_size"]
    projector = torch.nn.Sequential(
        torch.nn.Linear(tower.config.hidden_size, hidden, device="meta"),
        torch.nn.GELU(),
        torch.nn.Linear(hidden, hidden, device="meta"),
    )
    projector.load_state_dict(part(tensors, PROJECTOR), assign=True)
    # Not on "meta": its table of rotary frequencies is computed, not loaded.
    language = build(Qwen2ForCausalLM, language_config(size, config["num_hidden_layers"]), dtype)
    language_tensors = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith(("model.embed_tokens", "model.layers", "model.norm", "lm_head"))
    }
    language.load_state_dict(language_tensors, assign=True, strict=not config["tie_word_embeddings"])
    language.tie_weights()
    return tower, projector, tensors[NEWLINE], language


def visual_tokens(features: torch.Tensor, newline: torch.Tensor) -> torch.Tensor:
    """Features of 27x27 patches, made 14x14, with a newline after each row of each frame."""
    frames, _, hidden = features.shape
    grid = features.view(frames, PATCHES, PATCHES, hidden).permute(0, 3, 1, 2)
    pooled = F.interpolate(grid, size=(POOLED, POOLED), mode="bilinear").permute(0, 2, 3, 1)
    rows = torch.cat([pooled, newline.expand(frames, POOLED, 1, hidden)], dim=2)
    return rows.reshape(1, -1, hidden)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("question")
    parser.add_argument("--frames", type=int, default=8)
    args = parse(parser)
    pixels = preprocess(read_frames(args.clip, args.frames), DTYPES[args.dtype])
    tower, projector, newline, language = load(args)
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    visual = visual_tokens(projector(tower(pixel_values=pixels).last_hidden_state), newline)
    before, after = (
        language.model.embed_tokens(torch.tensor([tokenizer.encode(text).ids]))
        for text in (BEFORE, AFTER.format(args.question))
    )
    prompt = torch.cat([before, visual, after], dim=1)
    logits = language(inputs_embeds=prompt, use_cache=True, logits_to_keep=1).logits[0, -1]
    first = int(logits[: tokenizer.get_vocab_size()].argmax())
    report(token_ids=[first], prompt_tokens=prompt.shape[1])


if __name__ == "__main__":
    main()
