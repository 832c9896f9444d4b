"""The rows of the table: what is compared, with whom, and by how much ours has to be faster."""

from dataclasses import dataclass

import ours
import rivals
from side import Side

WHOLE_LAYERS, FEW_LAYERS = 28, 4
# Parameters of the 7B model: one decoder layer, and the output head, which is as large as the embedding table.
LAYER = 2 * 3584 * 3584 + 2 * 512 * 3584 + 3 * 3584 * 18_944
HEAD = 152_064 * 3584
DEPTH = 512
QUESTION = "What happens in this video?"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Rates are `amount` over seconds; seconds are times `scale`. `target` is a bar in the row's unit, `read_share` one as
    a share of what the machine can read, which `bench` finds out in the same run. `files_of` names a checkpoint whose
    files both sides read.
    """

    key: str
    work: str
    unit: str
    ours: Side
    rivals: tuple[tuple[Side, float | None], ...]
    amount: float = 1
    scale: float = 1
    repeat: int = 2
    rounds: int | None = None
    files_of: str | None = None
    target: float | None = None
    read_share: float | None = None

    @property
    def sides(self) -> list[Side]:
        return [self.ours, *(side for side, _ in self.rivals)]

    def value(self, seconds: float, amount: float) -> float:
        """In the row's unit."""
        return seconds * self.scale if self.unit == "s" else amount / (seconds * self.scale)


def tower(frames: int, dtype: str, bar: float) -> Row:
    work = f"tower, {frames} frame{'s' if frames > 1 else ''}, {dtype}"
    side = ours.bench("tower", "tower", dtype, frames=frames)
    return Row(f"tower-{frames}-{dtype}", work, "s", side, ((rivals.torch_tower(frames, dtype), bar),))


def prefill(tokens: int, bar: float, repeat: int = 2, rounds: int | None = None) -> Row:
    """Of the 0.5B model in bf16."""
    side = ours.bench("prefill", "0.5b", prompt_tokens=tokens)
    rival = rivals.torch_language("0.5b", None, tokens)
    work = f"prefill {tokens:,}, 0.5B bf16"
    return Row(f"prefill-{tokens}", work, "s", side, ((rival, bar),), repeat=repeat, rounds=rounds)


def decode(kind: str, bars: list[float]) -> Row:
    """Of the 0.5B model; bars against llama.cpp and, in bf16, PyTorch."""
    steps = 64
    quantize = None if kind == "bf16" else kind
    side = ours.bench("decode", "0.5b", "bf16", quantize, prompt_tokens=DEPTH, new_tokens=steps)
    against = [rivals.llama("0.5b", kind, DEPTH, steps)]
    if kind == "bf16":
        against.append(rivals.torch_language("0.5b", None, DEPTH, steps))
    work = f"decode after {DEPTH}, 0.5B {kind}"
    return Row(f"decode-{kind}", work, "tokens/s", side, tuple(zip(against, bars)), amount=steps, read_share=0.9)


def of_7b(whole: bool) -> list[Row]:
    """Rows of the 7B model, whole or on a part of its layers and scaled."""
    size, layers = ("7b", WHOLE_LAYERS) if whole else (f"7b-{FEW_LAYERS}-layers", FEW_LAYERS)
    note = "" if whole else f" ({layers} of {WHOLE_LAYERS} layers, scaled)"
    torch_layers = None if whole else layers
    tokens, steps = 443, 16

    def scaled(layer: float, other: float) -> float:
        return (WHOLE_LAYERS * layer + other) / (layers * layer + other)

    rows = []
    for kind in ("bf16", "q4_k"):
        quantize = None if kind == "bf16" else kind
        side = ours.bench("prefill", size, "bf16", quantize, prompt_tokens=tokens)
        against = [(rivals.torch_language("7b", torch_layers, tokens), 1.5 if quantize else 1.2)]
        if quantize:
            against.append((rivals.llama(size, kind, tokens), 2.0))
        work = f"prefill {tokens}, 7B {kind}{note}"
        rows.append(Row(f"prefill-7b-{kind}", work, "s", side, tuple(against), scale=WHOLE_LAYERS / layers))
    for kind, layer_bits, head_bits in (("bf16", 16, 16), ("q4_k", 4.5, 6.5625)):
        quantize = None if kind == "bf16" else kind
        side = ours.bench("decode", size, "bf16", quantize, prompt_tokens=DEPTH, new_tokens=steps)
        against = [(rivals.llama(size, kind, DEPTH, steps), 1.2)]
        if not quantize:
            against.append((rivals.torch_language("7b", torch_layers, DEPTH, steps), 1.0))
        work = f"decode after {DEPTH}, 7B {kind}{note}"
        scale = scaled(LAYER * layer_bits, HEAD * head_bits)
        key, shares = f"decode-7b-{kind}", {"amount": steps, "scale": scale, "read_share": 0.9}
        rows.append(Row(key, work, "tokens/s", side, tuple(against), **shares))
    side = ours.bench("load", size, "bf16", "q4_k", from_files=True)
    scale = scaled(LAYER, 2 * HEAD)
    work = f"load and quantize, 7B q4_k{note}"
    rows.append(Row("load-q4_k", work, "s", side, (), scale=scale, files_of=size, target=60))
    return rows


def all_rows(whole_7b: bool = False) -> list[Row]:
    """In the order of the table."""
    load_size = "7b" if whole_7b else f"7b-{FEW_LAYERS}-layers"
    load = Row(
        "load",
        f"load warm, bf16, the files of {load_size}",
        "GB/s",
        ours.bench("load", load_size, from_files=True),
        ((rivals.torch_load(load_size), None),),
        # A virtual machine's host finds memory for the first load at a tenth of the speed.
        repeat=3,
        files_of=load_size,
        target=4,
    )
    ask = Row(
        "ask",
        "ask, 8 frames, 0.5B bf16, process start to first token",
        "s",
        ours.ask("0.5b", "bf16", 8, QUESTION),
        ((rivals.torch_ask("0.5b", "bf16", 8, QUESTION), 2.0),),
        files_of="0.5b",
    )
    return [
        tower(1, "bf16", 1.55),
        tower(8, "bf16", 1.55),
        tower(1, "f32", 1.4),
        tower(8, "f32", 1.4),
        prefill(512, 1.35),
        prefill(2048, 1.4),
        prefill(8192, 1.0, repeat=1),
        prefill(23_100, 1.0, repeat=1, rounds=1),
        decode("bf16", [1.2, 1.0]),
        decode("q4_k", [1.2]),
        *of_7b(whole_7b),
        load,
        ask,
    ]
