"""The text about one view: questions, dialogues and their answers, each seeing the video and itself only."""

from dataclasses import dataclass, field

import numpy as np

import video
from options import ask_options
from prompt import END, NEXT, TAIL, lead
from questions import ask
from scene import SHAPES

KINDS = {  # how often each is asked
    "describe": 3.0,
    "color": 0.8,
    "shape": 1.0,
    "direction": 1.2,
    "count": 0.3,
    "order": 2.0,
    "relation": 4.0,
    "event": 1.2,
    "background": 0.5,
    "yesno": 2.0,
    "time": 0.1,
    "unknown": 1.2,
    "options": 3.0,
}
NAMES = [*KINDS, "dialogue"]  # the later turns of a dialogue are a kind of their own
NOTHING = -100  # what cross entropy leaves out


@dataclass
class Token:
    """One token of the text; segment 0 is what all questions see, reply numbers the answers of a row."""

    id: int
    segment: int
    position: int
    want: int = NOTHING  # the id that is to follow
    weight: float = 0.0
    kind: int = -1
    reply: int = 0


PADDING = Token(0, -1, 0)


@dataclass
class Row:
    """The text of one view, and marks of where heads are to look or what they are to say, by the tokens' indices."""

    start: int  # position of the first token
    tokens: list = field(default_factory=list)
    options: list = field(default_factory=list)  # (last token of an option, which letter, whether it is right)
    letters: list = field(
        default_factory=list
    )  # (token before the letter that answers, last token of the right option)
    events: list = field(
        default_factory=list
    )  # (last token of the event that a question names, whose it is, whether it is the last, token before the answer)
    told: list = field(default_factory=list)  # (token before one of a description's, the shape that it is about)

    def add(self, ids, segment, position):
        self.tokens += [Token(one, segment, position + n) for n, one in enumerate(ids)]

    def answer(self, first, reply, kind, number):
        """The ids that are to follow the tokens from first on."""
        for n, want in enumerate(reply):
            token = self.tokens[first + n]
            token.want, token.weight, token.kind, token.reply = want, len(reply) ** -0.75, kind, number


def table(rows):
    """The rows as arrays [rows, tokens], and the marks with the row's number in front."""
    longest = max(len(row.tokens) for row in rows)
    padded = [row.tokens + [PADDING] * (longest - len(row.tokens)) for row in rows]
    out = {}
    for name in ("id", "segment", "position", "want", "weight", "kind", "reply"):
        kind = np.float32 if name == "weight" else np.int64
        out[name] = np.array([[getattr(token, name) for token in row] for row in padded], kind)
    for name, width in (("options", 4), ("letters", 3), ("events", 5), ("told", 3)):
        marks = [(n, *mark) for n, row in enumerate(rows) for mark in getattr(row, name)]
        out[name] = np.array(marks, np.int64).reshape(-1, width)
    return out


class Writer:
    """Writes the rows of text."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False)

    def row(self, rng, scene, picked, start, room, stamped):
        """The text about frames picked of a scene: the lead, then questions and dialogues while there is room."""
        row = Row(start)
        told = video.time_instruction(scene["frames"], scene["fps"], picked) if stamped else None
        before = self.encode(lead(told, inline=rng.random() < 0.5))
        row.add(before.ids, 0, start)
        shared = len(row.tokens)
        room, segment, number, waiting = max(room, shared + min(room, 450)) - 25, 0, 0, []
        for asked in quiz(rng, scene, stamped):
            if not waiting:
                turns = 3 if rng.random() < 0.15 else 1
            waiting.append(asked)
            if len(waiting) < turns:
                continue
            segment, position = segment + 1, start + shared
            for turn, one in enumerate(waiting):
                number += 1
                position += self.put(row, one, segment, position, number, turn)
            waiting = []
            if len(row.tokens) > room:
                break
        return row

    def put(self, row, asked, segment, position, number, turn):
        """One question and its answer; how many tokens they take."""
        between = NEXT.removeprefix(END) if turn else ""
        found, said = self.encode(between + asked.text + TAIL), self.encode(asked.answer + END)
        reply = said.ids
        first = len(row.tokens)
        last = first + len(found.ids) - 1  # the answer follows it
        row.add(found.ids + reply, segment, position)
        row.answer(last, reply, NAMES.index("dialogue" if turn else asked.kind), number)
        at = lambda end: first + next(i for i, (_, stop) in enumerate(found.offsets) if stop >= len(between) + end)
        for n, (end, right) in enumerate(asked.letters):
            row.options.append((at(end), n, int(right)))
            if right:
                row.letters.append((last, at(end)))
        if asked.event:
            end, shape, is_last = asked.event
            row.events.append((at(end), SHAPES.index(shape), int(is_last), last))
        if asked.kind == "describe":
            for shape, start, stop in sentences(asked.answer):
                row.told += [(last + n, shape) for n, (_, end) in enumerate(said.offsets) if start < end <= stop]
        return len(found.ids) + len(reply)


def sentences(described):
    """(shape, first character, one past the last) of each sentence about a shape in a description."""
    start = 0
    for sentence in described.split(". "):
        what = sentence.rstrip(".").split(" ")[2]
        if what in SHAPES:
            yield SHAPES.index(what), start, start + len(sentence)
        start += len(sentence) + len(". ")


def quiz(rng, scene, stamped):
    """Different questions about the scene, in random order; the first is of time where there is a time instruction."""
    weights = np.array([10 * w if kind == "time" and stamped else w for kind, w in KINDS.items()])
    drawn, seen = rng.choice(list(KINDS), 60, p=weights / weights.sum()), set()
    for kind in (["time"] if stamped else []) + list(map(str, drawn)):
        asked = ask_options(rng, scene) if kind == "options" else ask(rng, scene, kind)
        if kind == "shape" and len(scene["objects"]) < 2 and rng.random() < 0.6:  # easy, and soon learned
            continue
        again = kind if kind == "describe" else asked and asked.text  # one description is enough
        if asked and again not in seen:
            seen.add(again)
            yield asked
