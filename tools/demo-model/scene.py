"""Scenes of the demo model's world: one or two shapes that move and change, drawn at random, and where they are when.

A scene is plain data (JSON). Positions are fractions of the frame, sizes fractions of its shorter side, times seconds.
All else is derived from the scene, so a transform (reverse, mirror, swap, window) needs no other labels.
"""

import numpy as np

SHAPES = ("circle", "square", "star", "triangle")  # also the order in which a description names them
COLORS = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "white", "black")
GROUNDS = ("black", "gray", "white", "red", "green", "blue", "yellow", "cyan")
TEXTURES = ("plain", "striped", "checkered")
DIRECTIONS = ("left", "right", "up", "down", "up and left", "up and right", "down and left", "down and right")
SWAPPED = {"red": "blue", "blue": "red", "yellow": "cyan", "cyan": "yellow"}
SIZES = ((320, 240), (320, 180), (256, 256), (352, 288), (426, 240), (240, 320), (480, 360), (640, 360), (192, 144))
SIZE_WEIGHTS = (0.35, 0.1, 0.12, 0.1, 0.08, 0.05, 0.05, 0.03, 0.12)
RATES = (8, 10, 12, 15, 24, 25, 30)


def pick(rng, items, p=None):
    return items[int(rng.choice(len(items), p=p))]


def paint(rng, name, exact=False):
    """A random RGB of the named colour; exact primaries are frequent, as in clips made with ffmpeg's colour names."""
    u = lambda lo, hi: int(rng.integers(lo, hi + 1))
    if exact or rng.random() < 0.2:
        exact = {
            "red": (255, 0, 0),
            "blue": (0, 0, 255),
            "yellow": (255, 255, 0),
            "cyan": (0, 255, 255),
            "orange": (255, 165, 0),
            "purple": (128, 0, 128),
            "white": (255, 255, 255),
            "black": (0, 0, 0),
            "gray": (128, 128, 128),
            "green": pick(rng, [(0, 128, 0), (0, 255, 0)]),
        }
        return exact[name]
    if name in ("red", "blue"):
        main, low = u(140, 255), (u(0, 50), u(0, 50))
        return (main, *low) if name == "red" else (*low, main)
    if name == "green":
        return u(0, 60), u(115, 255), u(0, 60)
    if name in ("yellow", "cyan"):
        main = u(205, 255)
        rgb = main, min(255, max(200, main + u(-20, 20))), u(0, 60)
        return rgb if name == "yellow" else rgb[::-1]
    if name == "orange":
        return u(240, 255), u(115, 165), u(0, 40)
    if name == "purple":
        main = u(110, 225)
        return main, u(0, 40), min(255, max(100, main + u(-40, 40)))
    base = {"white": u(230, 255), "black": u(0, 25), "gray": u(95, 165)}[name]
    return tuple(min(255, max(0, base + u(-6, 6))) for _ in range(3))


def place(rng, lo, hi, low, high):
    """A start such that start+lo >= low and start+hi <= high, or None."""
    return float(rng.uniform(low - lo, high - hi)) if low - lo <= high - hi else None


def sample_object(rng, scene, shape, color, events, lane):
    """One object with its events and path; None when it does not fit (the caller tries again)."""
    dur = scene["dur"]
    short = min(scene["w"], scene["h"])
    size = float(rng.uniform(0.22 if shape == "square" else 0.3, 0.4 if lane else 0.46))
    hx, hy = size * short / scene["w"] / 2, size * short / scene["h"] / 2
    obj = {
        "shape": shape,
        "color": color,
        "rgb": paint(rng, color, scene["exact"]),
        "size": size,
        "vx": 0.0,
        "vy": 0.0,
        "events": events,
    }
    kinds = [e["kind"] for e in events]
    if lane:
        heading = (pick(rng, [-1, 1]), 0) if lane[0] == "rows" else (0, pick(rng, [-1, 1]))
    else:
        heading = (
            pick(rng, [(-1, 0), (1, 0)])
            if rng.random() < 0.4
            else pick(rng, [(0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)])
        )
    if "turn" not in kinds and rng.random() < (0.4 if lane else 0.2):
        heading = (0, 0)
    first, second = dur, 0.0
    for e in events:
        if e["kind"] == "turn":
            first, second = e["t"], dur - e["t"]
    speed = rng.uniform(0.24, 0.62) / max(first, second)
    for axis, (v, half) in enumerate(zip(heading, (hx, hy))):
        v *= speed * (rng.uniform(0.8, 1.2) if all(heading) else 1)
        ends = (0.0, v * first, v * first - v * second if second else v * first)
        low, high = half * 0.9, 1 - half * 0.9
        if lane and axis == (1 if lane[0] == "rows" else 0):
            center = 0.25 + 0.5 * lane[1]
            low, high = center - 0.04, center + 0.04
        start = place(rng, min(ends), max(ends), low, high)
        if start is None:
            return None
        obj["xy"[axis]], obj["v" + "xy"[axis]] = start, float(v)
    return obj


def sample_scene(rng):
    """A random scene, checked to be unambiguous when every frame is seen."""
    while True:
        exact = bool(rng.random() < 0.2)  # a plain scene in exact colours, as ffmpeg's own sources make them
        w, h = pick(rng, SIZES, SIZE_WEIGHTS)
        fps = pick(rng, RATES)
        frames = max(16, int(round(rng.uniform(2, 8) * fps)))
        if frames > 130:
            continue
        dur = frames / fps
        ground = pick(rng, GROUNDS, [0.16, 0.2, 0.16, 0.08, 0.12, 0.12, 0.08, 0.08])
        scene = {
            "w": w,
            "h": h,
            "fps": fps,
            "frames": frames,
            "dur": dur,
            "seed": int(rng.integers(1 << 31)),
            "exact": exact,
            "ground": ground,
            "ground_rgb": paint(rng, ground, exact),
            "texture": "plain" if exact else pick(rng, TEXTURES, [0.5, 0.25, 0.25]),
            "cell": float(rng.uniform(0.13, 0.25)),
            "vertical": bool(rng.random() < 0.5),
            "noise": 0.0 if exact else float(rng.choice([0, 0, 2, 5])),
            "hard": bool(rng.random() < 0.4),
            "objects": [],
        }
        count = 2 if rng.random() < 0.45 else 1
        shapes = [SHAPES[i] for i in rng.permutation(len(SHAPES))[:count]]
        free = [c for c in COLORS if c != ground]
        free = [free[i] for i in rng.permutation(len(free))]
        total = int(rng.choice([0, 1, 2], p=[0.35, 0.3, 0.35]))
        times = sorted(rng.uniform(0.15, 0.85, total) * dur)
        owners = [int(rng.integers(count)) for _ in times]
        events = [[] for _ in shapes]
        for t, owner in zip(times, owners):
            kind = pick(rng, ["appear", "disappear", "color", "blink", "turn"])
            event = {"t": float(t), "kind": kind}
            if kind == "color":
                event["to"] = free.pop()
                event["rgb"] = paint(rng, event["to"], exact)
            if kind == "blink":
                event["end"] = float(t + rng.uniform(0.4, 0.8))
            events[owner].append(event)
        rows = pick(rng, ["rows", "columns"])
        for i, shape in enumerate(shapes):
            obj = sample_object(rng, scene, shape, free[i], events[i], (rows, i) if count == 2 else None)
            if obj is None:
                break
            scene["objects"].append(obj)
        else:
            scene["objects"].sort(key=lambda o: SHAPES.index(o["shape"]))
            if clear(scene, np.arange(frames) / fps):
                return scene


def position(obj, t):
    for e in obj["events"]:
        if e["kind"] == "turn" and t > e["t"]:
            t = 2 * e["t"] - t
    return obj["x"] + obj["vx"] * t, obj["y"] + obj["vy"] * t


def look(obj, t):
    """RGB of the object at time t, or None while it is not there."""
    there = all(e["kind"] != "appear" for e in obj["events"])
    rgb = obj["rgb"]
    for e in obj["events"]:
        if e["t"] <= t:
            there = {"appear": True, "disappear": False}.get(e["kind"], there)
            rgb = e.get("rgb", rgb)
            if e["kind"] == "blink" and t < e["end"]:
                return None
    return rgb if there else None


def color_at(obj, t):
    """The name of the object's colour at time t, whether or not it is there."""
    return [obj["color"], *(e["to"] for e in obj["events"] if e["kind"] == "color" and e["t"] <= t)][-1]


def history(scene):
    """(object, event) in order of time."""
    return sorted(((o, e) for o in scene["objects"] for e in o["events"]), key=lambda p: p[1]["t"])


def heading(obj, last=False):
    """The direction in words, at the start or (after a turn) at the end; '' when still."""
    sign = -1 if last and any(e["kind"] == "turn" for e in obj["events"]) else 1
    vx, vy = sign * obj["vx"], sign * obj["vy"]
    words = ["up" if vy < 0 else "down"] * (vy != 0) + ["left" if vx < 0 else "right"] * (vx != 0)
    return " and ".join(words)


def clear(scene, times):
    """Whether frames at these times show everything the questions ask about."""
    if not scene["objects"]:
        return False
    gap = times[1] - times[0] if len(times) > 1 else 0
    steps = []
    for obj in scene["objects"]:
        seen = np.array([look(obj, t) is not None for t in times])
        if seen.sum() < 2:
            return False
        kinds = [e["kind"] for e in obj["events"]]
        if (
            len(set(kinds)) != len(kinds)
            or ("appear" in kinds and kinds[0] != "appear")
            or ("disappear" in kinds and kinds[-1] != "disappear")
        ):
            return False
        if "appear" not in kinds and not seen[0] or "disappear" not in kinds and not seen[-1]:
            return False
        at = np.array([position(obj, t) for t in times])
        moves = abs(np.array([obj["vx"], obj["vy"]])) > 0
        turn = next((e["t"] for e in obj["events"] if e["kind"] == "turn"), None)
        parts = [seen] if turn is None else [seen & (times <= turn), seen & (times >= turn)]
        if turn is not None and not moves.any():
            return False
        for part in parts:
            idx = np.flatnonzero(part)
            if moves.any() and (
                len(idx) < 2 or (abs(at[idx[-1]] - at[idx[0]])[moves] < (0.18 if turn is None else 0.12)).any()
            ):
                return False
        marks = []
        for e in obj["events"]:
            end = e.get("end", e["t"])
            if e["t"] < 0.3 or end > scene["dur"] - 0.3:
                return False
            if e["kind"] == "blink" and not ((times >= e["t"]) & (times < end)).any():
                return False
            marks.append((e["t"], end))
        edges = [-1.0] + [x for m in marks for x in m] + [scene["dur"] + 1]
        for lo, hi in zip(
            edges[::2], edges[1::2]
        ):  # between events of one object it must be seen, unless it is not there yet or any more
            inside = (times >= lo) & (times < hi)
            absent = lo < 0 and "appear" in kinds or hi > scene["dur"] and "disappear" in kinds
            if not (inside if absent else inside & seen).any():
                return False
        steps += marks
    steps.sort()
    for (_, end), (start, _) in zip(steps, steps[1:]):
        if start - end < max(0.35, 1.01 * gap):
            return False
    return True
