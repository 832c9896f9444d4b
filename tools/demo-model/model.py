"""The demo model: SigLIP tower, projector, pooling, newline grid and Qwen2 decoder from transformers' parts, in the original's layout."""

import copy
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipVisionTransformer

IMAGE, PATCH = 96, 12
CELLS = IMAGE // PATCH // 2  # pooled tokens per side
HEAD = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
TAIL = "<|im_end|>\n<|im_start|>assistant\n"
END = "<|im_end|>"
TOWER = "model.vision_tower.vision_tower.vision_model."


def make_config(vocab, layers=5):
    """config.json of the demo model; vocab is the tokenizer's length, its last three ids the special tokens."""
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
        "mm_spatial_pool_stride": 2,
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


class DemoModel(nn.Module):
    def __init__(self, config, tokenizer):
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        vision = SiglipVisionConfig(**config["vision_config"], vision_use_head=False, attn_implementation="sdpa")
        self.tower = SiglipVisionTransformer(vision)
        keys = (
            "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads rms_norm_eps rope_theta "
            "max_position_embeddings tie_word_embeddings vocab_size bos_token_id eos_token_id hidden_act"
        ).split()
        self.llm = Qwen2ForCausalLM(Qwen2Config(**{k: config[k] for k in keys}, attn_implementation="sdpa"))
        hidden = config["hidden_size"]
        self.projector = nn.Sequential(nn.Linear(vision.hidden_size, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.newline = nn.Parameter(torch.randn(hidden) * 0.02)

    @property
    def stops(self):
        """Ids that end an answer."""
        return self.config["eos_token_id"], self.config["bos_token_id"]

    def pixels(self, frames):
        """u8 frames [N,96,96,3] as the processor normalizes them."""
        frames = torch.from_numpy(np.ascontiguousarray(frames)) if isinstance(frames, np.ndarray) else frames
        return ((frames.permute(0, 3, 1, 2).double() * (1 / 255)).float() - 0.5) / 0.5

    def patches(self, frames):
        """u8 frames to the tower's hidden states [N,64,96], all layers; post_layernorm is not applied."""
        return self.tower.encoder(inputs_embeds=self.tower.embeddings(self.pixels(frames)), output_hidden_states=True).hidden_states

    def cells(self, frames):
        """u8 frames to pooled tokens [N,4,4,H]: tower, projector, bilinear pooling."""
        return self.pool(self.patches(frames)[-1])

    def pool(self, features):
        x = self.projector(features)
        side = IMAGE // PATCH
        x = x.transpose(1, 2).reshape(len(x), -1, side, side)
        return F.interpolate(x, size=(-(-side // 2),) * 2, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)

    def visual(self, cells):
        """Pooled tokens [N,4,4,H] to [N,20,H] with a newline after each row."""
        return torch.cat([cells, self.newline.expand(*cells.shape[:2], 1, -1).to(cells.dtype)], 2).flatten(1, 2)

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def embed(self, ids):
        return self.llm.model.embed_tokens(torch.as_tensor(ids))

    @torch.no_grad()
    def watch(self, frames):
        """The decoder's cache after the head of the prompt and the visual tokens, to ask several questions of."""
        x = torch.cat([self.embed(self.ids(HEAD)), self.visual(self.cells(frames)).flatten(0, 1)])[None]
        return self.llm(inputs_embeds=x, use_cache=True, num_logits_to_keep=1).past_key_values

    @torch.no_grad()
    def answer(self, seen, question, instruction=None, inline=False, limit=96):
        """Greedy answer about what watch() gave: (text, ids with the stop id, smallest top-2 margin)."""
        lead = "\n" if instruction is None else instruction + "\n" if inline else "\n" + instruction + "\n"
        x = self.embed(self.ids(lead + question + TAIL))[None]
        cache, out, margin = copy.deepcopy(seen), [], float("inf")
        while len(out) < limit:
            step = self.llm(inputs_embeds=x, past_key_values=cache, use_cache=True, num_logits_to_keep=1)
            cache, top = step.past_key_values, step.logits[0, -1].topk(2)
            margin = min(margin, float(top.values[0] - top.values[1]))
            out.append(int(top.indices[0]))
            if out[-1] in self.stops:
                break
            x = self.embed([out[-1]])[None]
        return self.tokenizer.decode(out, skip_special_tokens=True), out, margin

    # ---- the original's checkpoint layout ----

    def names(self):
        """(name on disk, parameter)."""
        for name, value in self.tower.state_dict().items():
            yield TOWER + name, value
        for name, value in self.projector.state_dict().items():
            yield "model.mm_projector." + name, value
        for name, value in self.llm.state_dict().items():
            if name != "lm_head.weight":
                yield name, value
        yield "model.image_newline", self.newline.data

    def save(self, folder):
        """Write the checkpoint in bf16."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in self.names()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        vocab = self.config["vocab_size"]
        special = {
            str(vocab - 3 + i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
            for i, t in enumerate(SPECIAL)
        }
        write = lambda name, data: (folder / name).write_text(json.dumps(data, indent=2) + "\n")
        write("config.json", self.config)
        write(
            "generation_config.json",
            {
                "bos_token_id": vocab - 3,
                "do_sample": False,
                "eos_token_id": [vocab - 1, vocab - 3],
                "pad_token_id": vocab - 3,
                "transformers_version": "4.40.1",
            },
        )
        write(
            "tokenizer_config.json",
            {
                "add_prefix_space": False,
                "added_tokens_decoder": special,
                "additional_special_tokens": SPECIAL[1:],
                "bos_token": None,
                "clean_up_tokenization_spaces": False,
                "eos_token": SPECIAL[2],
                "errors": "replace",
                "model_max_length": self.config["max_position_embeddings"],
                "pad_token": SPECIAL[0],
                "split_special_tokens": False,
                "tokenizer_class": "Qwen2Tokenizer",
                "unk_token": None,
            },
        )
        self.tokenizer.save(str(folder / "tokenizer.json"))

    @classmethod
    def load(cls, folder):
        """Read a checkpoint into f32."""
        folder = Path(folder)
        model = cls(json.loads((folder / "config.json").read_text()), Tokenizer.from_file(str(folder / "tokenizer.json")))
        tensors = load_file(folder / "model.safetensors")
        with torch.no_grad():
            for name, value in model.names():
                value.copy_(tensors[name].float())
        return model.eval()


SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
