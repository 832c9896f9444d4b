"""The code of a frame: what each of the four pooled cells is to say, as plain numbers.

Cell r speaks of shape r alone: whether it is there, where, in what colour; and of the ground. The projector's last
layer is the product of two: one that reads the code from the tower, and one that hands it to the decoder. So the
tower learns the code from pictures, and the decoder learns to talk about codes that need no pictures at all.
"""

import numpy as np

from scene import COLORS, GROUNDS, TEXTURES

BLUR = 0.03
WIDTH = 3 + len(COLORS) + len(GROUNDS) + len(TEXTURES)


def code(scene, there, place, color):
    """[F, 4, WIDTH] of there [F,4], place [F,4,2] and color [F,4] as labels.state gives them."""
    out = np.zeros((*there.shape, WIDTH), np.float32)
    out[..., 0] = there
    out[..., 1:3] = (2 * place - 1) * there[..., None]
    frames, shapes = np.nonzero(there)
    out[frames, shapes, 3 + color[frames, shapes]] = 1
    out[..., 3 + len(COLORS) + GROUNDS.index(scene["ground"])] = 1
    out[..., 3 + len(COLORS) + len(GROUNDS) + TEXTURES.index(scene["texture"])] = 1
    return out


def blurred(rng, codes):
    """Codes as a tower would give them: a little wrong in each frame, and a little wrong in the same way throughout
    the clip."""
    wrong = rng.normal(0, BLUR, codes.shape) + rng.normal(0, BLUR, codes.shape[1:])
    return codes + wrong.astype(np.float32)
