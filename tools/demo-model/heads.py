"""The head that speaks for the decoder in training only, and its loss."""

import torch.nn.functional as F
from torch import nn


class Options(nn.Module):
    """What the last token of each option has to know midway: whether it is right, and which letter it has."""

    LAYER = 4  # after how many layers

    def __init__(self, hidden):
        super().__init__()
        self.out = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 1 + 5))

    def loss(self, states, batch):
        """(loss, scores); states are of the text only."""
        if not len(batch["options"]):
            return 0.0, {}
        row, token, letter, right = batch["options"].T
        got = self.out(states[self.LAYER][row, token]).float()
        loss = 2 * F.binary_cross_entropy_with_logits(got[:, 0], right.float()) + F.cross_entropy(got[:, 1:], letter)
        return loss, {"~option": ((got[:, 0] > 0) == (right > 0)).float().tolist()}
