#!/usr/bin/env python3
"""Writes the language model of a checkpoint in LLaVA-Video's layout as a GGUF file in bf16 that llama.cpp loads.

The vocabulary is left out: llama-bench makes up its token ids.
"""

import argparse
import json
import re
from pathlib import Path

import gguf
import numpy as np

WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
OF_A_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")


def gguf_name(name: str) -> str | None:
    """llama.cpp's name of a tensor, none for tower and projector."""
    if found := LAYER.fullmatch(name):
        return f"blk.{found[1]}.{OF_A_LAYER[found[2]]}.{found[3]}"
    return WHOLE.get(name)


def add_tensors(writer: gguf.GGUFWriter, file: Path) -> None:
    """Matrices as they are, mapped and not read; vectors in f32, as llama.cpp wants them."""
    with file.open("rb") as opened:
        header_bytes = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(header_bytes))
    data = np.memmap(file, np.uint8, "r", offset=8 + header_bytes)
    for name, tensor in header.items():
        target = None if name == "__metadata__" else gguf_name(name)
        if target is None:
            continue
        assert tensor["dtype"] == "BF16", name
        start, end = tensor["data_offsets"]
        *rows, width = tensor["shape"]
        if rows:
            matrix = data[start:end].reshape(*rows, 2 * width)
            writer.add_tensor(target, matrix, raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            bits = np.frombuffer(data[start:end].tobytes(), np.uint16).astype(np.uint32) << 16
            writer.add_tensor(target, bits.view(np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    config = json.loads((args.model / "config.json").read_text())
    writer = gguf.GGUFWriter(args.output, "qwen2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(config["vocab_size"])
    for file in sorted(args.model.glob("*.safetensors")):
        add_tensors(writer, file)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
