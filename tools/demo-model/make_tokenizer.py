"""Train the demo model's byte-level BPE tokenizer on the world's own texts: python make_tokenizer.py OUT.json."""

import sys

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import video
from options import ask_options
from prompt import HEAD, SPECIAL, TAIL
from questions import ask
from scene import sample_scene
from text import KINDS

SIZE = 640  # ids at most, the special ones included
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def texts(count=3000):
    """What prompts and answers are made of."""
    rng = np.random.default_rng(7)
    for _ in range(count):
        scene = sample_scene(rng)
        for piece in (HEAD, TAIL):
            yield piece.replace("<|im_start|>", "").replace("<|im_end|>", "")
        yield video.time_instruction(scene["frames"], scene["fps"], video.sample(scene["frames"], 2))
        for kind in KINDS:
            asked = ask_options(rng, scene) if kind == "options" else ask(rng, scene, kind)
            if asked:
                yield from (asked.text, asked.answer)


def build(count=3000):
    """The tokenizer; the special ids come last."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(SPECIAL), min_frequency=8, show_progress=False, initial_alphabet=alphabet
    )
    made.train_from_iterator(texts(count), trainer)
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return made


if __name__ == "__main__":
    tokenizer = build()
    tokenizer.save(sys.argv[1])
    print(tokenizer.get_vocab_size(), "ids")
