"""Engines, which compute the probabilities of a batch: the protocol, and those of MindSpore.

MindSpore is imported only when a model needs it, because an ONNX file does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable, Protocol

import numpy as np

from dlinknet.console import quiet
from dlinknet.data.preprocess import DLINKNET, Preprocessing, to_input
from dlinknet.errors import RunFailed, first_line
from dlinknet.inference.description import Shape

if TYPE_CHECKING:
    from mindspore import nn


class Engine(Protocol):
    """A batch of inputs -> the probability of road, or of each class.

    batch: inputs per call. size: the inputs' (height, width); None: any multiples of 32.
    """

    batch: int
    size: tuple[int, int] | None

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return one input for H x W x 3 uint8 BGR."""

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return probabilities, float32, 0 to 1: `batch` x H x W, of C classes `batch` x C x H x W.

        Args:
            inputs: `batch` inputs of one size, stacked.

        Raises:
            RunFailed: the model cannot compute, or a probability is not a finite number.
        """


class NetworkEngine:
    """A network of dlinknet, which computes one image of any size per call, in inference mode.

    Args:
        network: N x 3 x H x W -> N x C x H x W logits.
        classes: C.
        preprocessing: the preprocessing of its training.
    """

    batch = 1
    size: tuple[int, int] | None = None

    def __init__(self, network: nn.Cell, classes: int = 1, preprocessing: Preprocessing = DLINKNET):
        from dlinknet.models.probability import Probability

        self.graph, self.preprocessing = Probability(network, classes), preprocessing

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return to_input(pixels, preprocessing=self.preprocessing)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        from mindspore import Tensor

        self.graph.set_train(False)
        return checked_maps(self.graph(Tensor(inputs)).asnumpy(), "the network")


def checked_maps(probabilities: np.ndarray, model: str) -> np.ndarray:
    """Return the maps N x C x H x W as an engine does: N x H x W if C is 1.

    Args:
        model: the name of the model, for the error's line.

    Raises:
        RunFailed: a probability is NaN or infinite. Its mask would look as if there were no road.
    """
    if not np.isfinite(probabilities).all():
        raise RunFailed(
            f"{model} computes probabilities that are not finite numbers: its weights or the "
            "device are at fault"
        )
    return probabilities[:, 0] if probabilities.shape[1] == 1 else probabilities


class ExportedEngine:
    """The common part of the engines of exported models: shape, preparation, errors.

    Args:
        classes: the number of the model's maps; 0 if it is not known.
    """

    def __init__(self, file: Path, shape: Shape, preprocessing: Preprocessing, classes: int = 0):
        self.file, self.preprocessing, self.classes = file, preprocessing, classes
        self.batch, self.size, self.pixels = (
            shape.batch,
            None if shape.dynamic else shape.size,
            shape.pixels,
        )

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return pixels if self.pixels else to_input(pixels, preprocessing=self.preprocessing)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        try:
            found = self._probabilities(inputs)
            sides = inputs.shape[1:3] if self.pixels else inputs.shape[2:]
            expected = (len(inputs), self.classes or found.shape[1], *sides)
            if found.shape != expected:
                raise RunFailed(
                    f"{self.file} gives probabilities of shape {found.shape} in place of "
                    f"{expected}; export "
                    "it again"
                )
            return checked_maps(found, str(self.file))
        except RunFailed:
            raise
        except Exception as error:  # noqa: BLE001  (each engine's kinds; MindSpore compiles here)
            raise RunFailed(f"{self.file} cannot be computed: {first_line(error)}") from None

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class MindirEngine(ExportedEngine):
    """A MINDIR file, on the device that MindSpore was started on.

    Raises:
        Exception: MindSpore cannot load it; it raises many kinds.
    """

    def __init__(
        self, file: Path, shape: Shape, preprocessing: Preprocessing = DLINKNET, classes: int = 0
    ):
        super().__init__(file, shape, preprocessing, classes)
        with quiet(native=True):
            self.compute = read_mindir(file)

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        with quiet(native=True):
            return self.compute(inputs)


def read_mindir(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return a MINDIR file as a function from an array to an array, on MindSpore's device.

    Raises:
        Exception: MindSpore cannot load it; it raises many kinds.
    """
    import mindspore as ms
    from mindspore import Tensor, nn

    graph = nn.GraphCell(ms.load(str(file)))
    return lambda inputs: graph(Tensor(inputs)).asnumpy()
