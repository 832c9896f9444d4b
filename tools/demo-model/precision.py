"""What precision this processor multiplies fast."""

from functools import cache
from pathlib import Path


@cache
def has_fast_bf16():
    """Whether this processor multiplies bf16; where it does not, training is faster in f32."""
    flags = Path("/proc/cpuinfo").read_text()
    return "amx_bf16" in flags or "avx512_bf16" in flags
