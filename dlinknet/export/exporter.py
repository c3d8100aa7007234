"""The course of an export: written under a temporary name, loaded and computed anew, compared with the checkpoint, renamed."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import cv2
import numpy as np

from dlinknet.checkpoints.load import TrainedNetwork
from dlinknet.console import LOG
from dlinknet.data.preprocess import pad, to_input
from dlinknet.data.synthetic import draw_scene
from dlinknet.devices import runtime
from dlinknet.errors import RunFailed, first_line
from dlinknet.export.graph import exported_graph, fold_batch_norm
from dlinknet.export.mindir import compute_fresh, write_air, write_mindir
from dlinknet.export.onnx import check_onnx, compute_opencv, write_onnx
from dlinknet.images.read import read_image
from dlinknet.inference import description
from dlinknet.inference.description import Shape
from dlinknet.inference.engines import OnnxEngine

LIMIT = 1e-4  # of a difference in probability, times the range of the probabilities
NARROW = 0.01  # that range counts as this at least: float32 has 7 digits
FOLD_LIMIT = 1e-5
SEED = 1  # of the drawn scene
MORE = (
    1,
    32,
    64,
)  # images, rows and columns that a dynamic export's second comparison has more than the first


def sample(file: str, size: tuple[int, int], batch: int) -> np.ndarray:
    """Pixels to compare with, batch x H x W x 3 uint8 BGR: of the image `file`, or of a drawn scene where it is empty.

    The image is cropped, or padded by reflection, to `size`; each of the batch is mirrored against the one before.
    """
    height, width = size
    image = (
        read_image(Path(file)) if file else draw_scene(np.random.default_rng(SEED), max(size))[0]
    )
    pixels = pad(image, height, width)[:height, :width]
    return np.stack([pixels[:, ::-1] if number % 2 else pixels for number in range(batch)])


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` in which to make it, removed at the end; so are those of runs that were killed."""
    for left in target.parent.glob(f".{target.name}.*"):
        if left.suffix[1:].isdigit() and not Path("/proc", left.suffix[1:]).exists():
            shutil.rmtree(left, ignore_errors=True)
    work = target.with_name(f".{target.name}.{os.getpid()}")
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


class Source(NamedTuple):
    """A trained network to export: its checkpoint, and what loads it again at each call."""

    checkpoint: str
    load: Callable[[], TrainedNetwork]


class Export:
    """A network on its way out: what the exported models must compute is computed, and BatchNorm folded where that is exact.

    Args:
        source: the network.
        shape: what the exported model shall take.
        threshold: noted in the JSON.
        image: the image to compare with; empty for a drawn scene.
        device_id: which Ascend writes AIR.
    """

    def __init__(
        self,
        source: Source,
        shape: Shape,
        threshold: float,
        image: str = "",
        device_id: int = 0,
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
            sides.append((batch + MORE[0], height + MORE[1], width + MORE[2]))
        self.pixels = [sample(image, (height, width), batch) for batch, height, width in sides]
        self.planes = [
            np.stack(
                [
                    to_input(np.ascontiguousarray(one), preprocessing=self.preprocessing)
                    for one in pixels
                ]
            )
            for pixels in self.pixels
        ]
        self.inputs = self.pixels if shape.pixels else self.planes
        self.expected = self._computed(exported_graph(network, False), self.planes)
        self.range = float(self.expected[0].min()), float(self.expected[0].max())
        self.limit = LIMIT * min(1.0, max(self.range[1] - self.range[0], NARROW))
        self.network = fold_batch_norm(source.load().network)
        off = self._difference(self._computed(self._graph(), self.inputs))
        self.batch_norm = "folded" if off <= min(FOLD_LIMIT, self.limit / 2) else "kept"
        if self.batch_norm == "kept":
            LOG.info("BatchNorm is kept: without it the probabilities change by %.1g", off)
            self.network = network

    @staticmethod
    def _computed(graph: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
        from mindspore import Tensor

        return [graph(Tensor(array)).asnumpy() for array in inputs]

    def _difference(self, found: list[np.ndarray]) -> float:
        """The largest distance from what the checkpoint's network computes; infinite where shapes differ or something is NaN."""
        if any(a.shape != b.shape for a, b in zip(found, self.expected)):
            return float("inf")
        largest = np.max(
            [np.abs(a.astype(np.float64) - b).max() for a, b in zip(found, self.expected)]
        )
        return float(largest) if np.isfinite(largest) else float("inf")

    def write(self, file_format: str, target: Path) -> None:
        """Writes one format to `target` and its JSON beside it.

        Raises:
            RunFailed: the file cannot be written, or an engine that reads it computes something else; then nothing is left under
                the asked name, and what was there before is as it was.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with _work_folder(target) as work:
            file = work / target.name
            try:
                written = {
                    "MINDIR": self._write_mindir,
                    "AIR": self._write_air,
                    "ONNX": self._write_onnx,
                }[file_format](file)
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001  (MindSpore raises many kinds, onnx its own)
                raise RunFailed(
                    f"{target.name}: {file_format} could not be written: {first_line(error)}"
                ) from None
            compared = self.compare(file_format, file)
            description.write(
                file,
                {
                    "file": target.name,
                    "file_format": file_format,
                    "sha256": description.sha256(file),
                    **self.card.to_dict(),
                    **self.shape.to_dict(self.card.classes, self.preprocessing),
                    "threshold": self.threshold,
                    "mindspore": runtime.version(),
                    **written,
                    "batch_norm": self.batch_norm,
                    "checkpoint": Path(self.checkpoint).name,
                    "compared": compared,
                },
            )
            # Without its JSON a model is not taken for an export; so there is never one with another's.
            description.path_of(target).unlink(missing_ok=True)
            file.replace(target)
            description.path_of(file).replace(description.path_of(target))
        for engine, difference in compared.items():
            LOG.info(
                "%s: %s gives the checkpoint's probabilities (%.3g to %.3g) to %.1g",
                target.name,
                engine,
                *self.range,
                difference,
            )
        if not compared:
            LOG.info(
                "%s is written; nothing here can read it back, so it was not compared", target.name
            )

    def _graph(self) -> Any:
        # A new one for each file: MindSpore changes what it exports, and would not export it again.
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
            self.batch_norm == "folded",
            self.device_id,
            file,
        )
        return {}

    def compare(self, file_format: str, file: Path) -> dict[str, float]:
        """{engine: largest difference} for every engine here that reads such a file.

        Raises:
            RunFailed: one of them cannot read it, or its difference is over the limit.
        """
        found: dict[str, float] = {}

        def note(engine: str, outputs: Callable[[], list[np.ndarray]]) -> None:
            try:
                found[engine] = self._difference(outputs())
            except Exception as error:  # noqa: BLE001  (each engine's own kinds)
                raise RunFailed(
                    f"{file.name}: {engine} cannot run what was written: {first_line(error)}"
                ) from None
            if not found[engine] <= self.limit:
                raise RunFailed(
                    f"{file.name}: {engine} computes probabilities that differ by {found[engine]:.1g} from the "
                    f"checkpoint's ({self.limit:.1g} is allowed); nothing is left of it"
                )

        if file_format == "MINDIR":
            note(
                f"MindSpore {runtime.version()} in a process of its own",
                lambda: compute_fresh(file, self.inputs, file.parent),
            )
        elif file_format == "ONNX":
            try:
                check_onnx(file)
                engine = OnnxEngine(file, self.shape, self.preprocessing)
            except Exception as error:  # noqa: BLE001  (the kinds of ONNX Runtime, and ours)
                raise RunFailed(
                    f"{file.name}: what was written is no right ONNX: {first_line(error)}"
                ) from None
            note(
                f"ONNX Runtime {engine.version}",
                lambda: [
                    engine(array).reshape(wanted.shape)
                    for array, wanted in zip(self.inputs, self.expected)
                ],
            )
            if not self.shape.pixels and not self.shape.dynamic:  # which OpenCV does not take
                note(
                    f"OpenCV {cv2.__version__}",
                    lambda: [compute_opencv(file, array) for array in self.planes],
                )
        return found
