"""The rivals: PyTorch by the scripts beside this file, llama.cpp by its own llama-bench."""

import json

from files import Files
from process import Failed, Finished
from side import Reading, Side


def read_torch(finished: Finished) -> Reading:
    """The line of JSON that the scripts print; a script without times of its own is timed from its start."""
    facts = json.loads(finished.output.splitlines()[-1])
    seconds = facts.pop("seconds", [finished.first_line_secs])[-1]
    return Reading(seconds, facts.pop("version"), facts)


def torch_script(script: str, name: str, dtype: str, *flags: str, model: str | None = None) -> Side:
    """A script with the flags that all have."""

    def command(files: Files, repeat: int) -> list[str]:
        run = ["--dtype", dtype, "--threads", str(files.threads), "--repeat", str(repeat)]
        given = [files.clip if flag == "CLIP" else flag for flag in flags]
        return [files.python, files.script(script), *([str(files.model(model))] if model else []), *given, *run]

    return Side(name, command, read_torch)


def torch_tower(frames: int, dtype: str) -> Side:
    return torch_script("torch_tower.py", f"PyTorch {dtype}", dtype, "--frames", str(frames))


def torch_language(size: str, layers: int | None, prompt_tokens: int, new_tokens: int = 0) -> Side:
    shape = ["--size", size, "--prompt-tokens", str(prompt_tokens), "--new-tokens", str(new_tokens)]
    fewer = ["--layers", str(layers)] if layers else []
    return torch_script("torch_language.py", "PyTorch bf16", "bf16", *shape, *fewer)


def torch_load(size: str) -> Side:
    return torch_script("torch_load.py", "PyTorch, safetensors copied", "bf16", model=size)


def torch_ask(size: str, dtype: str, frames: int, question: str) -> Side:
    flags = ["CLIP", question, "--frames", str(frames)]
    return torch_script("torch_ask.py", f"PyTorch {dtype}", dtype, *flags, model=size)


def llama(size: str, kind: str, prompt_tokens: int, new_tokens: int = 0) -> Side:
    """llama-bench with flash attention; it warms up before its first pass."""

    def command(files: Files, repeat: int) -> list[str]:
        if new_tokens:
            shape = ["-p", "0", "-n", str(new_tokens), "-d", str(prompt_tokens)]
        else:
            shape = ["-p", str(prompt_tokens), "-n", "0"]
        run = ["-fa", "1", "-t", str(files.threads), "-r", str(repeat), "-o", "jsonl"]
        return [files.llama("llama-bench"), "-m", str(files.gguf(size, kind)), *shape, *run]

    def read(finished: Finished) -> Reading:
        lines = [json.loads(line) for line in finished.output.splitlines() if line.startswith("{")]
        if len(lines) != 1:
            raise Failed(f"llama-bench printed {len(lines)} results")
        facts = {key: lines[0].get(key) for key in ("build_commit", "model_size", "n_ubatch", "backends")}
        return Reading(lines[0]["samples_ns"][-1] / 1e9, facts=facts)

    return Side(f"llama.cpp {kind.upper()}", command, read, Files.llama_version)
