"""What computes probabilities: what the predictor asks of it, and a network of ours as such a thing.

Exported models are the others; deploy/engines.py opens them. MindSpore is imported where it is needed only, for an ONNX file
does without.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from dlinknet.data.preprocess import to_input

if TYPE_CHECKING:
    from mindspore import nn


class Engine(Protocol):
    """A batch of inputs -> the probability of road."""

    batch: int                          # how many inputs a call takes
    size: tuple[int, int] | None        # the inputs' height and width; None: any multiples of 32

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 uint8 BGR -> one input."""

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """`batch` inputs in one array -> batch x H x W float32, 0 to 1."""


class NetworkEngine:
    """A network of ours, one image at a time, of any size; it is put into inference mode at each call.

    Args:
        network: N x 3 x H x W -> N x 1 x H x W logits.
    """

    batch, size = 1, None

    def __init__(self, network: nn.Cell):
        from dlinknet.evaluation.probability import Probability
        self.graph = Probability(network)

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return to_input(pixels)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        from mindspore import Tensor
        self.graph.set_train(False)
        return self.graph(Tensor(inputs)).asnumpy()[:, 0]
