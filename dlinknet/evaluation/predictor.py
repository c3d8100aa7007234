"""An image -> its probability map: padding, test-time augmentation, the network."""
from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops

from dlinknet.data.preprocess import pad, round_up, to_input


class Probability(nn.Cell):
    """A network of logits with its sigmoid: N x 3 x H x W -> N x C x H x W, 0 to 1."""

    def __init__(self, network: nn.Cell):
        # Without this the wrapper would rename the network's parameters, and checkpoints with them.
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, x):
        return ops.sigmoid(self.network(x))


class Predictor:
    """Runs a one-class network on images of any size.

    Args:
        network: N x 3 x H x W -> N x 1 x H x W logits. It is put into inference mode at each call.
        tta: average the 8 views of an image, flipped and turned by 90 degrees, as D-LinkNet's authors test.
    """

    def __init__(self, network: nn.Cell, tta: bool = False):
        self.graph = Probability(network)
        self.tta = tta

    def probability(self, image: np.ndarray, canvas: tuple[int, int] | None = None) -> np.ndarray:
        """H x W x 3 uint8 BGR -> H x W float32, the probability of road.

        Args:
            canvas: (height, width), multiples of 32 not below the image's, to which it is padded by reflection; by default
                the smallest. Images on one canvas share one compiled graph.
        """
        height, width = image.shape[:2]
        padded = pad(image, *(canvas or round_up(height, width)))
        self.graph.set_train(False)
        if not self.tta:
            return self._run(padded)[:height, :width]
        total = np.zeros(padded.shape[:2], np.float32)
        for turns in (0, 1):
            for flip in (np.s_[:, :], np.s_[::-1, :], np.s_[:, ::-1], np.s_[::-1, ::-1]):
                view = np.rot90(padded, turns)[flip]
                total += np.rot90(self._run(view)[flip], -turns)
        return total[:height, :width] / 8

    def _run(self, image: np.ndarray) -> np.ndarray:
        return self.graph(Tensor(to_input(np.ascontiguousarray(image))[None])).asnumpy()[0, 0]
