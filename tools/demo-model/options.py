"""Lettered options, in the wordings of the public benchmarks, and the letter that answers."""

from questions import SEEN_ONCE, STILL, Question, ask
from scene import COLORS, DIRECTIONS, GROUNDS, SHAPES, TEXTURES, pick

LETTERS = "ABCDE"
LETTER = "Answer with the option's letter from the given choices directly."
VIDEO_MME = (
    "Select the best answer to the following multiple-choice question based on the video and the subtitles. "
    "Respond with only the letter (A, B, C, or D) of the correct option.\n"
)
CHOICES = {
    "color": COLORS,
    "shape": SHAPES,
    "direction": (*DIRECTIONS, STILL),
    "count": ("one", "two", "three", "four", "none"),
    "event": (
        "it appears",
        "it disappears",
        "it blinks",
        "it turns around",
        "nothing",
        *("it turns " + c for c in COLORS),
    ),
    "yesno": ("yes", "no"),
}
# Share, before the stem, one option, after the options; of EgoSchema and PerceptionTest, LongVideoBench, NExT-QA,
# MVBench, MLVU, Video-MME.
FORMATS = (
    (0.4, "", "\n{}. {}", "\n" + LETTER),
    (0.1, "", "\n{}. {}", "\n" + LETTER + "\n"),
    (0.15, "", "\n{}. {}", ""),
    (0.1, "Question:", "\n({}) {}", "\nOnly give the best option.\n"),
    (0.1, "", "\n({}) {}", "\nOnly give the best option.\nBest option: ("),
    (0.15, VIDEO_MME, "\n{}. {}", "\nThe best answer is:"),
)


def choices(kind, answer):
    """All answers that a question of this kind may have."""
    if kind == "background":
        return next((group for group in (GROUNDS, TEXTURES) if answer in group), ())
    return CHOICES.get(kind, ())


def wrong_answers(asked):
    """What else a question of this kind may have as its answer."""
    return [c for c in choices(asked.kind, asked.answer) if c != asked.answer]


def offered(rng, scene, asked, wrong, count):
    """(options, place of the right one): the answer among this many wrong ones, the other shape's colour first."""
    shown = [wrong[i] for i in rng.permutation(len(wrong))[:count]]
    near = [o["color"] for o in scene["objects"] if o["color"] in wrong] if asked.kind == "color" else []
    if near and near[0] not in shown:
        shown[0] = near[0]
    right = int(rng.integers(count + 1))
    shown.insert(right, asked.answer)
    return shown, right


def ask_options(rng, scene):
    """A question with two to five lettered options, or None; its letters say where each option ends and whether it
    is right."""
    kind = pick(rng, [k for k in (*CHOICES, "background") if not scene.get("still") or k in SEEN_ONCE])
    asked = ask(rng, scene, kind, plain=rng.random() < 0.7)
    wrong = wrong_answers(asked) if asked else []
    if not wrong:
        return None
    count = min(int(rng.choice([1, 2, 3, 4], p=[0.1, 0.25, 0.5, 0.15])), len(wrong))
    shown, right = offered(rng, scene, asked, wrong, count)
    _, before, line, after = FORMATS[int(rng.choice(len(FORMATS), p=[f[0] for f in FORMATS]))]
    text, letters = before + asked.text, []
    for n, option in enumerate(shown):
        text += line.format(LETTERS[n], option)
        letters.append((len(text), n == right))
    return Question("options", text + after, LETTERS[right], tuple(letters))
