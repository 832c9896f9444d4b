"""Our side: `llava-video bench` and `llava-video ask`."""

import json

from files import Files
from process import Failed, Finished
from side import Reading, Side

NAME = "llava-video"


def bench_flags(stage: str, frames: int, prompt_tokens: int, new_tokens: int) -> list[str]:
    """What makes `bench` measure one stage and nothing else."""
    flags = ["--stages", stage]
    if frames:
        flags += ["--frames", str(frames)]
    if prompt_tokens:
        flags += ["--prompt-tokens", str(prompt_tokens)]
    if new_tokens:
        flags += ["--new-tokens", str(new_tokens)]
    return flags


def stage_reading(output: str, stage: str, key: str | None, value: int) -> Reading:
    """The last pass of a stage: the only place that knows what `bench --json` prints; docs/json.md has its keys."""
    printed = json.loads(output)
    for entry in printed["stages"]:
        if entry["stage"] == stage and (key is None or entry[key] == value):
            how = {name: printed[name] for name in ("arithmetic", "kernels")}
            return Reading(entry["seconds"][-1], facts={**entry, **how})
    raise Failed(f"bench printed no stage {stage}" + (f" with {key} {value}" if key else ""))


def bench(
    stage: str,
    size: str,
    dtype: str = "bf16",
    quantize: str | None = None,
    frames: int = 0,
    prompt_tokens: int = 0,
    new_tokens: int = 0,
    from_files: bool = False,
) -> Side:
    """One stage of `bench`, on generated weights or on a checkpoint's files."""
    key, value = {
        "tower": ("sampled_frames", frames),
        "prefill": ("tokens", prompt_tokens),
        "decode": ("depth", prompt_tokens),
    }.get(stage, (None, 0))

    def command(files: Files, repeat: int) -> list[str]:
        model = ["--model", str(files.model(size))] if from_files else ["--size", size]
        quantized = ["--quantize", quantize] if quantize else []
        run = ["--threads", str(files.threads), "--repeat", str(repeat), "--json"]
        shape = bench_flags(stage, frames, prompt_tokens, new_tokens)
        return [files.ours, "bench", *model, "--dtype", dtype, *quantized, *shape, *run]

    def read(finished: Finished) -> Reading:
        return stage_reading(finished.output, stage, key, value)

    return Side(f"{NAME} {quantize or dtype}", command, read)


def ask(size: str, dtype: str, frames: int, question: str) -> Side:
    """A question about a clip, from the start of the process to its first token; nothing is taken from the cache."""

    def command(files: Files, _repeat: int) -> list[str]:
        model = ["--model", str(files.model(size)), "--dtype", dtype, "--device", "cpu", "--no-cache"]
        flags = ["-n", str(frames), "--max-new-tokens", "1", "--threads", str(files.threads), "--json"]
        return [files.ours, "ask", files.clip, question, *model, *flags]

    def read(finished: Finished) -> Reading:
        answer = json.loads(finished.output)
        kept = {key: answer[key] for key in ("token_ids", "prompt_tokens", "timings")}
        return Reading(finished.first_line_secs, facts=kept)

    return Side(f"{NAME} {dtype}", command, read)
