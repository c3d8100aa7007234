"""A network of logits with its sigmoid."""
from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops


class Probability(nn.Cell):
    """N x 3 x H x W -> N x C x H x W, float32, 0 to 1.

    Args:
        network: N x 3 x H x W -> N x C x H x W logits.
    """

    def __init__(self, network: nn.Cell):
        # Without this the wrapper would rename the network's parameters, and checkpoints with them.
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, image):
        return ops.sigmoid(ops.cast(self.network(image), ms.float32))       # in mixed precision logits are float16
