"""A graph that turns pixels into network input before it computes."""

from __future__ import annotations

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


class FromPixels(nn.Cell):
    """A graph with the preprocessing in front of it, which computes pixel / 255 * scale + shift.

    Pixels N x H x W x 3 uint8 BGR -> the graph's output.

    Args:
        graph: a cell with the input N x 3 x H x W float32.
        scale: of all channels.
        shift: of blue, green and red.
    """

    def __init__(self, graph: nn.Cell, scale: float, shift: Sequence[float]):
        super().__init__(auto_prefix=False)
        self.graph = graph
        # MindIR files with a division by 255 cannot be read by other versions of MindSpore, so this
        # is a multiplication.
        self.scale = Tensor(scale / 255, ms.float32)
        same = len(set(shift)) == 1
        self.shift = Tensor(shift[0] if same else np.reshape(shift, (1, 3, 1, 1)), ms.float32)

    def construct(self, image):
        planes = ops.transpose(ops.cast(image, ms.float32), (0, 3, 1, 2))  # N x 3 x H x W
        return self.graph(planes * self.scale + self.shift)
