"""What computes probabilities: what the predictor asks of it, and a network of ours as such a thing.

Exported models are the others; deploy/engines.py opens them. MindSpore is imported where it is needed only, for an ONNX file
does without.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from dlinknet.data.preprocess import DLINKNET, Preprocessing, to_input
from dlinknet.errors import RunFailed

if TYPE_CHECKING:
    from mindspore import nn


class Engine(Protocol):
    """A batch of inputs -> the probability of road, or of each class."""

    batch: int                          # how many inputs a call takes
    size: tuple[int, int] | None        # the inputs' height and width; None: any multiples of 32

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 uint8 BGR -> one input."""

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """`batch` inputs in one array -> batch x H x W float32, 0 to 1; with several classes batch x C x H x W."""


class NetworkEngine:
    """A network of ours, one image at a time, of any size; it is put into inference mode at each call.

    Args:
        network: N x 3 x H x W -> N x C x H x W logits.
        classes: C.
        preprocessing: what it was trained with.
    """

    batch, size = 1, None

    def __init__(self, network: nn.Cell, classes: int = 1, preprocessing: Preprocessing = DLINKNET):
        from dlinknet.evaluation.probability import Probability
        self.graph, self.preprocessing = Probability(network, classes), preprocessing

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return to_input(pixels, preprocessing=self.preprocessing)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        from mindspore import Tensor
        self.graph.set_train(False)
        return maps(self.graph(Tensor(inputs)).asnumpy(), "the network")


def maps(probabilities: np.ndarray, model: str) -> np.ndarray:
    """Return N x C x H x W as an engine gives it: without the axis of C where that is 1.

    Args:
        model: what computed them, for the error's line.

    Raises:
        RunFailed: a probability is NaN or infinite. A mask would be drawn of it as if it were no road.
    """
    if not np.isfinite(probabilities).all():
        raise RunFailed(f"{model} computes probabilities that are not finite numbers: its weights or the device are at fault")
    return probabilities[:, 0] if probabilities.shape[1] == 1 else probabilities
