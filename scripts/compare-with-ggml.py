#!/usr/bin/env python3
"""Compares this program's quantized blocks with ggml's own code and with gguf-py.

usage: compare-with-ggml.py fixture           writes tests/fixtures/ggml: rows of several kinds, ggml's blocks, its errors
       compare-with-ggml.py read FILE.gguf    reads a file of `llava-video model quantize` with gguf-py, and every tensor's
                                              blocks with gguf-py and with ggml

Needs gcc and, in the Python that runs it, numpy, safetensors and gguf. ggml is the copy in llama-cpp-python's source
package, which pip fetches; only its quantization is compiled, to a library in a temporary folder.
"""
import ctypes, hashlib, json, os, pathlib, subprocess, sys, tarfile, tempfile
import numpy as np

SOURCE = "llama-cpp-python==0.3.36"
FORMATS = {"q8_0": (8, "q8_0", 34, 32), "q6_k": (14, "q6_K", 210, 256), "q5_k": (13, "q5_K", 176, 256), "q4_k": (12, "q4_K", 144, 256)}
VALUES = 6 * 256 + 256  # seven blocks: a number that no vector width divides
STUBS = "void ggml_critical_section_start(void) {}\nvoid ggml_critical_section_end(void) {}\n"


def build(folder):
    """Compiles ggml's quantization without fused multiply-add, so that its sums are those of its text."""
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "llama-cpp-python", "-d", folder, SOURCE], check=True)
    archive = next(pathlib.Path(folder).glob("llama_cpp_python-*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(folder, [m for m in tar.getmembers() if "/vendor/llama.cpp/ggml/" in m.name], filter="data")
    source = next(pathlib.Path(folder).glob("*/vendor/llama.cpp/ggml/src"))
    (source / "ggml-version.h").write_text('#define GGML_VERSION "x"\n#define GGML_COMMIT "x"\n')
    (source / "stubs.c").write_text(STUBS)
    library = pathlib.Path(folder) / "libggml.so"
    flags = ["-O2", "-ffp-contract=off", "-fPIC", "-shared", "-w", "-DNDEBUG", "-D_GNU_SOURCE", "-I../include", "-I."]
    subprocess.run(["gcc", *flags, "ggml-quants.c", "ggml.c", "stubs.c", "-o", library, "-lm"], cwd=source, check=True)
    return ctypes.CDLL(str(library), mode=os.RTLD_LAZY)


def quantize(ggml, name, values):
    number, _, block_bytes, block_values = FORMATS[name]
    blocks = np.zeros(values.size // block_values * block_bytes, np.uint8)
    run = ggml.ggml_quantize_chunk
    run.restype = ctypes.c_size_t
    run.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    assert run(number, values.ctypes.data, blocks.ctypes.data, 0, 1, values.size, None) == blocks.size
    return blocks


def dequantize(ggml, name, blocks):
    _, function, block_bytes, block_values = FORMATS[name]
    values = np.zeros(blocks.size // block_bytes * block_values, np.float32)
    run = getattr(ggml, f"dequantize_row_{function}")
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    blocks = np.ascontiguousarray(blocks)
    run(blocks.ctypes.data, values.ctypes.data, values.size)
    return values


def rows():
    random = np.random.default_rng(10)
    normal = random.standard_normal(VALUES)
    yield "normal", 0.02 * normal
    yield "heavy_tailed", 0.02 * random.standard_t(2, VALUES)
    yield "constant", np.full(VALUES, 0.37)
    yield "negative_constant", np.full(VALUES, -0.37)
    yield "constant_parts", np.repeat(random.standard_normal(VALUES // 32), 32)
    yield "sparse", random.standard_normal(VALUES) * (random.random(VALUES) < 0.02)
    yield "far_from_zero", 5 + 1e-3 * normal
    yield "tiny", 1e-5 * normal
    yield "huge", 1e5 * normal
    yield "beyond_f16", 1e9 * normal


def fixture(ggml):
    from safetensors.numpy import save_file
    folder = pathlib.Path(__file__).parent.parent / "tests/fixtures/ggml"
    folder.mkdir(exist_ok=True)
    tensors, facts = {}, {}
    for kind, values in rows():
        values = values.astype(np.float32)
        tensors[f"{kind}.values"], facts[kind] = values, {}
        for name in FORMATS:
            blocks = quantize(ggml, name, values)
            read = dequantize(ggml, name, blocks)
            square = lambda x: float(np.mean(np.square(x.astype(np.float64))))
            error = np.sqrt(square(read.astype(np.float64) - values) / square(values)) if np.isfinite(read).all() else None
            tensors[f"{kind}.{name}"] = blocks
            facts[kind][name] = {"relative_error": error, "read_sha256": hashlib.sha256(read.tobytes()).hexdigest()}
    save_file(tensors, folder / "blocks.safetensors")
    (folder / "blocks.json").write_text(json.dumps(facts, indent=1) + "\n")


def read(ggml, path):
    import gguf
    counts = {}
    for tensor in gguf.GGUFReader(path).tensors:
        name = tensor.tensor_type.name.lower()
        theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type).ravel()
        assert np.isfinite(theirs).all() and theirs.size == tensor.n_elements, tensor.name
        if name in FORMATS:
            own = dequantize(ggml, name, tensor.data.ravel())
            assert np.array_equal(own, theirs), tensor.name
        counts[name] = counts.get(name, 0) + 1
    print("tensors read alike by gguf-py and ggml:", ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))


if __name__ == "__main__":
    if sys.argv[1:2] not in (["fixture"], ["read"]) or len(sys.argv) != (2 if sys.argv[1] == "fixture" else 3):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        ggml = build(folder)
        fixture(ggml) if sys.argv[1] == "fixture" else read(ggml, sys.argv[2])
