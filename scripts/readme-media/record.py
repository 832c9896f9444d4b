#!/usr/bin/env python3
"""Runs the program on a terminal of its own and writes what appears there as an asciicast (version 2).

record.py PROGRAM CLIPS OUT.cast

Everything on the screen but the prompt comes from the program and the shell's tools, typed questions included: they go
through its line editor. Only the typing is slowed down, and longer pauses are cut to MOST_WAIT.
"""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

COLUMNS, ROWS = 92, 20
# Seconds: between two strokes, before somebody types, to read an answer, and the longest that a viewer waits for one.
STROKE, THINK, READ, MOST_WAIT = 0.12, 0.5, 1.5, 1.0
# Keys shown at once: each stroke is a whole screen in the picture.
KEYS = 3
PROMPT = "\x1b[32m$\x1b[0m "
# What the chat shows when it waits for a line, without colours and movements of the cursor.
ASKS = "> "


class Recording:
    """Events of a screen, on a clock of its own."""

    def __init__(self):
        self.now = 0.0
        self.events = []

    def wait(self, seconds):
        self.now += seconds

    def show(self, text):
        self.events.append([round(self.now, 3), "o", text])

    def type_command(self, command):
        self.show(PROMPT)
        self.wait(THINK)
        for keys in strokes(command):
            self.show(keys)
            self.wait(STROKE)
        self.wait(THINK / 2)
        self.show("\r\n")

    def run(self, command, work, environment, typed=()):
        """Runs a command line; each of `typed` is typed once the program asks for a line."""
        self.type_command(command)
        controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=work, env=environment, start_new_session=True,
            stdin=terminal, stdout=terminal, stderr=terminal,
        )  # fmt: skip
        os.close(terminal)
        lines = list(typed)
        heard = time.monotonic()
        while select.select([controller], [], [], 60)[0]:
            text = read(controller)
            if not text:
                break
            self.wait(min(time.monotonic() - heard, MOST_WAIT))
            self.show(text)
            if lines and re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text).endswith(ASKS):
                self.type_line(controller, lines.pop(0))
            heard = time.monotonic()
        else:
            os.killpg(process.pid, signal.SIGKILL)
            raise SystemExit(f"`{command}` has said nothing for a minute")
        os.close(controller)
        if process.wait() != 0:
            raise SystemExit(f"`{command}` ended with {process.returncode}")
        self.wait(READ)

    def type_line(self, controller, line):
        """Types a line of the program's and shows what its editor makes of each stroke."""
        self.wait(2 * THINK)
        for keys in [*strokes(line), "\r"]:
            os.write(controller, keys.encode())
            # One redraw a key may come in several pieces: all that come within a moment are one.
            shown = ""
            while select.select([controller], [], [], 0.05)[0]:
                shown += read(controller)
                if keys == "\r":
                    break
            self.show(shown)
            self.wait(STROKE)


def strokes(text):
    """A text in the pieces that are typed at once."""
    return [text[start : start + KEYS] for start in range(0, len(text), KEYS)]


def read(controller):
    """What the terminal has to show; nothing once nobody has its other end open."""
    try:
        return os.read(controller, 65536).decode(errors="replace")
    except OSError:
        return ""


def stage(program, clips):
    """A folder with the program, and clips under names that somebody might give them."""
    work = Path(tempfile.mkdtemp(prefix="readme-media."))
    for folder in ["bin", "home", "clips"]:
        (work / folder).mkdir()
    (work / "bin" / "llava-video").symlink_to(Path(program).resolve())
    for clip in Path(clips).glob("clip*"):
        shutil.copy(clip, work / "clips" / (clip.name.split("-")[0] + clip.suffix))
    shutil.copy(Path(clips) / "clip8-vp9.webm", work / "clip.webm")
    shutil.copy(Path(clips) / "clip5-vp9.webm", work / "star.webm")
    return work


def main(program, clips, out):
    work = stage(program, clips)
    environment = {
        "PATH": f"{work / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(work / "home"),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }
    recording = Recording()
    try:
        recording.run('llava-video ask clip.webm "describe this video" -m demo -q', work, environment)
        recording.run('llava-video ask clip.webm "Which shape is shown?" --choices circle,square,star -m demo -q', work,
                      environment)  # fmt: skip
        recording.run("llava-video chat star.webm -m demo -q", work, environment,
                      ["What happens first?", "What happens after the star blinks?", "/exit"])  # fmt: skip
        recording.run('llava-video batch clips -Q "describe this video" -m demo -q --ordered -o captions.jsonl', work, environment)
        recording.run("jq -r '.id, .answers[0].answer' captions.jsonl | head -n 6", work, environment)
        recording.show(PROMPT)
        recording.wait(2 * READ)
        recording.show("\x1b[0m")
    finally:
        shutil.rmtree(work)
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "llava-video with its demo model"}
    Path(out).write_text("".join(json.dumps(line) + "\n" for line in [header, *recording.events]))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
