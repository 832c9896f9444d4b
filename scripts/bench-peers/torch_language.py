"""Times the language model in PyTorch: transformers' Qwen2ForCausalLM with random weights, a prompt or decode steps."""

import torch
from transformers import DynamicCache, Qwen2ForCausalLM

from torch_common import DTYPES, arguments, build, language_config, parse, randomize, report, timed

WARM_UP_TOKENS = 64


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--size", choices=["0.5b", "7b"], default="0.5b")
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=0, help="time as many decode steps instead of the prompt")
    args = parse(parser)
    config = language_config(args.size, args.layers)
    model = randomize(build(Qwen2ForCausalLM, config, DTYPES[args.dtype]))
    ids = (torch.arange(args.prompt_tokens)[None] * 7919) % 150_000

    def prefill(count: int) -> DynamicCache:
        cache = DynamicCache(config=config)
        model(input_ids=ids[:, :count], cache=cache, use_cache=True, logits_to_keep=1)
        return cache

    def decode(cache: DynamicCache) -> None:
        token = ids[:, :1]
        for _ in range(args.new_tokens):
            token = model(input_ids=token, cache=cache, use_cache=True).logits[:, -1:].argmax(-1)

    if args.new_tokens == 0:
        prefill(min(WARM_UP_TOKENS, args.prompt_tokens))
        seconds = timed(lambda: prefill(args.prompt_tokens), args.repeat)
    else:
        seconds = []
        for _ in range(args.repeat):
            cache = prefill(args.prompt_tokens)
            seconds += timed(lambda: decode(cache), 1)
            assert cache.get_seq_length() == args.prompt_tokens + args.new_tokens
    report(seconds=seconds)


if __name__ == "__main__":
    main()
