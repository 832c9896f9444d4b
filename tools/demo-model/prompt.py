"""The pieces of the prompt template qwen_1_5, and its special tokens."""

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
HEAD = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
TAIL = "<|im_end|>\n<|im_start|>assistant\n"
END = "<|im_end|>"
NEXT = END + "\n<|im_start|>user\n"  # between an answer and the next question


def lead(instruction, inline):
    """What stands between the visual tokens and the question."""
    return "\n" if instruction is None else instruction + "\n" if inline else "\n" + instruction + "\n"
