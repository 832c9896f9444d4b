"""Transforms of a scene that match those of its frames: reversed, mirrored, red and blue swapped, cut, one alone."""

import copy

from scene import SWAPPED, color_at, look, position


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
    """Left and right exchanged, the pattern of the ground and its grain included."""
    new = copy.deepcopy(scene)
    new["flipped"] = not scene.get("flipped", False)
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


def still(scene, t):
    """The picture at time t as a scene in which nothing is known of motion; None where no shape is there."""
    new = copy.deepcopy(scene)
    new["still"], new["objects"] = True, []
    for old in scene["objects"]:
        if look(old, t) is not None:
            x, y = position(old, t)
            new["objects"].append(
                dict(old, x=x, y=y, vx=0.0, vy=0.0, color=color_at(old, t), rgb=look(old, t), events=[])
            )
    return new if new["objects"] else None
