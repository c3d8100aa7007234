"""The Python interface: load a trained model, predict images. Images are RGB here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import cv2
import numpy as np

from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.console import LOG
from dlinknet.data.classes import Classes
from dlinknet.devices import runtime
from dlinknet.devices.environment import FROM_ENVIRONMENT
from dlinknet.errors import InputError
from dlinknet.files.places import need_file, need_writable_folder
from dlinknet.images.files import ImageFile, find_images, id_of
from dlinknet.images.read import read_image
from dlinknet.inference.onnx_engines import OnnxOptions
from dlinknet.inference.open_model import Opened, open_model
from dlinknet.inference.predict_images import Predicted
from dlinknet.inference.predictor import Predictor, labels_of, views_of
from dlinknet.inference.tiles import Tiling
from dlinknet.inference.write_predictions import PredictionFiles

if TYPE_CHECKING:
    from PIL.Image import Image

PixelSource = Union[str, Path, np.ndarray, "Image"]


def load(
    file: str | Path,
    device: str = "auto",
    *,
    tile_size: int = 1536,
    tile_overlap: int = 256,
    tta: bool = False,
    engine: str = "auto",
    cpu_precision: str = "float32",
) -> Model:
    """Open a trained model.

    Args:
        file: a checkpoint (.ckpt, or a PyTorch file or safetensors of D-LinkNet), or an exported
            .mindir or .onnx with its JSON beside it.
        device: 'auto', 'Ascend', 'GPU' or 'CPU'. An ONNX file is computed on the CPU, without
            MindSpore. MindSpore uses one device per process: the first model decides.
        tile_size: the longest side of a tile in pixels, a multiple of 32, at least 64. Larger
            images are computed in tiles.
        tile_overlap: the minimum overlap of neighbouring tiles in pixels, from 0 to tile_size - 32.
        tta: average the flipped and turned views that the model was trained with.
        engine: of an ONNX file: 'openvino', 'onnxruntime', or 'auto': OpenVINO if it is installed.
        cpu_precision: of an ONNX file: 'float32', 'bfloat16', or 'auto': bfloat16 if OpenVINO and
            the CPU know it.

    Raises:
        InputError: the file is missing, damaged or of an unknown kind, the device cannot be used,
            or the tile is not possible.
        UserError: MindSpore or another package that the file requires is missing.
    """
    if tile_size % 32 or tile_size < 64 or not 0 <= tile_overlap <= tile_size - 32:
        raise InputError(
            f"a tile of {tile_size} pixels with an overlap of {tile_overlap}",
            "is not possible: the size must be a multiple of 32 and at least 64, and the overlap "
            "from 0 to the size minus 32",
        )
    need_file(str(file))
    opened = open_model(
        str(file),
        lambda: str(runtime.start(device, FROM_ENVIRONMENT, 1)),
        onnx=OnnxOptions(engine, cpu_precision),
    )
    views = views_of(tta, opened.card.augment or "full")
    tiling = Tiling(tile_size, tile_overlap, views, opened.card.preprocessing.resize)
    return Model(opened, Predictor(opened.engine, tiling))


class Model:
    """A trained model that predicts images. `load` returns one."""

    def __init__(self, opened: Opened, predictor: Predictor):
        self._opened, self._predictor = opened, predictor

    @property
    def card(self) -> ModelCard:
        """The network, classes and preprocessing, as the file names them."""
        return self._opened.card

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes in the order of the maps; ('road',) for a model of roads."""
        return self._opened.classes.map_names

    @property
    def device(self) -> str:
        """The device that computes, in words."""
        return self._opened.device

    def predict(self, image: PixelSource, threshold: float = 0.5) -> Prediction:
        """Predict one image of any size.

        Args:
            image: a path, an array of H x W x 3 uint8 RGB, or a PIL image.
            threshold: pixels with a probability above it are road. With several classes, the
                class with the highest probability counts instead.

        Raises:
            InputError: the file cannot be read, or the array has another shape or type.
            RunFailed: the engine of an exported model fails.
        """
        id, file = "image", Path("image")
        if isinstance(image, (str, Path)):
            file = Path(image)
            id = id_of(file)
        pixels = _bgr(image)
        probability = self._predictor.probability(pixels)
        labels = labels_of(probability, threshold)
        return Prediction(id, pixels[..., ::-1], probability, labels, self._opened.classes, file)

    def predict_folder(
        self, folder: str | Path, threshold: float = 0.5, *, skip_bad: bool = False
    ) -> Iterator[Prediction]:
        """Yield the predictions of the images in a folder, sorted by ID.

        Masks (ID_mask.png) are not predicted.

        Args:
            folder: the folder, or the path of one image.
            threshold: pixels with a probability above it are road.
            skip_bad: skip images that cannot be read, with a line in the log 'dlinknet'.

        Raises:
            InputError: there is no image, or an image cannot be read and `skip_bad` is False.
            RunFailed: the engine of an exported model fails.
        """
        for image in find_images(str(folder)):
            try:
                yield self.predict(image.file, threshold)
            except InputError as error:
                if not skip_bad:
                    raise
                LOG.warning("left out: %s", error)


@dataclass(frozen=True)
class Prediction:
    """The prediction of one image.

    id: the file's name without type and '_sat'; 'image' for an array or a PIL image.
    image: H x W x 3 uint8, RGB.
    probability: float32, 0 to 1. Roads: H x W. C classes: C x H x W, and each pixel sums to 1.
    """

    id: str
    image: np.ndarray
    probability: np.ndarray
    _labels: np.ndarray = field(repr=False)
    _classes: Classes = field(repr=False)
    _file: Path = field(repr=False)

    @property
    def mask(self) -> np.ndarray:
        """H x W uint8. Roads: 255 for road, 0 for the rest. Several classes: their mask values."""
        return self._classes.written_mask(self._labels)

    def save(
        self, folder: str | Path, *, probabilities: str = "none", overlay: bool = True
    ) -> list[Path]:
        """Write ID_mask.png and the other files that are asked for; return their paths.

        Each file is written under a temporary name and then renamed.

        Args:
            folder: receives the files. It is made if it is missing.
            probabilities: 'png' for ID_probability.png (16 bit, 65535 is 1; roads only), 'npy' for
                ID_probability.npy (float32), or 'none'.
            overlay: also write overlays/ID_overlay.jpg, the image with the prediction in colour.

        Raises:
            InputError: the folder cannot be written to, or 'png' is asked for with several classes.
            OSError: the disk is full.
        """
        need_writable_folder(str(folder))
        target = Path(folder)
        files = PredictionFiles(target, probabilities, overlay, self._classes)
        (target / "overlays" if overlay else target).mkdir(parents=True, exist_ok=True)
        kept: np.ndarray | None = None
        if probabilities == "png":
            kept = np.round(self.probability * 65535).astype(np.uint16)
        elif probabilities == "npy":
            kept = self.probability
        height, width = self._labels.shape
        source = ImageFile(self.id, self._file, (height, width))
        image = np.ascontiguousarray(self.image[..., ::-1])
        files.write(Predicted(source, image, self._labels, kept))
        return [target / name for name in files.written]


def _bgr(image: Any) -> np.ndarray:
    """Return the pixels of an image, H x W x 3 uint8, BGR.

    Raises:
        InputError: the file cannot be read, or the array has another shape or type.
    """
    if isinstance(image, (str, Path)):
        need_file(str(image))
        return read_image(Path(image))
    pixels = np.asarray(image.convert("RGB") if hasattr(image, "convert") else image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise InputError(
            f"an array of shape {pixels.shape} and type {pixels.dtype}",
            "is no image: expected H x W x 3 uint8 in the order RGB",
        )
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
