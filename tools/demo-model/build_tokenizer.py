"""Train the demo model's byte-level BPE tokenizer on the world's own texts: python build_tokenizer.py OUT.json."""

import sys

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import video
import scene as world
from model import HEAD, SPECIAL, TAIL

SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def texts(count=3000):
    rng = np.random.default_rng(7)
    for _ in range(count):
        scene = world.sample_scene(rng)
        yield HEAD.replace("<|im_start|>", "").replace("<|im_end|>", "")
        yield TAIL.replace("<|im_start|>", "").replace("<|im_end|>", "")
        yield video.time_instruction(scene["frames"], scene["fps"], video.sample(scene["frames"], 2))
        for kind in world.ASK:
            found = world.ask(rng, scene, kind)
            if found:
                yield from found


def build(size=640):
    """The tokenizer; at most size ids, the three special tokens last."""
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL), min_frequency=8, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    tok.train_from_iterator(texts(), trainer)
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return tok


if __name__ == "__main__":
    tokenizer = build()
    tokenizer.save(sys.argv[1])
    print(tokenizer.get_vocab_size(), "ids")
