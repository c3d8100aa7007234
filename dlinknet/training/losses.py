"""What training makes small."""
from __future__ import annotations

from mindspore import nn, ops


class DiceBCELoss(nn.Cell):
    """1 - Dice plus binary cross-entropy, on logits: D-LinkNet's loss, finite on any batch.

        loss = mean(BCE(p, t)) + 1 - (2 * sum(p * t) + 1) / (sum(p) + sum(t) + 1),    p = sigmoid(logits)

    Both sums run over the whole batch, as in the authors' code. Their Dice has no + 1 and is 0 / 0 on a batch without road
    and without prediction. With one pixel in numerator and denominator such a batch costs 0, false roads in it still cost
    up to 1, and elsewhere the share of one pixel vanishes.

    Logits and truth are N x C x H x W float32, truth 0 or 1; the loss is a float32 scalar, at least 0.
    """

    def __init__(self):
        super().__init__()
        self.bce = nn.BCEWithLogitsLoss()

    def construct(self, logits, truth):
        p = ops.sigmoid(logits)
        dice = (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)
        return self.bce(logits, truth) + 1 - dice
