"""Runs one program and says how long it took, what memory it took, and how busy the machine was with others."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from machine import busy_seconds


class Failed(Exception):
    """A program that did not do its work."""


@dataclass(frozen=True)
class Finished:
    """What a program left."""

    output: str
    first_line_secs: float
    others_share: float
    peak_rss_bytes: int


def run(command: list[str], log: Path, timeout_secs: float) -> Finished:
    """Runs a program to its end; its standard error goes to `log`."""
    busy, start = busy_seconds(), time.perf_counter()
    with log.open("w") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        alarm = threading.Timer(timeout_secs, child.kill)
        alarm.start()
        assert child.stdout is not None
        first = child.stdout.readline()
        first_line_secs = time.perf_counter() - start
        output = first + child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        alarm.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    others = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
    if child.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise Failed(f"{Path(command[0]).name} ended with {child.returncode}: {' / '.join(last)}")
    share = max(0.0, others) / wall / (os.cpu_count() or 1)
    return Finished(output, first_line_secs, share, usage.ru_maxrss * 1024)
