"""A network with sigmoid or softmax behind its logits."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops


class Probability(nn.Cell):
    """Images N x 3 x H x W -> probabilities N x C x H x W, float32 from 0 to 1.

    Args:
        network: images N x 3 x H x W -> logits N x C x H x W.
        classes: C. One map gets the sigmoid. Several maps get the softmax over classes, so that
            they sum to 1 at each pixel.
    """

    def __init__(self, network: nn.Cell, classes: int = 1):
        # auto_prefix would rename the network's parameters, and checkpoints would no longer fit.
        super().__init__(auto_prefix=False)
        self.network, self.has_classes = network, classes > 1

    def construct(self, image):
        logits = ops.cast(self.network(image), ms.float32)  # mixed precision gives float16
        if not self.has_classes:
            return ops.sigmoid(logits)
        # MindSpore writes ONNX of opset 11, in which Softmax sums over its axis and all later axes.
        # So the classes become the last axis, N x H x W x C.
        return ops.transpose(ops.softmax(ops.transpose(logits, (0, 2, 3, 1)), -1), (0, 3, 1, 2))
