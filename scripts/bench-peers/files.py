"""The places of programs and model files, and how the model files are made when they are first needed."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Files:
    """Everything that the two sides run, and what they read."""

    root: Path
    work: Path
    threads: int

    @property
    def ours(self) -> str:
        return str(self.root / "target/release/llava-video")

    @property
    def python(self) -> str:
        return str(self.work / "venv/bin/python")

    @property
    def clip(self) -> str:
        return str(self.root / "tests/fixtures/clips/real/sk_bigbuckbunny.mp4")

    def script(self, name: str) -> str:
        return str(self.root / "scripts/bench-peers" / name)

    def llama(self, name: str) -> str:
        return str(self.work / "llama.cpp/build/bin" / name)

    def llama_version(self) -> str:
        return f"llama.cpp in {(self.work / 'llama.cpp/built').read_text().strip().replace('==', ' ')}"

    def model(self, size: str) -> Path:
        """A checkpoint of random weights: 0.5b, 7b or 7b-4-layers."""
        name, _, layers = size.partition("-")
        count = ["--layers", layers.removesuffix("-layers")] if layers else []
        path = self.work / "models" / size

        def make(part: Path) -> None:
            generator = self.root / "target/release/examples/generate-checkpoint"
            subprocess.run([generator, name, part, *count], cwd=self.root, check=True)

        return made(path, make)

    def gguf(self, size: str, kind: str) -> Path:
        """The same language model for llama.cpp, in bf16 or q4_k.

        The q4_k file has the formats of ours, head and embeddings in q6_k, or q8_0 where rows do not divide into blocks
        of 256. In other matrices with such rows llama.cpp falls back to q5_0, which is smaller than our q8_0.
        """
        table = "q8_0" if size.startswith("0.5b") else "q6_k"

        def make(part: Path) -> None:
            if kind == "bf16":
                subprocess.run([self.python, self.script("write_gguf.py"), self.model(size), part], check=True)
            else:
                command = [self.llama("llama-quantize"), "--pure", "--output-tensor-type", table]
                command += ["--token-embedding-type", table, str(self.gguf(size, "bf16")), str(part), "Q4_K_S"]
                subprocess.run([*command, str(self.threads)], check=True, stdout=subprocess.DEVNULL)

        return made(self.work / "gguf" / f"{size}-{kind}.gguf", make)


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """Makes a file or directory beside its place, so that one which is there is whole."""
    if not path.exists():
        print(f"making {path}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name("unfinished-" + path.name)
        make(part)
        part.rename(path)
    return path
