"""The heads that speak for tokens of the text in training only, and their losses."""

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


class Events(nn.Module):
    """Whether the event that a question names is the last of the two: what its last token has to know midway."""

    LAYER = 4  # after how many layers

    def __init__(self, hidden):
        super().__init__()
        self.out = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 1))

    def loss(self, states, batch):
        """(loss, scores); states are of the text only."""
        if not len(batch["events"]):
            return 0.0, {}
        row, token, _, is_last, _ = batch["events"].T
        got = self.out(states[self.LAYER][row, token])[:, 0].float()
        loss = 2 * F.binary_cross_entropy_with_logits(got, is_last.float())
        return loss, {"~named": ((got > 0) == (is_last > 0)).float().tolist()}
