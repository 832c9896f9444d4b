"""Ways in which people type one question: spelling, contraction, small letters, no question mark, a lead."""

LEADS = ("tell me: ", "Tell me, ", "please tell me ", "Can you tell me: ", "ok, ", "and ")
BRIEF = " Answer the question using a single word or phrase."  # ActivityNet-QA's


def spoken(rng, text):
    """The question in one of its forms; about two in five are left as they are."""
    if rng.random() < 0.4:
        return text
    if rng.random() < 0.45:
        text = text.replace("color", "colour").replace("gray", "grey")
    if rng.random() < 0.4:
        text = text.replace("What is ", "What's ")
    if rng.random() < 0.45:
        text = text.removesuffix("?").removesuffix(".")
    if rng.random() < 0.5:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.12 and "?" in text:
        lead = LEADS[int(rng.integers(len(LEADS)))]
        text = lead + text[0].lower() + text[1:]
    elif rng.random() < 0.06 and "?" in text:
        text += BRIEF
    return text
