"""The machine: what it is, and how much of it is busy."""

import os
import platform
import re
import subprocess
import time
from pathlib import Path

# Kinds of processor time in /proc/stat that somebody uses; "steal" is the host's.
BUSY = {"user": 0, "nice": 1, "system": 2, "irq": 5, "softirq": 6, "steal": 7}
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def busy_seconds() -> float:
    """Processor time used on all cores since boot, by everybody."""
    ticks = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(ticks[place]) for place in BUSY.values()) / os.sysconf("SC_CLK_TCK")


def busy_share(seconds: float) -> float:
    """The share of the machine that is used while this waits."""
    before, start = busy_seconds(), time.perf_counter()
    time.sleep(seconds)
    return (busy_seconds() - before) / (time.perf_counter() - start) / (os.cpu_count() or 1)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def describe() -> str:
    """Processor, cores and memory."""
    text = Path("/proc/cpuinfo").read_text()

    def field(name: str) -> str:
        found = re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE)
        return found[1] if found else "unknown"

    flags = field("flags").split()
    known = [feature for feature in FEATURES if feature in flags]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    model = f"{field('model name')} (family {field('cpu family')}, model {field('model')}; {', '.join(known)})"
    return f"{model if known else platform.processor() or platform.machine()}, cores: {cores()}, {memory:.0f} GiB"


def commit(root: Path) -> str:
    """The commit that is measured; a changed working tree is said to be one."""

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=root, check=True, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "examples", "Cargo.toml", "Cargo.lock")
    return git("rev-parse", "--short=7", "HEAD") + ("-changed" if changed else "")
