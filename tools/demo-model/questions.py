"""Questions about a scene, with the answers that it gives."""

from dataclasses import dataclass

from phrasing import spoken
from scene import COLORS, DIRECTIONS, GROUNDS, SHAPES, heading, history, pick
from unknown import UNKNOWN, outside

STILL = "it stays still"
SEEN_ONCE = ("describe", "color", "shape", "count", "background", "yesno", "unknown")  # what one frame can answer


@dataclass
class Question:
    """One question.

    letters are of its options, where it has them: where each ends in the text, whether it is right. event is of the one
    of two events that it names: where its name ends in the text, whose it is, whether it is the last."""

    kind: str
    text: str
    answer: str
    letters: tuple = ()
    event: tuple = ()


# ---- words --------------------------------------------------------------------------------------------------------


def verb(e):
    """What a shape does, as 'it blinks' has it."""
    return "turns " + e["to"] if e["kind"] == "color" else "turns around" if e["kind"] == "turn" else e["kind"] + "s"


def stem(e):
    """The same as 'does it blink' has it."""
    return "turn " + e["to"] if e["kind"] == "color" else "turn around" if e["kind"] == "turn" else e["kind"]


def what_happens(obj, e):
    return f"the {obj['shape']} {verb(e)}"


def constant(obj):
    return all(e["kind"] != "color" for e in obj["events"])


def turns(obj):
    return any(e["kind"] == "turn" for e in obj["events"])


def describe(scene):
    out = []
    for obj in scene["objects"]:
        what = f"{'An' if obj['color'] == 'orange' else 'A'} {obj['color']} {obj['shape']}"
        if scene.get("still"):
            out.append(what + ".")
            continue
        done = [verb(e) for e in obj["events"]]
        motion = "moves " + heading(obj) if heading(obj) else "stays still"
        done.insert(1 if done[:1] == ["appears"] else 0, motion)
        text = " and ".join([", ".join(done[:-1]), done[-1]]) if len(done) > 1 else done[0]
        out.append(f"{what} {text}.")
    return " ".join(out) + f" The background is {scene['texture']} {scene['ground']}."


def ref(rng, scene, obj, color=True):
    """'the ...' naming one object without doubt, or 'it' where there is no other."""
    r = rng.random()
    if len(scene["objects"]) == 1 and r < 0.25:
        return pick(rng, ["it", "it", "the shape", "the object"])
    if color and constant(obj) and r < 0.5:
        return f"the {obj['color']} {obj['shape']}"
    return "the " + obj["shape"]


def any_object(rng, scene, test=lambda o: True):
    found = [o for o in scene["objects"] if test(o)]
    return pick(rng, found) if found else None


def other(rng, items, *banned):
    return pick(rng, [x for x in items if x not in banned])


# ---- kinds --------------------------------------------------------------------------------------------------------

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
    "What is in the video?",
    "What happens?",
    "What do you see?",
)
DESCRIBE_PICTURE = (
    "describe this picture",
    "Describe this image.",
    "What do you see in this picture?",
    "What is in the picture?",
)


def ask_describe(rng, scene):
    if scene.get("still") and rng.random() < 0.5:
        return pick(rng, DESCRIBE_PICTURE), describe(scene)
    return pick(rng, DESCRIBE), describe(scene)


COLOR = ("What color is {}?", "What is the color of {}?", "Which color is {}?", "What color does {} have?")


def ask_color(rng, scene):
    obj = any_object(rng, scene)
    who = ref(rng, scene, obj, color=False)
    kinds = [e["kind"] for e in obj["events"]]
    change = next((e for e in obj["events"] if e["kind"] == "color"), None)
    if "appear" in kinds or "disappear" in kinds or (change is None and rng.random() < 0.8):
        return None if change else (pick(rng, COLOR).format(who), obj["color"])
    if rng.random() < 0.5:
        return pick(rng, ("What color is {} at the start?", "What color is {} at first?")).format(who), obj["color"]
    answer = change["to"] if change else obj["color"]
    return pick(rng, ("What color is {} at the end?", "What color is {} at last?")).format(who), answer


SHAPE_OF_ONE = (
    "What shape is it?",
    "What shape is in the video?",
    "Which shape is shown?",
    "What shape do you see?",
    "What shape is the object?",
    "Which shape is it?",
)
SHAPE = ("What shape is the {} object?", "What shape is {}?", "Which shape is {}?", "What is {}?")


def ask_shape(rng, scene):
    if len(scene["objects"]) == 1 and rng.random() < 0.7:
        return pick(rng, SHAPE_OF_ONE), scene["objects"][0]["shape"]
    obj = any_object(rng, scene, constant)
    return obj and (pick(rng, SHAPE).format(obj["color"]), obj["shape"])


DIRECTION = (
    "Which direction does {} move?",
    "Which way does {} move?",
    "In which direction does {} move?",
    "What direction does {} move?",
    "Which direction is {} moving?",
    "Which way is {} going?",
    "Where does {} go?",
)


def ask_direction(rng, scene):
    obj = any_object(rng, scene)
    who = ref(rng, scene, obj)
    if turns(obj) or rng.random() < 0.1 and heading(obj):
        last = rng.random() < 0.5
        text = pick(rng, ("Which way does {} move {}?", "Which direction does {} move {}?"))
        return text.format(who, "last" if last else "first"), heading(obj, last)
    return pick(rng, DIRECTION).format(who), heading(obj) or STILL


COUNT = (
    "How many shapes are there?",
    "How many objects are there?",
    "How many shapes are in the video?",
    "How many objects are in the video?",
    "How many shapes do you see?",
    "How many are there?",
)


def ask_count(rng, scene):
    return pick(rng, COUNT), ("one", "two")[len(scene["objects"]) - 1]


def ask_order(rng, scene):
    past = history(scene)
    if len(past) != 2:
        return None
    last = int(rng.random() < 0.5)
    obj, e = past[-last]
    return f"What happens {('first', 'last')[last]}{pick(rng, ('', ' in the video'))}?", what_happens(obj, e)


def ask_relation(rng, scene):
    past = history(scene)
    if len(past) != 2:
        return None
    named = int(rng.random() < 0.5)
    before = rng.random() < (0.7 if named else 0.3)
    (obj, e), (another, o) = past[named], past[1 - named]
    answer = what_happens(another, o) if before == bool(named) else "nothing"
    name = what_happens(obj, e)
    return f"What happens {'before' if before else 'after'} {name}?", answer, (name, obj["shape"], bool(named))


def ask_event(rng, scene):
    obj = any_object(rng, scene, lambda o: len(o["events"]) < 2)
    if obj is None or (not obj["events"] and rng.random() < 0.7):
        return None
    return f"What happens to {ref(rng, scene, obj)}?", "it " + verb(obj["events"][0]) if obj["events"] else "nothing"


BACKGROUND = ("What color is the background?", "What is the color of the background?", "Which color is the background?")

PATTERN = ("What pattern does the background have?", "What is the pattern of the background?")


def ask_background(rng, scene):
    r = rng.random()
    if r < 0.5:
        return pick(rng, BACKGROUND), scene["ground"]
    if r < 0.75:
        return pick(rng, PATTERN), scene["texture"]
    return pick(rng, ("What is the background?", "Describe the background.")), f"{scene['texture']} {scene['ground']}"


FLIP = {"left": "right", "right": "left", "up": "down", "down": "up"}


def ask_yesno(rng, scene):
    """A question of yes or no; the answer is drawn first, so that both are as frequent."""
    yes = bool(rng.random() < 0.5)
    while True:
        text = yesno_text(rng, scene, yes)
        if text:
            return text, "yes" if yes else "no"


def yesno_text(rng, scene, yes):
    """A question that is answered so, or None where the drawn object and topic have none."""
    obj = any_object(rng, scene)
    shape, topic = obj["shape"], int(rng.integers(3 if scene.get("still") else 6))
    who = "it" if len(scene["objects"]) == 1 and rng.random() < 0.2 else "the " + shape
    if topic == 0:
        if not constant(obj):
            return None
        near = [o["color"] for o in scene["objects"] if o is not obj and constant(o)]
        wrong = pick(rng, near) if near and rng.random() < 0.5 else other(rng, COLORS, obj["color"])
        return f"Is {who} {obj['color'] if yes else wrong}?"
    if topic == 1:
        name = shape if yes else other(rng, SHAPES, *[o["shape"] for o in scene["objects"]])
        return pick(rng, ("Is there a {}?", "Is there a {} in the video?", "Do you see a {}?")).format(name)
    if topic == 2:
        return f"Is the background {scene['ground'] if yes else other(rng, GROUNDS, scene['ground'])}?"
    if topic == 3:
        way = heading(obj)
        if turns(obj) or yes and not way:
            return None
        if not yes:
            opposite = " and ".join(FLIP[word] for word in way.split(" and ")) if way else None
            way = opposite if way and rng.random() < 0.5 else other(rng, DIRECTIONS, way)
        return pick(rng, ("Does {} move {}?", "Is {} moving {}?")).format(who, way)
    if topic == 4:
        kinds = [e["kind"] for e in obj["events"]]
        if yes and not kinds:
            return None
        kind = pick(rng, kinds) if yes else other(rng, ("appear", "disappear", "color", "blink", "turn"), *kinds)
        return f"Does {who} {'change color' if kind == 'color' else stem({'kind': kind})}?"
    return f"Does {who} stay still?" if yes != bool(heading(obj)) else None


WHEN = ("When does the {} {}?", "At what time does the {} {}?", "When exactly does the {} {}?")


def ask_time(rng, scene):
    """When something happens: no time instruction taught the model to tell it, so it is to say so."""
    done = [(obj["shape"], stem(e)) for obj in scene["objects"] for e in obj["events"] if seen_once(obj, e)]
    if not done:
        return None
    shape, what = pick(rng, done)
    return pick(rng, WHEN).format(shape, what), UNKNOWN


def seen_once(obj, e):
    """Whether the moment at which an event shows itself is the only one of its sort."""
    sorts = {"appear": ("blink", "appear"), "disappear": ("blink", "disappear"), "blink": ("blink", "disappear")}
    if e["kind"] == "color":
        return True
    return e["kind"] in sorts and sum(other["kind"] in sorts[e["kind"]] for other in obj["events"]) == 1


def ask_unknown(rng, scene):
    return outside(rng, scene), UNKNOWN


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
    "time": ask_time,
    "unknown": ask_unknown,
}


def ask(rng, scene, kind, plain=False):
    """A question of this kind, or None when the scene has nothing to ask of it; plain keeps the template's own form."""
    if scene.get("still") and kind not in SEEN_ONCE:
        return None
    for _ in range(4):
        found = ASK[kind](rng, scene)
        if found:
            asked = Question(kind, found[0] if plain else spoken(rng, found[0]), found[1])
            for name, *rest in found[2:]:
                asked.event = (asked.text.index(name) + len(name), *rest)
            return asked
    return None
