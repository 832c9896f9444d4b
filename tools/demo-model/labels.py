"""What the training heads have to say of each frame, derived from the scene; arrays run over frames, then SHAPES."""

import numpy as np

from draw import stencil
from grid import IMAGE, PATCH
from scene import COLORS, DIRECTIONS, SHAPES, heading, history, position

EVENTS = ("appear", "disappear", "color", "blink", "turn")
NOW = ("shown", "gone", "color")  # what a frame shows that the one before did not
FINE = 4  # parts a patch is cut into, each way
STENCILS = [stencil(shape, 64, True) > 0 for shape in SHAPES]


def state(scene, times):
    """Of each frame and shape: there [F,4], centre [F,4,2], colour [F,4] (-1 when not there)."""
    count, shapes = len(times), len(SHAPES)
    there, place, color = (
        np.zeros((count, shapes), bool),
        np.zeros((count, shapes, 2), np.float32),
        np.full((count, shapes), -1),
    )
    for obj in scene["objects"]:
        s = SHAPES.index(obj["shape"])
        name, hidden, t = np.full(count, COLORS.index(obj["color"])), np.zeros(count, bool), times
        for e in obj["events"]:
            past = times >= e["t"]
            if e["kind"] == "turn":
                t = np.where(times > e["t"], 2 * e["t"] - times, times)
            elif e["kind"] == "color":
                name[past] = COLORS.index(e["to"])
            else:
                hidden |= {"appear": ~past, "disappear": past, "blink": past & (times < e.get("end", 0))}[e["kind"]]
        there[:, s] = ~hidden
        color[:, s] = np.where(hidden, -1, name)
        place[:, s] = np.stack([obj["x"] + obj["vx"] * t, obj["y"] + obj["vy"] * t], 1)
    return there, place, color


def outline(scene, there, place):
    """Share of each part of each patch that each shape covers: [F, patches, shapes * FINE * FINE]."""
    side = IMAGE // PATCH
    fine = side * FINE
    out = np.zeros((len(there), len(SHAPES), fine, fine), np.float32)
    at = (np.arange(2 * fine) + 0.5) / (2 * fine)
    for obj in scene["objects"]:
        s = SHAPES.index(obj["shape"])
        half = obj["size"] * min(scene["w"], scene["h"]) / 2
        for k in np.flatnonzero(there[:, s]):
            u, v = [
                np.floor(((at - c) / (half / n) + 1) * 32).astype(int)
                for c, n in zip(place[k, s], (scene["w"], scene["h"]))
            ]
            inside = (
                STENCILS[s][np.ix_(v.clip(0, 63), u.clip(0, 63))]
                & ((v >= 0) & (v < 64))[:, None]
                & ((u >= 0) & (u < 64))
            )
            out[k, s] = inside.reshape(fine, 2, fine, 2).mean((1, 3))
    return (
        out.reshape(-1, len(SHAPES), side, FINE, side, FINE)
        .transpose(0, 2, 4, 1, 3, 5)
        .reshape(len(there), side * side, -1)
    )


def story(scene, times):
    """What each shape has done up to each frame, as a dict of arrays [F,4,...]; -1 and masks where it cannot be
    known yet."""
    there, place, color = state(scene, times)
    count, shapes = there.shape
    index = np.arange(count)
    ever = np.cumsum(there, 0) > 0
    before = np.maximum(index - 1, 0)
    out = {
        "there": there,
        "ever": ever,
        "there before": there[before],
        "there first": there[:1].repeat(count, 0),
        "both": there & there[before],
        "step": place - place[before],
        "color": np.full((count, shapes), -1),
        "color first": np.full((count, shapes), -1),
        "shift": np.zeros((count, shapes, 2), np.float32),
        "way": np.full((count, shapes), -1),
        "way first": np.full((count, shapes), -1),
        "now": np.zeros((count, shapes, len(NOW)), np.float32),
        "done": np.zeros((count, shapes, len(EVENTS)), np.float32),
        "age": np.zeros((count, shapes, len(EVENTS)), np.float32),
    }
    earlier, same = there[before], there & there[before]
    out["now"][...] = np.stack([there & ~earlier, earlier & ~there, same & (color != color[before])], -1)
    past = history(scene)
    over = [times >= e.get("end", e["t"]) for _, e in past]
    for rank in (
        "event first",
        "event last",
    ):  # of all shapes' events so far: its kind where it is this shape's, else none
        out[rank] = np.full((count, shapes), len(EVENTS))
        for (obj, e), known in list(zip(past, over))[:: -1 if rank == "event first" else 1]:
            out[rank][known] = len(EVENTS)
            out[rank][known, SHAPES.index(obj["shape"])] = EVENTS.index(e["kind"])
    for obj in scene["objects"]:
        s = SHAPES.index(obj["shape"])
        seen = ever[:, s]
        if not seen.any():
            continue
        start = int(np.argmax(seen))
        last = np.maximum.accumulate(np.where(there[:, s], index, start))  # the latest frame that shows it
        out["color"][seen, s] = color[last, s][seen]
        out["color first"][seen, s] = color[start, s]
        shift = place[last, s] - place[start, s]
        out["shift"][seen, s] = shift[seen]
        ways = [("", *DIRECTIONS).index(heading(obj, end)) for end in (False, True)]
        turn = next((e["t"] for e in obj["events"] if e["kind"] == "turn"), np.inf)
        far = (abs(shift).max(1) > 0.07) | (times[last] - times[start] > 0.3 * scene["dur"])
        known = seen & (np.maximum.accumulate(far) | (times > turn))
        out["way first"][known, s] = ways[0]
        early, bend = times <= turn, np.array(position(obj, min(turn, scene["dur"])))
        after = ~early & (abs(place[last, s] - bend).max(1) > 0.04) & (times[last] > turn)
        out["way"][known & early, s], out["way"][after, s] = ways[0], ways[1]
        for e in obj["events"]:
            k, end = EVENTS.index(e["kind"]), e.get("end", e["t"])
            first = int(np.argmax(times >= e["t"]))
            over = (times >= end) & (after if e["kind"] == "turn" else True)
            parts = [(over, k)] + ([((times >= e["t"]) & (times < end), 1)] if e["kind"] == "blink" else [])
            for part, slot in parts:
                out["done"][part, s, slot] = 1
                out["age"][part, s, slot] = ((index - first + 1) / (index + 1))[part]
    return out
