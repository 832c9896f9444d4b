"""The demo model: SigLIP tower, projector, pooling, newline grid and Qwen2 decoder, of transformers' parts."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipVisionTransformer

from prompt import HEAD, NEXT, TAIL, lead


class DemoModel(nn.Module):
    def __init__(self, config, tokenizer):
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        vision = SiglipVisionConfig(**config["vision_config"], vision_use_head=False, attn_implementation="sdpa")
        self.tower = SiglipVisionTransformer(vision)
        keys = (
            "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads rms_norm_eps "
            "rope_theta max_position_embeddings tie_word_embeddings vocab_size bos_token_id eos_token_id hidden_act"
        ).split()
        self.image, self.side = vision.image_size, vision.image_size // vision.patch_size
        self.pooled = -(-self.side // config["mm_spatial_pool_stride"])
        self.llm = Qwen2ForCausalLM(Qwen2Config(**{k: config[k] for k in keys}, attn_implementation="sdpa"))
        hidden = config["hidden_size"]
        self.projector = nn.Sequential(nn.Linear(vision.hidden_size, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.newline = nn.Parameter(torch.randn(hidden) * 0.02)

    @property
    def stops(self):
        """Ids that end an answer."""
        return self.config["eos_token_id"], self.config["bos_token_id"]

    def pixels(self, frames):
        """u8 frames [N,S,S,3] as the processor normalizes them."""
        frames = torch.from_numpy(np.ascontiguousarray(frames)) if isinstance(frames, np.ndarray) else frames
        return ((frames.permute(0, 3, 1, 2).double() * (1 / 255)).float() - 0.5) / 0.5

    def patches(self, frames):
        """u8 frames to the tower's hidden states [N,patches,W], of all layers; post_layernorm is not applied."""
        return self.tower.encoder(
            inputs_embeds=self.tower.embeddings(self.pixels(frames)), output_hidden_states=True
        ).hidden_states

    def cells(self, frames):
        """u8 frames to pooled tokens [N,side,side,H]: tower, projector, bilinear pooling."""
        return self.pool(self.patches(frames)[-1])

    def pool(self, features):
        x = self.projector(features)
        x = x.transpose(1, 2).unflatten(2, (self.side, self.side))
        return F.interpolate(x, size=(self.pooled, self.pooled), mode="bilinear", align_corners=False).permute(
            0, 2, 3, 1
        )

    def visual(self, cells):
        """Pooled tokens [N,side,side,H] to [N,side*(side+1),H], a newline after each row."""
        return torch.cat([cells, self.newline.expand(*cells.shape[:2], 1, -1).to(cells.dtype)], 2).flatten(1, 2)

    def picture(self, frame):
        """The visual tokens [patches+1,H] of a single picture, which is not pooled: all patches, and one newline."""
        return torch.cat([self.projector(self.patches(frame[None])[-1])[0], self.newline[None]])

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def embed(self, ids):
        return self.llm.model.embed_tokens(torch.as_tensor(ids))

    @torch.no_grad()
    def watch(self, frames, picture=False):
        """The decoder's cache after the head of the prompt and the visual tokens, to ask several questions of."""
        seen = self.picture(frames[0]) if picture else self.visual(self.cells(frames)).flatten(0, 1)
        x = torch.cat([self.embed(self.ids(HEAD)), seen])[None]
        return self.llm(inputs_embeds=x, use_cache=True, num_logits_to_keep=1).past_key_values

    @torch.no_grad()
    def answer(self, seen, question, instruction=None, inline=False, limit=96, before=()):
        """Greedy answer about what watch() gave: (text, ids with the stop id, smallest top-2 margin).
        before: (question, answer) of the turns before."""
        told = "".join(q + TAIL + a + NEXT for q, a in before)
        x = self.embed(self.ids(lead(instruction, inline) + told + question + TAIL))[None]
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
