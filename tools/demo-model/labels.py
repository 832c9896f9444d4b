"""What each frame of a scene shows, and what each shape has done up to it: what heads have to say in training.

Arrays run over frames, then over SHAPES; -1 and masks stand where something cannot be known yet.
"""

import numpy as np

from draw import stencil
from grid import SIDE
from scene import COLORS, DIRECTIONS, GROUNDS, SHAPES, TEXTURES, heading, history, position

EVENTS = ("appear", "disappear", "color", "blink", "turn")
FINE = 4  # parts a patch is cut into, each way
STENCILS = [stencil(shape, 64, True) > 0 for shape in SHAPES]


def ground(scene):
    """The indices of the ground's colour and texture."""
    return np.array([GROUNDS.index(scene["ground"]), TEXTURES.index(scene["texture"])])


def state(scene, times):
    """Of each frame and shape: whether it is there [F,4], its centre [F,4,2], its colour [F,4]."""
    count, shapes = len(times), len(SHAPES)
    there, place = np.zeros((count, shapes), bool), np.zeros((count, shapes, 2), np.float32)
    color = np.full((count, shapes), -1)
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
    """The share of each part of each patch that each shape covers: [F, patches, shapes * FINE * FINE]."""
    fine = SIDE * FINE
    out = np.zeros((len(there), len(SHAPES), fine, fine), np.float32)
    at = (np.arange(2 * fine) + 0.5) / (2 * fine)
    for obj in scene["objects"]:
        s = SHAPES.index(obj["shape"])
        half = obj["size"] * min(scene["w"], scene["h"]) / 2
        for k in np.flatnonzero(there[:, s]):
            sides = zip(place[k, s], (scene["w"], scene["h"]))
            u, v = (np.floor(((at - center) / (half / whole) + 1) * 32).astype(int) for center, whole in sides)
            within = ((v >= 0) & (v < 64))[:, None] & ((u >= 0) & (u < 64))
            inside = STENCILS[s][np.ix_(v.clip(0, 63), u.clip(0, 63))] & within
            out[k, s] = inside.reshape(fine, 2, fine, 2).mean((1, 3))
    parts = out.reshape(-1, len(SHAPES), SIDE, FINE, SIDE, FINE).transpose(0, 2, 4, 1, 3, 5)
    return parts.reshape(len(there), SIDE * SIDE, -1)


def shown(scene, times):
    """What each frame shows, as arrays [F,...] by name."""
    there, place, color = state(scene, times)
    return {
        "there": there,
        "place": place,
        "color": color,
        "ground": np.tile(ground(scene), (len(times), 1)),
        "outline": outline(scene, there, place),
    }


def story(scene, times):
    """What each shape has done up to each frame, as arrays [F,4,...] by name."""
    there, place, color = state(scene, times)
    count, shapes = there.shape
    index = np.arange(count)
    before, ever = np.maximum(index - 1, 0), np.cumsum(there, 0) > 0
    out = {
        "there": there,
        "ever": ever,
        "there before": there[before],
        "there first": there[:1].repeat(count, 0),
        "both": there & there[before],
        "step": place - place[before],
        "shift": np.zeros((count, shapes, 2), np.float32),
        "done": np.zeros((count, shapes, len(EVENTS)), np.float32),
        "age": np.zeros((count, shapes, len(EVENTS)), np.float32),
        "ground": np.tile(ground(scene), (count, shapes, 1)),
    }
    out |= {name: np.full((count, shapes), -1) for name in ("color", "color first", "way", "way first")}
    out |= ranks(scene, times, (count, shapes))
    for obj in scene["objects"]:
        s = SHAPES.index(obj["shape"])
        seen = ever[:, s]
        if seen.any():
            tell(out, scene, times, obj, s, seen, there, place, color)
    return out


def ranks(scene, times, shape):
    """Of all events so far the first and the last one: its kind where it is this shape's, else none of them."""
    past = history(scene)
    over = [times >= e.get("end", e["t"]) for _, e in past]
    out = {}
    for name, step in (("event first", -1), ("event last", 1)):
        out[name] = np.full(shape, len(EVENTS))
        for (obj, e), known in list(zip(past, over))[::step]:
            out[name][known] = len(EVENTS)
            out[name][known, SHAPES.index(obj["shape"])] = EVENTS.index(e["kind"])
    return out


def tell(out, scene, times, obj, s, seen, there, place, color):
    """Put into out what one shape has done."""
    index, start = np.arange(len(times)), int(np.argmax(seen))
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
        parts = [((times >= end) & (after if e["kind"] == "turn" else True), k)]
        if e["kind"] == "blink":  # until it is back, it has disappeared
            parts.append(((times >= e["t"]) & (times < end), EVENTS.index("disappear")))
        for part, slot in parts:
            out["done"][part, s, slot] = 1
            out["age"][part, s, slot] = ((index - first + 1) / (index + 1))[part]
