"""Export a trained network to a file.

The file is written under a temporary name, loaded and run again, compared with the checkpoint, and
only then renamed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, NamedTuple

import cv2
import numpy as np

from dlinknet.checkpoints.load import TrainedNetwork
from dlinknet.console import LOG
from dlinknet.data.preprocess import to_input
from dlinknet.devices import runtime
from dlinknet.devices.environment import FROM_ENVIRONMENT
from dlinknet.errors import RunFailed, first_line
from dlinknet.export.comparison import (
    accepted_difference,
    comparison_pixels,
    largest_difference,
)
from dlinknet.export.graph import exported_graph, fold_batch_norm
from dlinknet.export.mindir import compute_in_new_process, write_air, write_mindir
from dlinknet.export.onnx import check_onnx, compute_opencv, write_onnx
from dlinknet.export.publish import publish, work_folder
from dlinknet.export.quantize import Quantizing, quantize
from dlinknet.inference import description
from dlinknet.inference.description import Shape
from dlinknet.inference.onnx_engines import OnnxEngine

FOLD_LIMIT = 1e-5  # largest accepted difference by the folding of BatchNorm
# A dynamic export is compared twice. The second comparison has more images, rows and columns.
MORE_IMAGES, MORE_ROWS, MORE_COLUMNS = 1, 32, 64


class Source(NamedTuple):
    """A trained network to export.

    checkpoint: its file. load: loads the network from the file, a new one at each call.
    """

    checkpoint: str
    load: Callable[[], TrainedNetwork]


class Export:
    """A network to export, with the probabilities that its exported models must compute.

    BatchNorm is folded into the convolutions if the probabilities stay equal.

    Args:
        source: the network.
        shape: the input of the exported models.
        threshold: probability above which a pixel is road, for the JSON beside a model.
        image: an image for the comparison; empty for a drawn scene.
        device_id: the Ascend that writes AIR.

    Attributes:
        pixels, planes: the images for the comparison, as uint8 N x H x W x 3 and as float32
            N x 3 x H x W; a second array follows for a dynamic shape.
        expected: the probabilities N x C x H x W of the checkpoint's network for these images.
        range: the lowest and the highest of the first of them.
        limit: the largest accepted difference from them.
        batch_norm: 'folded' or 'kept'.

    Raises:
        InputError: the checkpoint or the image cannot be used.
    """

    def __init__(
        self,
        source: Source,
        shape: Shape,
        threshold: float,
        image: str = "",
        device_id: int = FROM_ENVIRONMENT,
    ):
        self.checkpoint, self.shape, self.threshold = source.checkpoint, shape, threshold
        self.device_id = device_id
        trained = source.load()
        network, self.card = trained.network, trained.card
        self.card.known_classes(source.checkpoint)
        self.preprocessing = self.card.preprocessing
        batch, height, width = shape.batch, *shape.size
        sides = [(batch, height, width)]
        if shape.dynamic:
            sides.append((batch + MORE_IMAGES, height + MORE_ROWS, width + MORE_COLUMNS))
        self.pixels = [
            comparison_pixels(image, (height, width), batch) for batch, height, width in sides
        ]
        self.planes = [self._to_planes(pixels) for pixels in self.pixels]
        self.inputs = self.pixels if shape.pixels else self.planes
        self.expected = self._compute(exported_graph(network, False), self.planes)
        self.range = float(self.expected[0].min()), float(self.expected[0].max())
        self.limit = accepted_difference(self.range[1] - self.range[0])
        # Folding changes a network in place, so it gets a network of its own.
        self.network = fold_batch_norm(source.load().network)
        difference = largest_difference(self._compute(self._graph(), self.inputs), self.expected)
        self.batch_norm = "folded" if difference <= min(FOLD_LIMIT, self.limit / 2) else "kept"
        if self.batch_norm == "kept":
            LOG.info("BatchNorm is kept: without it the probabilities change by %.1g", difference)
            self.network = network

    def _to_planes(self, pixels: np.ndarray) -> np.ndarray:
        """Return the network's input, N x 3 x H x W float32, for N x H x W x 3 uint8."""
        return np.stack(
            [
                to_input(np.ascontiguousarray(one), preprocessing=self.preprocessing)
                for one in pixels
            ]
        )

    @staticmethod
    def _compute(graph: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
        from mindspore import Tensor

        return [graph(Tensor(array)).asnumpy() for array in inputs]

    def write(self, file_format: str, target: Path, quantizing: Quantizing | None = None) -> None:
        """Write one file to `target`, and its JSON beside it.

        Args:
            file_format: 'MINDIR', 'AIR' or 'ONNX'.
            quantizing: how an ONNX file is quantized, after the comparison; None: it is not.

        Raises:
            RunFailed: the file cannot be written, an engine that reads it computes other
                probabilities, or int8 costs too much. Files that were there before are then
                unchanged.
        """
        with work_folder(target) as work:
            file = work / target.name
            versions = self._write_format(file_format, file)
            compared = self.compare(file_format, file)
            self._log_comparison(target.name, compared)
            if quantizing:
                versions |= quantize(file, self._open_onnx, quantizing)
                compared = self._differences_of_int8(file)
            publish(file, target, self._sidecar(file_format, file, versions, compared))

    def _write_format(self, file_format: str, file: Path) -> dict[str, Any]:
        """Write the file, and return the version of its format for the JSON."""
        writers = {
            "MINDIR": self._write_mindir,
            "AIR": self._write_air,
            "ONNX": self._write_onnx,
        }
        try:
            return writers[file_format](file)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  (MindSpore raises many kinds, onnx its own)
            raise RunFailed(
                f"{file.name}: {file_format} could not be written: {first_line(error)}"
            ) from None

    def _sidecar(
        self, file_format: str, file: Path, versions: dict[str, Any], compared: dict[str, float]
    ) -> dict[str, Any]:
        """Return the JSON beside the file; inference/description.py lists its keys."""
        return {
            "file": file.name,
            "file_format": file_format,
            "sha256": description.sha256(file),
            **self.card.to_dict(),
            **self.shape.to_dict(self.card.classes, self.preprocessing),
            "threshold": self.threshold,
            "mindspore": runtime.version(),
            **versions,
            "batch_norm": self.batch_norm,
            "checkpoint": Path(self.checkpoint).name,
            "compared": compared,
        }

    def _log_comparison(self, name: str, compared: dict[str, float]) -> None:
        for engine, difference in compared.items():
            LOG.info(
                "%s: %s gives the checkpoint's probabilities (%.3g to %.3g) to %.1g",
                name,
                engine,
                *self.range,
                difference,
            )
        if not compared:
            LOG.info("%s is written; nothing here can read it back, so it was not compared", name)

    def _graph(self) -> Any:
        # MindSpore changes a graph when it exports it, so each file needs a new one.
        return exported_graph(self.network, self.shape.pixels, self.preprocessing)

    def _write_mindir(self, file: Path) -> dict[str, int]:
        return write_mindir(self._graph(), self.shape, file)

    def _write_onnx(self, file: Path) -> dict[str, int]:
        return write_onnx(self._graph(), self.shape, file)

    def _write_air(self, file: Path) -> dict[str, int]:
        write_air(
            str(Path(self.checkpoint).absolute()),
            self.card.model,
            self.shape,
            file,
            folded=self.batch_norm == "folded",
            device_id=self.device_id,
        )
        return {}

    def compare(self, file_format: str, file: Path) -> dict[str, float]:
        """Run a written file, and compare its probabilities with the checkpoint's.

        Returns:
            {engine: largest difference} for every engine on this machine that reads the format.

        Raises:
            RunFailed: an engine cannot read the file, or its difference is above the limit.
        """
        if file_format == "MINDIR":
            engine = f"MindSpore {runtime.version()} in a process of its own"
            difference = self._compare_with(
                file, engine, lambda: compute_in_new_process(file, self.inputs, file.parent)
            )
            return {engine: difference}
        return self._compare_onnx(file) if file_format == "ONNX" else {}

    def _differences_of_int8(self, file: Path) -> dict[str, float]:
        """Return what `compare` returns, for an int8 file, whose difference has no limit."""
        engine = self._open_onnx(file)
        found = [
            engine(array).reshape(expected.shape)
            for array, expected in zip(self.inputs, self.expected)
        ]
        difference = largest_difference(found, self.expected)
        LOG.info("%s: in int8 no probability differs by more than %.1g", file.name, difference)
        return {f"{engine.name}, int8": difference}

    def _open_onnx(self, file: Path) -> OnnxEngine:
        return OnnxEngine(file, self.shape, self.preprocessing)

    def _compare_onnx(self, file: Path) -> dict[str, float]:
        try:
            check_onnx(file)
            engine = self._open_onnx(file)
        except Exception as error:  # noqa: BLE001  (ONNX Runtime's kinds, and RunFailed)
            raise RunFailed(
                f"{file.name}: the written file is not valid ONNX: {first_line(error)}"
            ) from None
        name = engine.name
        found = {
            name: self._compare_with(
                file,
                name,
                lambda: [
                    engine(array).reshape(expected.shape)
                    for array, expected in zip(self.inputs, self.expected)
                ],
            )
        }
        # OpenCV's dnn module supports neither uint8 inputs nor dynamic shapes.
        if not self.shape.pixels and not self.shape.dynamic:
            name = f"OpenCV {cv2.__version__}"
            found[name] = self._compare_with(
                file, name, lambda: [compute_opencv(file, array) for array in self.planes]
            )
        return found

    def _compare_with(
        self, file: Path, engine: str, compute: Callable[[], list[np.ndarray]]
    ) -> float:
        """Return the largest difference of an engine's outputs, which `compute` returns.

        Raises:
            RunFailed: the engine fails, or the difference is above the limit.
        """
        try:
            difference = largest_difference(compute(), self.expected)
        except Exception as error:  # noqa: BLE001  (each engine raises kinds of its own)
            raise RunFailed(
                f"{file.name}: {engine} cannot run the written file: {first_line(error)}"
            ) from None
        if not difference <= self.limit:
            raise RunFailed(
                f"{file.name}: {engine} computes probabilities that differ by {difference:.1g} "
                f"from the checkpoint's ({self.limit:.1g} is allowed); the file was removed"
            )
        return difference
