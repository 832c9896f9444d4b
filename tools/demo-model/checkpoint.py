"""The demo model's checkpoint in the original's layout: its files written and read."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from model import DemoModel
from prompt import SPECIAL

HEADS = "heads.safetensors"
TOWER = "model.vision_tower.vision_tower.vision_model."


def names(model):
    """(name on disk, parameter)."""
    for name, value in model.tower.state_dict().items():
        yield TOWER + name, value
    for name, value in model.projector.state_dict().items():
        yield "model.mm_projector." + name, value
    for name, value in model.llm.state_dict().items():
        if name != "lm_head.weight":
            yield name, value
    yield "model.image_newline", model.newline.data


def save(model, folder, heads=None):
    """Write the checkpoint in bf16, each file in one step, and what it had in training only, in f32, for the stage that
    goes on from it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if heads:
        save_file({name: value.contiguous() for name, value in heads.items()}, folder / "heads.tmp")
        (folder / "heads.tmp").replace(folder / HEADS)
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in names(model)}
    save_file(tensors, folder / "model.tmp", metadata={"format": "pt"})
    (folder / "model.tmp").replace(folder / "model.safetensors")
    vocab = model.config["vocab_size"]
    kind = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    files = {
        "config.json": model.config,
        "generation_config.json": {
            "bos_token_id": vocab - 3,
            "do_sample": False,
            "eos_token_id": [vocab - 1, vocab - 3],
            "pad_token_id": vocab - 3,
            "transformers_version": "4.40.1",
        },
        "tokenizer_config.json": {
            "add_prefix_space": False,
            "added_tokens_decoder": {str(vocab - 3 + i): {"content": t, **kind} for i, t in enumerate(SPECIAL)},
            "additional_special_tokens": SPECIAL[1:],
            "bos_token": None,
            "clean_up_tokenization_spaces": False,
            "eos_token": SPECIAL[2],
            "errors": "replace",
            "model_max_length": model.config["max_position_embeddings"],
            "pad_token": SPECIAL[0],
            "split_special_tokens": False,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    }
    for name, data in files.items():
        (folder / name).write_text(json.dumps(data, indent=2) + "\n")
    model.tokenizer.save(str(folder / "tokenizer.json"))


def heads(folder):
    """What a checkpoint had in training only."""
    return load_file(Path(folder) / HEADS)


def load(folder):
    """Read a checkpoint into f32."""
    folder = Path(folder)
    model = DemoModel(
        json.loads((folder / "config.json").read_text()), Tokenizer.from_file(str(folder / "tokenizer.json"))
    )
    tensors = load_file(folder / "model.safetensors")
    with torch.no_grad():
        for name, value in names(model):
            value.copy_(tensors[name].float())
    return model.eval()
