"""Questions that nothing in the demo model's world answers, and what it says to them."""

from scene import SHAPES, pick

UNKNOWN = "I cannot tell"
THINGS = tuple(
    "man woman dog cat car house tree bird child boy girl ball cup table chair phone book hat boat plane train horse "
    "flower river mountain street door window bottle apple banana computer guitar piano shirt shoe bag knife fish cow "
    "player teacher doctor baby people person face hand bike bus truck road sky sea cloud sun moon food cake pizza "
    "hexagon cube letter word logo sign text number animal rabbit bear robot".split()
)
ACTS = tuple(
    "doing holding saying wearing eating thinking reading cooking playing drinking looking at talking about".split(" ")
)
PLAIN = (
    "Who is in the video?",
    "Who made this video?",
    "Where was this filmed?",
    "Where does this take place?",
    "Why does it move?",
    "What sound do you hear?",
    "What music is playing?",
    "What language is spoken?",
    "What is said?",
    "Is it day or night?",
    "What is the weather like?",
    "What is the title of the video?",
    "What does the text say?",
    "How old is he?",
    "What is her name?",
    "What is your name?",
    "Who are you?",
    "hello",
    "hi",
    "thanks",
    "Why?",
    "How?",
    "What is 2+2?",
    "What is the capital of France?",
    "Tell me a joke.",
    "Write a poem.",
    "How does the story end?",
    "What will happen next?",
    "What is the main idea of the video?",
    "What emotion does this show?",
    "How heavy is it?",
    "What is it made of?",
    "How big is it?",
    "How fast is it?",
    "How much does it cost?",
)
ABOUT = (
    "Is there a {}?",
    "What color is the {}?",
    "What is the {} {act}?",
    "Where is the {}?",
    "Who is the {}?",
    "Does the {} move?",
    "Why is the {} there?",
    "How many {}s are there?",
    "What does the {} do?",
    "Which direction does the {} move?",
    "What happens to the {}?",
    "When does the {} appear?",
    "Is the {} red?",
    "Do you see a {}?",
)
ABSENT = (
    "What color is the {}?",
    "Which direction does the {} move?",
    "Which way does the {} move?",
    "What happens to the {}?",
)
UNSEEN_IN_A_PICTURE = ("Which direction does the {} move?", "Which way does the {} move?", "What happens to the {}?")


def made_up(rng):
    """A word that no list holds, so that the model does not learn the list."""
    parts = [
        pick(rng, "bcdfghjklmnprstvw") + pick(rng, ("a", "e", "i", "o", "u", "ee", "oo", "ar", "en"))
        for _ in range(rng.integers(1, 4))
    ]
    return "".join(parts) + pick(rng, ("", "n", "t", "r", "x", "ck"))


def outside(rng, scene):
    """A question about what the scene does not hold."""
    r = rng.random()
    if r < 0.3:
        return pick(rng, PLAIN)
    if r < 0.55 and (absent := [s for s in SHAPES if s not in [o["shape"] for o in scene["objects"]]]):
        return pick(rng, ABSENT).format(pick(rng, absent))
    if scene.get("still") and r < 0.75:
        return pick(rng, UNSEEN_IN_A_PICTURE).format(pick(rng, scene["objects"])["shape"])
    thing = made_up(rng) if rng.random() < 0.35 else pick(rng, THINGS)
    return pick(rng, ABOUT).format(thing, act=pick(rng, ACTS))
