"""What training makes small."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


class DiceBCELoss(nn.Cell):
    """1 - Dice plus binary cross-entropy, on logits: D-LinkNet's loss, finite on any batch.

        loss = mean(BCE(p, t)) + 1 - (2 * sum(p * t) + 1) / (sum(p) + sum(t) + 1),    p = sigmoid(logits)

    Both sums run over the whole batch, as in the authors' code. Their Dice has no + 1 and is 0 / 0 on a batch without road
    and without prediction. With one pixel in numerator and denominator such a batch costs 0, false roads in it still cost
    up to 1, and elsewhere the share of one pixel vanishes.

    Logits and truth are N x C x H x W float32, truth 0 or 1; the loss is a float32 scalar, at least 0.

    Args:
        processes: how many share each batch. The sums of Dice then run over the parts of all of them; the cross-entropy is
            that of this part, and the mean over the processes, of losses and of gradients, is the whole batch's. (The gradient
            of a sum over processes is again a sum over them: each gets `processes` times its part's share, and the mean
            takes that away.)
    """

    def __init__(self, processes: int = 1):
        super().__init__()
        self.bce = nn.BCEWithLogitsLoss()
        self.over_all = ops.AllReduce() if processes > 1 else nn.Identity()

    def construct(self, logits, truth):
        p = ops.sigmoid(logits)
        both, either = self.over_all(ops.stack([(p * truth).sum(), p.sum() + truth.sum()]))
        return self.bce(logits, truth) + 1 - (2 * both + 1) / (either + 1)


class CrossEntropyLoss(nn.Cell):
    """Weighted cross-entropy over classes, on logits:

        loss = sum(w[t] * -log p[t]) / sum(w[t]),    p = softmax(logits), over all pixels whose label t is a class

    as PyTorch's. A pixel with another label (data.classes.IGNORED) counts nowhere; where none counts the loss is 0.

    Logits are N x C x H x W float32, truth N x 1 x H x W float32 labels; the loss is a float32 scalar, at least 0.

    Args:
        weights: w, one a class.
        processes: how many share each batch. The mean over them, of losses and of gradients, is then the whole batch's.
    """

    def __init__(self, weights: np.ndarray, processes: int = 1):
        super().__init__()
        self.labels = Tensor(np.arange(len(weights), dtype=np.float32).reshape(1, -1, 1, 1))
        self.weights = Tensor(np.asarray(weights, np.float32).reshape(1, -1, 1, 1))
        self.log_softmax = ops.LogSoftmax(1)
        self.over_all = ops.AllReduce() if processes > 1 else nn.Identity()
        self.processes = processes

    def construct(self, logits, truth):
        counted = (
            ops.cast(truth == self.labels, ms.float32) * self.weights
        )  # N x C x H x W, 0 but at the truth
        whole = self.over_all(counted.sum())
        return (
            -(counted * self.log_softmax(logits)).sum() * self.processes / ops.maximum(whole, 1e-6)
        )


def make_loss(outputs: int, weights: np.ndarray | None, processes: int) -> nn.Cell:
    """Return the loss of a network with `outputs` maps of logits.

    Args:
        weights: of the classes, of which there are several; None for 1 each.
        processes: how many share each batch.
    """
    if outputs == 1:
        return DiceBCELoss(processes)
    return CrossEntropyLoss(np.ones(outputs) if weights is None else weights, processes)
