"""Loss functions: Dice and binary cross-entropy for roads, weighted cross-entropy for classes."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


class DiceBCELoss(nn.Cell):
    """D-LinkNet's loss (Zhou et al., CVPR workshops 2018): binary cross-entropy plus 1 - Dice.

        loss = mean(BCE(p, t)) + 1 - (2 * sum(p * t) + 1) / (sum(p) + sum(t) + 1)
        p = sigmoid(logits)

    The sums run over the whole batch, as in the authors' code. Their Dice has no + 1, so that it is
    0 / 0 on a batch without road and without prediction. The + 1 adds one correct pixel of road:
    such a batch costs 0, and false roads in a batch without road cost up to 1. On batches with road
    one pixel makes no visible difference.

    Logits and truth t are N x 1 x H x W float32, t is 0 or 1. The loss is a float32 scalar >= 0.

    Args:
        processes: the number of processes that share each batch. The mean of their losses, and the
            mean of their gradients, are those of the whole batch: the sums of Dice run over all
            processes, the cross-entropy over this process's part.
    """

    def __init__(self, processes: int = 1):
        super().__init__()
        self.bce = nn.BCEWithLogitsLoss()
        # The gradient of a sum over processes is a sum over processes too. So each process gets its
        # share times `processes`, and the mean of the gradients divides by it.
        self.over_all = ops.AllReduce() if processes > 1 else nn.Identity()

    def construct(self, logits, truth):
        p = ops.sigmoid(logits)
        # Intersection and sum of areas, in pixels.
        both, either = self.over_all(ops.stack([(p * truth).sum(), p.sum() + truth.sum()]))
        return self.bce(logits, truth) + 1 - (2 * both + 1) / (either + 1)


class CrossEntropyLoss(nn.Cell):
    """Weighted cross-entropy over classes, equal to PyTorch's CrossEntropyLoss.

        loss = sum(w[t] * -log p[t]) / sum(w[t]),    p = softmax(logits)

    The sums run over all pixels whose label t is a class. Pixels with another label
    (data.classes.IGNORED) count nowhere. If all pixels have such a label, the loss is 0.

    Logits are N x C x H x W float32, truth is N x 1 x H x W float32 with labels 0 to C - 1 or
    IGNORED. The loss is a float32 scalar >= 0.

    Args:
        weights: w, one number per class.
        processes: the number of processes that share each batch. The mean of their losses, and the
            mean of their gradients, are those of the whole batch.
    """

    def __init__(self, weights: np.ndarray, processes: int = 1):
        super().__init__()
        self.labels = Tensor(np.arange(len(weights), dtype=np.float32).reshape(1, -1, 1, 1))
        self.weights = Tensor(np.asarray(weights, np.float32).reshape(1, -1, 1, 1))
        self.log_softmax = ops.LogSoftmax(1)
        self.over_all = ops.AllReduce() if processes > 1 else nn.Identity()
        self.processes = processes

    def construct(self, logits, truth):
        # N x 1 x H x W == 1 x C x 1 x 1 -> N x C x H x W: w[t] in the map of class t, else 0.
        counted = ops.cast(truth == self.labels, ms.float32) * self.weights
        whole = self.over_all(counted.sum())  # over all processes; the numerator is this process's
        return (
            -(counted * self.log_softmax(logits)).sum() * self.processes / ops.maximum(whole, 1e-6)
        )


def make_loss(outputs: int, weights: np.ndarray | None, processes: int) -> nn.Cell:
    """Return the loss of a network with `outputs` maps of logits.

    It is DiceBCELoss for one map, of road, else CrossEntropyLoss.

    Args:
        weights: of the classes; None for 1 each.
        processes: the number of processes that share each batch.
    """
    if outputs == 1:
        return DiceBCELoss(processes)
    return CrossEntropyLoss(np.ones(outputs) if weights is None else weights, processes)
