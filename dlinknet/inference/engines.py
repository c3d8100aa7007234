"""Engines: what the predictor asks of a model that computes probabilities, and each kind of model.

MindSpore is imported only when a model needs it, because an ONNX file does without.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable, Protocol

import numpy as np

from dlinknet.console import quiet
from dlinknet.data.preprocess import DLINKNET, Preprocessing, to_input
from dlinknet.errors import InputError, RunFailed, first_line
from dlinknet.inference.description import Shape

if TYPE_CHECKING:
    from mindspore import nn


class Engine(Protocol):
    """A batch of inputs -> the probability of road, or of each class."""

    batch: int  # how many inputs a call takes
    size: tuple[int, int] | None  # the inputs' height and width; None: any multiples of 32

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 uint8 BGR -> one input."""

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return `batch` x H x W float32, 0 to 1; of C classes `batch` x C x H x W."""


class NetworkEngine:
    """A network of dlinknet, one image of any size at a time, in inference mode at each call.

    Args:
        network: N x 3 x H x W -> N x C x H x W logits.
        classes: C.
        preprocessing: what it was trained with.
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
        return maps(self.graph(Tensor(inputs)).asnumpy(), "the network")


def maps(probabilities: np.ndarray, model: str) -> np.ndarray:
    """Return N x C x H x W as an engine gives it: without the axis of C where that is 1.

    Args:
        model: what computed them, for the error's line.

    Raises:
        RunFailed: a probability is NaN or infinite. Its mask would look as if there were no road.
    """
    if not np.isfinite(probabilities).all():
        raise RunFailed(
            f"{model} computes probabilities that are not finite numbers: its weights or the "
            "device are at fault"
        )
    return probabilities[:, 0] if probabilities.shape[1] == 1 else probabilities


class _ExportedEngine:
    """What the engines of exported models share: shape, preparation, and how a failure ends.

    Args:
        classes: how many maps the model gives; 0 if that is not known.
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
            return maps(found, str(self.file))
        except RunFailed:
            raise
        except Exception as error:  # noqa: BLE001  (each engine's kinds; MindSpore compiles here)
            raise RunFailed(f"{self.file} cannot be computed: {first_line(error)}") from None

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class MindirEngine(_ExportedEngine):
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


class OnnxEngine(_ExportedEngine):
    """An ONNX file by ONNX Runtime on the CPU, for which MindSpore is not needed.

    Raises:
        UserError: ONNX Runtime is missing.
        Exception: it cannot load the file; it raises many kinds.
    """

    def __init__(
        self,
        file: Path,
        shape: Shape,
        preprocessing: Preprocessing = DLINKNET,
        classes: int = 0,
    ):
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(
                file, f"takes ONNX Runtime, which cannot be imported ({error}): {EXTRA}"
            ) from None
        super().__init__(file, shape, preprocessing, classes)
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        # Without a fallback it does not print lines of its own before it raises.
        self.session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"image": inputs})[0]


def read_mindir(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return what a MINDIR file computes, as a function of arrays, on MindSpore's device.

    Raises:
        Exception: MindSpore cannot load it; it raises many kinds.
    """
    import mindspore as ms
    from mindspore import Tensor, nn

    graph = nn.GraphCell(ms.load(str(file)))
    return lambda inputs: graph(Tensor(inputs)).asnumpy()


EXTRA = "pip install -r requirements-onnx.txt"
