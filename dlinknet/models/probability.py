"""A network of logits with its sigmoid or softmax."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops


class Probability(nn.Cell):
    """N x 3 x H x W -> N x C x H x W, float32, 0 to 1.

    Args:
        network: N x 3 x H x W -> N x C x H x W logits.
        classes: C. One map has the sigmoid; several have the softmax over them, and sum to 1 at each pixel.
    """

    def __init__(self, network: nn.Cell, classes: int = 1):
        # Without this the wrapper would rename the network's parameters, and checkpoints with them.
        super().__init__(auto_prefix=False)
        self.network, self.several = network, classes > 1

    def construct(self, image):
        logits = ops.cast(self.network(image), ms.float32)  # in mixed precision logits are float16
        if not self.several:
            return ops.sigmoid(logits)
        # Over the last axis: ONNX up to opset 12, which MindSpore writes, takes the maps' axis and all behind it together.
        return ops.transpose(ops.softmax(ops.transpose(logits, (0, 2, 3, 1)), -1), (0, 3, 1, 2))
