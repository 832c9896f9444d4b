"""The demo model's checkpoint in the original's layout: its config, and its files written and read."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from grid import IMAGE, PATCH, STRIDE
from model import DemoModel
from prompt import SPECIAL

TOWER = "model.vision_tower.vision_tower.vision_model."


def make_config(vocab, layers=6):
    """config.json of the model that is trained here; vocab is the tokenizer's length, its last three ids the special
    tokens."""
    return {
        "add_faster_video": False,
        "add_time_instruction": False,
        "architectures": ["LlavaQwenForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": vocab - 3,
        "eos_token_id": vocab - 1,
        "faster_token_stride": 10,
        "force_sample": True,
        "hidden_act": "silu",
        "hidden_size": 256,
        "image_aspect_ratio": "square",
        "image_crop_resolution": None,
        "image_split_resolution": None,
        "initializer_range": 0.02,
        "intermediate_size": 256,
        "max_position_embeddings": 8192,
        "max_window_layers": layers,
        "mm_hidden_size": 96,
        "mm_newline_position": "grid",
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": None,
        "mm_spatial_pool_mode": "bilinear",
        "mm_spatial_pool_stride": STRIDE,
        "mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "model_type": "llava_qwen",
        "num_attention_heads": 4,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "sliding_window": 131072,
        "tie_word_embeddings": True,
        "tokenizer_model_max_length": 8192,
        "tokenizer_padding_side": "right",
        "torch_dtype": "bfloat16",
        "transformers_version": "4.40.1",
        "use_cache": True,
        "use_mm_proj": True,
        "use_sliding_window": False,
        "vision_config": {
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": 96,
            "image_size": IMAGE,
            "intermediate_size": 384,
            "layer_norm_eps": 1e-06,
            "model_type": "siglip_vision_model",
            "num_attention_heads": 4,
            "num_hidden_layers": 4,
            "patch_size": PATCH,
        },
        "vision_tower_pretrained": None,
        "vocab_size": vocab,
    }


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


def save(model, folder):
    """Write the checkpoint in bf16, each file in one step."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
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
