"""Make the tiny LLaVA-OneVision checkpoint that today's transformers writes, with what it answers.

    pip install transformers==5.23.0 torch pillow numpy
    python scripts/make-hf-checkpoint.py tests/fixtures/golden/hf/transformers5 [--variants DIR]

The checkpoint goes to OUT and the cases, next to it, to OUT_case.json and OUT_case.safetensors: frames, a picture,
greedy ids of `generate` in f32 with and without a repetition penalty, and the logits after the prompt. The tokenizer
is that of the older fixture beside OUT. The seed is the first one whose answers would change if the penalty left out
the prompt's ids, or the placeholders' ids alone, and whose choices are never close.

--variants writes the same weights in other ways that transformers has: several shards, tied tables, f16, and the names
of its modules (`state_dict`).
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    GenerationConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
)

SIDE, PATCH, IMAGE_ID, VIDEO_ID, STOP_ID, ROWS = 32, 8, 353, 354, 352, 355
PENALTY, NEW_TOKENS, LEAST_MARGIN = 1.3, 24, 0.02
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
PROMPT = SYSTEM + "<|im_start|>user\n{}Why is it red?<|im_end|>\n<|im_start|>assistant\n"


def config(tied=False):
    return LlavaOnevisionConfig(
        text_config=dict(
            model_type="qwen2", hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, vocab_size=ROWS, rope_theta=1e6, bos_token_id=350, eos_token_id=STOP_ID,
            tie_word_embeddings=tied,
        ),
        vision_config=dict(
            model_type="siglip_vision_model", hidden_size=24, intermediate_size=40, num_hidden_layers=2,
            image_size=SIDE, patch_size=PATCH, vision_use_head=False,
        ),  # its 12 heads are the default
        image_token_index=IMAGE_ID, video_token_index=VIDEO_ID, tie_word_embeddings=tied,
        image_grid_pinpoints=[[SIDE * a, SIDE * b] for a in (1, 2) for b in (1, 2)],
    )  # fmt: skip


def model(seed, tied=False):
    """Weights wide enough that answers vary, exact in bf16."""
    torch.manual_seed(seed)
    made = LlavaOnevisionForConditionalGeneration(config(tied)).eval()
    with torch.no_grad():
        for name, tensor in made.named_parameters():
            if "norm" in name and name.endswith("weight"):
                tensor.copy_(1 + 0.1 * torch.randn_like(tensor))
            else:
                tensor.copy_(torch.randn_like(tensor) * (0.3 if tensor.dim() > 1 else 0.1))
            tensor.copy_(tensor.to(torch.bfloat16).float())
        # Ids of the prompt that would be said often, if it were not for the penalty.
        for row in (VIDEO_ID, IMAGE_ID):
            made.lm_head.weight[row] *= 2
    made.generation_config = GenerationConfig(eos_token_id=STOP_ID, bos_token_id=350, repetition_penalty=PENALTY)
    return made


def pixels(images):
    """SigLipImageProcessor's arithmetic on images of the tower's own size: `[N, 32, 32, 3]` u8 -> `[N, 3, 32, 32]`."""
    scaled = (images.astype(np.float64) * (1 / 255)).astype(np.float32)
    return torch.from_numpy((scaled - np.float32(0.5)) / np.float32(0.5)).permute(0, 3, 1, 2).contiguous()


class Without(RepetitionPenaltyLogitsProcessor):
    """A penalty that leaves some ids of the prompt out."""

    def __init__(self, prompt, left_out):
        super().__init__(PENALTY)
        self.kept = [id for id in prompt if id not in left_out]
        self.len = len(prompt)

    def __call__(self, ids, scores):
        return super().__call__(torch.tensor([self.kept + ids[0, self.len :].tolist()]), scores)


def answer(made, inputs, penalty, processors=()):
    """Greedy ids, the smallest margin between the best two, and the logits after the prompt."""
    with torch.no_grad():
        out = made.generate(
            **inputs, do_sample=False, max_new_tokens=NEW_TOKENS, repetition_penalty=penalty,
            logits_processor=LogitsProcessorList(processors), return_dict_in_generate=True, output_scores=True,
            output_logits=True,
        )  # fmt: skip
    best = [scores[0].topk(2).values for scores in out.scores]
    margin = min(float(first - second) for first, second in best)
    return out.sequences[0, inputs["input_ids"].shape[1] :].tolist(), margin, out.logits[0][0]


def cases(made, tokenizer, frames, picture):
    """(name, prompt, ids of the prompt, inputs) for a video, a picture and text alone."""
    grid = SIDE // PATCH
    video_tokens, picture_tokens = len(frames) * (grid // 2) ** 2 + 1, grid * grid + grid * (grid + 1)
    for name, marker, id, count, more in [
        ("video", "<video>", VIDEO_ID, video_tokens, dict(pixel_values_videos=pixels(frames)[None])),
        (
            "picture", "<image>", IMAGE_ID, picture_tokens,
            dict(pixel_values=pixels(np.stack([picture] * 2))[None], image_sizes=torch.tensor([[SIDE, SIDE]])),
        ),
        ("text", "", None, 0, {}),
    ]:  # fmt: skip
        prompt = PROMPT.format(marker + "\n" if marker else "")
        ids = []
        for token in tokenizer.encode(prompt, add_special_tokens=False).ids:
            ids += [token] * (count if token == id else 1)
        assert id is None or ids.count(id) == count
        yield name, prompt, ids, dict(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), **more)


def examine(made, tokenizer, frames, picture):
    """All cases; `None` if they would not tell a wrong penalty from a right one."""
    found, tensors = [], {}
    for name, prompt, ids, inputs in cases(made, tokenizer, frames, picture):
        for penalty in (1.0, PENALTY):
            generated, margin, logits = answer(made, inputs, penalty)
            if margin < LEAST_MARGIN or (penalty == 1.0 and len(generated) < 8):
                return None
            found.append(dict(
                name=name, prompt=prompt, repetition_penalty=penalty, input_ids=ids, generated_ids=generated,
                min_margin=margin,
            ))  # fmt: skip
            tensors[f"{name}_logits"] = logits
        others = [set(ids)] if name == "text" else [set(ids), {IMAGE_ID, VIDEO_ID}]
        for left_out in others:
            if answer(made, inputs, 1.0, [Without(ids, left_out)])[0] == generated:
                return None
    return found, tensors


def main():
    from tokenizers import Tokenizer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variants", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    beside = args.out.parent / "b_7x7_tied_single_bf16_hf" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(beside))
    random = np.random.default_rng(5)
    frames = random.integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    picture = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    seed = 0
    while (outcome := examine(made := model(seed), tokenizer, frames, picture)) is None:
        seed += 1
    found, tensors = outcome
    made.to(torch.bfloat16).save_pretrained(args.out)
    shutil.copy(beside, args.out)
    facts = dict(
        transformers=transformers.__version__, torch=torch.__version__, seed=seed, cases=found,
        note="made by scripts/make-hf-checkpoint.py; weights in bf16, computed in f32",
    )  # fmt: skip
    Path(f"{args.out}_case.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    tensors |= dict(frames=torch.from_numpy(frames), picture=torch.from_numpy(picture))
    save_file(tensors, f"{args.out}_case.safetensors")
    print(f"seed {seed}; smallest margin {min(case['min_margin'] for case in found):.3f}")
    for case in found:
        print(case["name"], case["repetition_penalty"], case["generated_ids"])
    if args.variants:
        made.save_pretrained(args.variants / "sharded", max_shard_size="40KB")
        model(seed, tied=True).to(torch.bfloat16).save_pretrained(args.variants / "tied")
        made.to(torch.float16).save_pretrained(args.variants / "f16")
        made.save_pretrained(args.variants / "modules")
        state = {name: tensor.contiguous() for name, tensor in made.state_dict().items()}
        save_file(state, args.variants / "modules" / "model.safetensors", metadata={"format": "pt"})
        for name in ("sharded", "tied", "f16", "modules"):
            shutil.copy(beside, args.variants / name)


if __name__ == "__main__":
    main()
