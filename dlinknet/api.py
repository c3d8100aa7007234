"""The library's front: load a trained model, predict images. Images are RGB here."""

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
from dlinknet.errors import InputError
from dlinknet.files.places import need_file, need_place
from dlinknet.images.files import ImageFile, find_images, id_of
from dlinknet.images.read import read_image
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
) -> Model:
    """Open a trained model.

    Args:
        file: a checkpoint (.ckpt, or a PyTorch file or safetensors of D-LinkNet), or an exported
            .mindir or .onnx with its JSON beside it.
        device: 'auto', 'Ascend', 'GPU' or 'CPU'. An ONNX file is computed by ONNX Runtime on the CPU
            and does not need MindSpore. MindSpore runs on one device a process: the first model
            decides.
        tile_size: the longest side in pixels that is computed at once, a multiple of 32; larger
            images are computed in tiles.
        tile_overlap: the minimum overlap of neighbouring tiles in pixels.
        tta: average the flipped and turned views that the model was trained with.

    Raises:
        InputError: the file is missing, damaged or of a kind that is not known, or the device cannot
            be used.
    """
    if tile_size % 32 or tile_size < 64 or not 0 <= tile_overlap <= tile_size - 32:
        raise InputError(
            f"a tile of {tile_size} pixels with an overlap of {tile_overlap}",
            "is not possible: the size must be a multiple of 32 from 64 on, the overlap at most the "
            "size less 32",
        )
    need_file(str(file))
    opened = open_model(str(file), lambda: str(runtime.start(device, 0, 1)))
    views = views_of(tta, opened.card.augment or "full")
    tiling = Tiling(tile_size, tile_overlap, views, opened.card.preprocessing.resize)
    return Model(opened, Predictor(opened.engine, tiling))


class Model:
    """A trained model that predicts; `load` makes it."""

    def __init__(self, opened: Opened, predictor: Predictor):
        self._opened, self._predictor = opened, predictor

    @property
    def card(self) -> ModelCard:
        """What the model says of itself: its network, classes and preprocessing."""
        return self._opened.card

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes, in the order of its maps; ('road',) for a model of roads."""
        return self._opened.classes.map_names

    @property
    def device(self) -> str:
        """Where it computes, in words."""
        return self._opened.device

    def predict(self, image: PixelSource, threshold: float = 0.5) -> Prediction:
        """Predict one image of any size.

        Args:
            image: a path, H x W x 3 uint8 RGB, or a PIL image.
            threshold: road is where the probability is above it; several classes do without.

        Raises:
            InputError: the file cannot be read, or the array is no such image.
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
        """Yield the predictions of a folder's images, sorted by ID. Masks (ID_mask.png) are left out.

        Args:
            skip_bad: leave images out that cannot be read, with a line in the log 'dlinknet'.

        Raises:
            InputError: there is no image, or (without `skip_bad`) one cannot be read.
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
    """One image and what a model found in it.

    id: its file's name without type and '_sat'; 'image' for pixels. image: H x W x 3 uint8, RGB.
    probability: of road, H x W float32, 0 to 1; of C classes C x H x W, which sum to 1 at each pixel.
    """

    id: str
    image: np.ndarray
    probability: np.ndarray
    _labels: np.ndarray = field(repr=False)
    _classes: Classes = field(repr=False)
    _file: Path = field(repr=False)

    @property
    def mask(self) -> np.ndarray:
        """H x W uint8: 255 where there is road, else 0; of several classes the values of their table."""
        return self._classes.written_mask(self._labels)

    def save(
        self, folder: str | Path, *, probabilities: str = "none", overlay: bool = True
    ) -> list[Path]:
        """Write ID_mask.png and, as asked for, more; return the files. They appear whole.

        Args:
            folder: receives the files; it is made if it is missing.
            probabilities: 'png' for ID_probability.png (16 bit, 65535 is 1; roads only), 'npy' for
                ID_probability.npy (float32), or 'none'.
            overlay: write overlays/ID_overlay.jpg, the image with what was found in colour.

        Raises:
            InputError: the folder cannot be written to.
            OSError: the disk is full.
        """
        need_place(str(folder))
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
    """Return an image's pixels, H x W x 3 uint8, BGR."""
    if isinstance(image, (str, Path)):
        need_file(str(image))
        return read_image(Path(image))
    pixels = np.asarray(image.convert("RGB") if hasattr(image, "convert") else image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise InputError(
            f"an array of shape {pixels.shape} and type {pixels.dtype}",
            "is no image: H x W x 3 uint8 in the order RGB is expected",
        )
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
