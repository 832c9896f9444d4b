"""The demo model's world: scenes of one or two moving shapes, their drawing, their transforms, and questions with answers.

A scene is plain data (JSON). Positions are fractions of the frame, sizes fractions of its shorter side, times seconds.
Everything asked is derived from the scene, so a transform (reverse, mirror, swap, window) needs no other labels.
"""

import copy
import math

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "star", "triangle")  # also the order in which a description names them
COLORS = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "white", "black")
GROUNDS = ("black", "gray", "white", "red", "green", "blue", "yellow", "cyan")
TEXTURES = ("plain", "striped", "checkered")
DIRECTIONS = ("left", "right", "up", "down", "up and left", "up and right", "down and left", "down and right")
STILL = "it stays still"
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


# ---- scenes -------------------------------------------------------------------------------------------------------


def place(rng, lo, hi, low, high):
    """A start such that start+lo >= low and start+hi <= high, or None."""
    return float(rng.uniform(low - lo, high - hi)) if low - lo <= high - hi else None


def sample_object(rng, scene, shape, color, events, lane):
    """One object with its events and path; None when it does not fit (the caller tries again)."""
    dur = scene["dur"]
    short = min(scene["w"], scene["h"])
    size = float(rng.uniform(0.22 if shape == "square" else 0.3, 0.4 if lane else 0.46))
    hx, hy = size * short / scene["w"] / 2, size * short / scene["h"] / 2
    obj = {"shape": shape, "color": color, "rgb": paint(rng, color, scene["exact"]), "size": size, "vx": 0.0, "vy": 0.0, "events": events}
    kinds = [e["kind"] for e in events]
    if lane:
        heading = (pick(rng, [-1, 1]), 0) if lane[0] == "rows" else (0, pick(rng, [-1, 1]))
    else:
        heading = pick(rng, [(-1, 0), (1, 0)]) if rng.random() < 0.4 else pick(rng, [(0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)])
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
            if moves.any() and (len(idx) < 2 or (abs(at[idx[-1]] - at[idx[0]])[moves] < (0.18 if turn is None else 0.12)).any()):
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
        for lo, hi in zip(edges[::2], edges[1::2]):  # between events of one object it must be seen, unless it is not there yet or any more
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


# ---- transforms ---------------------------------------------------------------------------------------------------


def reverse(scene):
    """The scene played backwards."""
    new = copy.deepcopy(scene)
    span = (scene["frames"] - 1) / scene["fps"]
    for obj, old in zip(new["objects"], scene["objects"]):
        obj["x"], obj["y"] = position(old, span)
        if all(e["kind"] != "turn" for e in old["events"]):
            obj["vx"], obj["vy"] = -old["vx"], -old["vy"]
        obj["events"] = []
        for e in reversed(old["events"]):
            n = dict(e, t=span - e.get("end", e["t"]))
            if "end" in e:
                n["end"] = span - e["t"]
            if e["kind"] in ("appear", "disappear"):
                n["kind"] = "appear" if e["kind"] == "disappear" else "disappear"
            if e["kind"] == "color":
                n["to"], n["rgb"] = old["color"], old["rgb"]
                obj["color"], obj["rgb"] = e["to"], e["rgb"]
            obj["events"].append(n)
    return new


def mirror(scene):
    """Left and right exchanged."""
    new = copy.deepcopy(scene)
    for obj in new["objects"]:
        obj["x"], obj["vx"] = 1 - obj["x"], -obj["vx"]
    return new


def swap(scene):
    """Red and blue channels exchanged; None where that leaves the world (orange)."""
    new = copy.deepcopy(scene)
    things = new["objects"] + [e for o in new["objects"] for e in o["events"] if e["kind"] == "color"]
    for thing in things:
        key = "to" if "to" in thing else "color"
        if thing[key] == "orange":
            return None
        thing[key] = SWAPPED.get(thing[key], thing[key])
        thing["rgb"] = thing["rgb"][::-1]
    new["ground"] = SWAPPED.get(new["ground"], new["ground"])
    new["ground_rgb"] = new["ground_rgb"][::-1]
    return new


def window(scene, first, frames):
    """Frames first..first+frames of the scene as a scene of its own; None where an event is cut."""
    new = copy.deepcopy(scene)
    start, dur = first / scene["fps"], frames / scene["fps"]
    new["frames"], new["dur"], new["objects"] = frames, dur, []
    for old in scene["objects"]:
        obj = copy.deepcopy(old)
        obj["x"], obj["y"] = position(old, start)
        obj["events"], gone = [], False
        for e in old["events"]:
            t, end = e["t"] - start, e.get("end", e["t"]) - start
            if t > 0 and end < dur:
                obj["events"].append({**e, "t": t, **({"end": end} if "end" in e else {})})
            elif end <= 0:
                gone |= e["kind"] == "disappear"
                if e["kind"] == "color":
                    obj["color"], obj["rgb"] = e["to"], e["rgb"]
                if e["kind"] == "turn":
                    obj["vx"], obj["vy"] = -old["vx"], -old["vy"]
            elif t >= dur:
                gone |= e["kind"] == "appear"
            else:
                return None
        if not gone:
            new["objects"].append(obj)
    return new


# ---- drawing ------------------------------------------------------------------------------------------------------


def stencil(shape, side, hard):
    """Coverage of the shape in a side x side box, 0..1."""
    n = side * 4
    image = Image.new("L", (n, n))
    draw = ImageDraw.Draw(image)
    if shape == "circle":
        draw.ellipse((0, 0, n - 1, n - 1), fill=255)
    elif shape == "square":
        draw.rectangle((0, 0, n, n), fill=255)
    elif shape == "triangle":
        draw.polygon([(n / 2, 0), (n, n), (0, n)], fill=255)
    else:
        points = [
            (n / 2 * (1 + r * math.sin(a)), n / 2 * (1.05 - 1.05 * r * math.cos(a)))
            for a, r in ((i * math.pi / 5, 1.0 if i % 2 == 0 else 0.42) for i in range(10))
        ]
        draw.polygon(points, fill=255)
    mask = np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float32) / 255
    return (mask > 0.5).astype(np.float32) if hard else mask


def backdrop(scene):
    w, h = scene["w"], scene["h"]
    rng = np.random.default_rng(scene["seed"])
    base = np.array(scene["ground_rgb"], np.float32)
    other = base + 55 if scene["ground"] == "black" else base * rng.uniform(0.55, 0.72)
    y, x = np.mgrid[:h, :w]
    cell = scene["cell"] * min(w, h)
    if scene["texture"] == "checkered":
        light = (x // cell + y // cell) % 2
    elif scene["texture"] == "striped":
        light = ((x if scene["vertical"] else y) // cell) % 2
    else:
        light = np.zeros((h, w))
    image = np.where(light[..., None] > 0, other, base)
    return image + rng.normal(0, scene["noise"], (h, w, 1)) if scene["noise"] else image


def render(scene):
    """All frames of the scene, u8 [frames, h, w, 3]."""
    w, h = scene["w"], scene["h"]
    ground = backdrop(scene).astype(np.float32)
    side = [max(4, round(o["size"] * min(w, h))) for o in scene["objects"]]
    masks = [stencil(o["shape"], s, scene["hard"]) for o, s in zip(scene["objects"], side)]
    frames = np.empty((scene["frames"], h, w, 3), np.uint8)
    blank = np.clip(ground, 0, 255).round().astype(np.uint8)
    for k in range(scene["frames"]):
        t = k / scene["fps"]
        frames[k] = blank
        for obj, s, mask in zip(scene["objects"], side, masks):
            rgb = look(obj, t)
            if rgb is None:
                continue
            x, y = position(obj, t)
            x, y = round(x * w - s / 2), round(y * h - s / 2)
            x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + s), min(h, y + s)
            if x0 < x1 and y0 < y1:
                m = mask[y0 - y : y1 - y, x0 - x : x1 - x, None]
                box = frames[k, y0:y1, x0:x1]
                box[:] = np.clip(np.array(rgb, np.float32) * m + box * (1 - m) + 0.5, 0, 255)
    return frames


# ---- questions ----------------------------------------------------------------------------------------------------


def verb(e):
    return {"appear": "appears", "disappear": "disappears", "blink": "blinks", "turn": "turns around"}.get(e["kind"]) or "turns " + e["to"]


def stem(e):
    return {"appear": "appear", "disappear": "disappear", "blink": "blink", "turn": "turn around"}.get(e["kind"]) or "turn " + e["to"]


def constant(obj):
    return all(e["kind"] != "color" for e in obj["events"])


def turns(obj):
    return any(e["kind"] == "turn" for e in obj["events"])


def history(scene):
    """(object, event) in order of time."""
    return sorted(((o, e) for o in scene["objects"] for e in o["events"]), key=lambda p: p[1]["t"])


def describe(scene):
    out = []
    for obj in scene["objects"]:
        done = [verb(e) for e in obj["events"]]
        motion = "moves " + heading(obj) if heading(obj) else "stays still"
        done.insert(1 if done[:1] == ["appears"] else 0, motion)
        text = " and ".join([", ".join(done[:-1]), done[-1]]) if len(done) > 1 else done[0]
        out.append(f"{'An' if obj['color'] == 'orange' else 'A'} {obj['color']} {obj['shape']} {text}.")
    return " ".join(out) + f" The background is {scene['texture']} {scene['ground']}."


DESCRIBE = (
    "describe this video",
    "Describe this video.",
    "Please describe this video in detail.",
    "Please describe this video.",
    "Describe the video.",
    "Describe this video in detail.",
    "What happens in this video?",
    "What is happening in this video?",
    "What do you see in this video?",
)


def ref(rng, scene, obj, color=True):
    """'the ...' naming one object without doubt."""
    r = rng.random()
    if len(scene["objects"]) == 1 and r < 0.15:
        return pick(rng, ["the shape", "the object"])
    if color and constant(obj) and r < 0.4:
        return f"the {obj['color']} {obj['shape']}"
    return "the " + obj["shape"]


def any_object(rng, scene, test=lambda o: True):
    found = [o for o in scene["objects"] if test(o)]
    return pick(rng, found) if found else None


def ask_describe(rng, scene):
    return pick(rng, DESCRIBE), describe(scene)


def ask_color(rng, scene):
    obj = any_object(rng, scene)
    who = ref(rng, scene, obj, color=False)
    kinds = [e["kind"] for e in obj["events"]]
    change = next((e for e in obj["events"] if e["kind"] == "color"), None)
    if "appear" in kinds or "disappear" in kinds or (change is None and rng.random() < 0.8):
        if change:
            return None
        return pick(rng, ["What color is {}?", "What is the color of {}?"]).format(who), obj["color"]
    if rng.random() < 0.5:
        return pick(rng, [f"What color is {who} at the start?", f"What color is {who} at first?"]), obj["color"]
    return pick(rng, [f"What color is {who} at the end?", f"What color is {who} at last?"]), change["to"] if change else obj["color"]


def ask_shape(rng, scene):
    if len(scene["objects"]) == 1 and rng.random() < 0.7:
        return (
            pick(
                rng,
                [
                    "What shape is it?",
                    "What shape is in the video?",
                    "Which shape is shown?",
                    "What shape do you see?",
                    "What shape is the object?",
                ],
            ),
            scene["objects"][0]["shape"],
        )
    obj = any_object(rng, scene, constant)
    return obj and (
        pick(rng, ["What shape is the {} object?", "What shape is {}?", "Which shape is {}?"]).format(obj["color"]),
        obj["shape"],
    )


def ask_direction(rng, scene):
    obj = any_object(rng, scene)
    who = ref(rng, scene, obj)
    if turns(obj) or rng.random() < 0.1 and heading(obj):
        if rng.random() < 0.5:
            return pick(rng, ["Which way does {} move first?", "Which direction does {} move first?"]).format(who), heading(obj)
        return pick(rng, ["Which way does {} move last?", "Which direction does {} move last?"]).format(who), heading(obj, True)
    return (
        pick(
            rng,
            [
                "Which direction does {} move?",
                "Which way does {} move?",
                "In which direction does {} move?",
                "What direction does {} move?",
                "Which direction is {} moving?",
            ],
        ).format(who),
        heading(obj) or STILL,
    )


def ask_count(rng, scene):
    return (
        pick(
            rng,
            [
                "How many shapes are there?",
                "How many objects are there?",
                "How many shapes are in the video?",
                "How many objects are in the video?",
                "How many shapes do you see?",
            ],
        ),
        ("one", "two")[len(scene["objects"]) - 1],
    )


def ask_order(rng, scene):
    past = history(scene)
    if len(past) != 2:
        return None
    last = int(rng.random() < 0.5)
    obj, e = past[-last]
    return (
        pick(
            rng,
            [["What happens first?", "What happens first in the video?"], ["What happens last?", "What happens last in the video?"]][last],
        ),
        f"the {obj['shape']} {verb(e)}",
    )


def ask_relation(rng, scene):
    past = history(scene)
    if len(past) != 2:
        return None
    named = int(rng.random() < 0.5)
    before = rng.random() < (0.7 if named else 0.3)
    (obj, e), (other, o) = past[named], past[1 - named]
    answer = f"the {other['shape']} {verb(o)}" if before == bool(named) else "nothing"
    return f"What happens {'before' if before else 'after'} the {obj['shape']} {verb(e)}?", answer


def ask_event(rng, scene):
    obj = any_object(rng, scene, lambda o: len(o["events"]) < 2)
    if obj is None or (not obj["events"] and rng.random() < 0.7):
        return None
    return f"What happens to {ref(rng, scene, obj)}?", "it " + verb(obj["events"][0]) if obj["events"] else "nothing"


def ask_background(rng, scene):
    r = rng.random()
    if r < 0.5:
        return pick(rng, ["What color is the background?", "What is the color of the background?"]), scene["ground"]
    if r < 0.75:
        return pick(rng, ["What pattern does the background have?", "What is the pattern of the background?"]), scene["texture"]
    return pick(rng, ["What is the background?", "Describe the background."]), f"{scene['texture']} {scene['ground']}"


def other(rng, items, *banned):
    return pick(rng, [x for x in items if x not in banned])


def ask_yesno(rng, scene):
    yes = rng.random() < 0.5
    obj = any_object(rng, scene)
    shape, topic = obj["shape"], int(rng.integers(6))
    if topic == 0:
        if not constant(obj):
            return None
        near = [o["color"] for o in scene["objects"] if o is not obj and constant(o)]
        wrong = None if yes else pick(rng, near) if near and rng.random() < 0.5 else other(rng, COLORS, obj["color"])
        q = f"Is the {shape} {wrong or obj['color']}?"
    elif topic == 1:
        q = f"Is there a {shape if yes else other(rng, SHAPES, *[o['shape'] for o in scene['objects']])}?"
    elif topic == 2:
        if turns(obj):
            return None
        way = heading(obj)
        if not yes:
            flip = {"left": "right", "right": "left", "up": "down", "down": "up"}
            opposite = " and ".join(flip[w] for w in way.split(" and ")) if way else None
            way = opposite if way and rng.random() < 0.5 else other(rng, DIRECTIONS, way)
        elif not way:
            return None
        q = f"Does the {shape} move {way}?"
    elif topic == 3:
        if yes and not obj["events"]:
            return None
        kinds = [e["kind"] for e in obj["events"]]
        kind = pick(rng, kinds) if yes else other(rng, ("appear", "disappear", "color", "blink", "turn"), *kinds)
        if kind == "color":
            q = f"Does the {shape} change color?"
        else:
            q = f"Does the {shape} {stem({'kind': kind})}?"
    elif topic == 4:
        q = f"Is the background {scene['ground'] if yes else other(rng, GROUNDS, scene['ground'])}?"
    else:
        yes = not heading(obj)
        q = f"Does the {shape} stay still?"
    return q, "yes" if yes else "no"


ASK = {
    "describe": ask_describe,
    "color": ask_color,
    "shape": ask_shape,
    "direction": ask_direction,
    "count": ask_count,
    "order": ask_order,
    "relation": ask_relation,
    "event": ask_event,
    "background": ask_background,
    "yesno": ask_yesno,
}


def ask(rng, scene, kind):
    """(question, answer) of this kind, or None when the scene has nothing to ask of it."""
    for _ in range(4):
        found = ASK[kind](rng, scene)
        if found:
            return found
    return None
