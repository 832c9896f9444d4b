"""Train the demo model's byte-level BPE tokenizer on the world's own texts: python build_tokenizer.py OUT.json."""

import sys

import numpy as np
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

import video
from options import ask_options
from prompt import HEAD, SPECIAL, TAIL
from questions import ASK, View, ask
from scene import sample_scene
from transforms import still

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def texts(count=3000):
    rng = np.random.default_rng(7)
    for n in range(count):
        scene = sample_scene(rng)
        picked = video.sample(scene["frames"], 8)
        yield HEAD.replace("<|im_start|>", "").replace("<|im_end|>", "")
        yield TAIL.replace("<|im_start|>", "").replace("<|im_end|>", "")
        yield video.time_instruction(scene["frames"], scene["fps"], picked[:2])
        view = View(picked / scene["fps"], video.stamps(scene["fps"], picked))
        scene = (n % 10 == 0 and still(scene, view.times[4])) or scene
        for asked in [ask(rng, scene, kind, view) for kind in ASK] + [ask_options(rng, scene, view)]:
            if asked:
                yield asked.text
                yield asked.answer


def build(size=720):
    """The tokenizer; at most size ids, the three special tokens last."""
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL),
        min_frequency=8,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tok.train_from_iterator(texts(), trainer)
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return tok


if __name__ == "__main__":
    tokenizer = build()
    tokenizer.save(sys.argv[1])
    print(tokenizer.get_vocab_size(), "ids")
