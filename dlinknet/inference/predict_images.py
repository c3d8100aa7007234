"""Predict images that have no masks, one after another; a bad file does not stop the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dlinknet.console import Progress
from dlinknet.images.decode import decode
from dlinknet.images.files import ImageFile
from dlinknet.images.formats import BadImage
from dlinknet.inference.predictor import Predictor, labels_of
from dlinknet.threads import prefetch

FORMATS = {"none": None, "png": np.uint16, "npy": np.float32}  # the types of kept probabilities


@dataclass(frozen=True)
class Predicted:
    """One image and its labels; if `fault` says why it could not be read, the arrays are empty.

    image: H x W x 3 uint8 BGR. mask: H x W uint8 labels, of roads 0 and 1. probability: H x W (of C
    classes C x H x W), uint16 (0 to 65535) or float32 (0 to 1), or None if it was not asked for.
    """

    source: ImageFile
    image: np.ndarray
    mask: np.ndarray
    probability: np.ndarray | None = None
    fault: str = ""


def predict(
    images: list[ImageFile], predictor: Predictor, threshold: float, probabilities: str
) -> Iterator[Predicted]:
    """Yield every image with its labels; the next image is read meanwhile.

    Besides the image, its mask and the probabilities asked for, memory holds one row of tiles and
    the next image.

    Args:
        threshold: a pixel is road if its probability is above this. Of several classes the most
            probable is predicted.
        probabilities: 'none', 'png' (uint16) or 'npy' (float32).
    """
    canvases = predictor.canvases(image.size for image in images if not image.fault)
    with Progress(
        sum(predictor.tiles(*image.size) for image in images if not image.fault),
        "prediction",
        unit="tiles",
    ) as progress:
        for source, (pixels, fault) in prefetch(images, _read):
            if pixels is None:
                progress.drop(0 if source.fault else predictor.tiles(*source.size))
                yield Predicted(
                    source, np.empty((0, 0, 3), np.uint8), np.empty((0, 0), np.uint8), fault=fault
                )
                continue
            mask = np.empty(source.size, np.uint8)
            kept = None
            for top, rows in predictor.bands(
                pixels, canvases.get(source.size), lambda: progress.update(1)
            ):
                here = slice(top, top + rows.shape[-2])
                mask[here] = labels_of(rows, threshold)
                if probabilities != "none":
                    kept = (
                        np.empty((*rows.shape[:-2], *source.size), FORMATS[probabilities])
                        if kept is None
                        else kept
                    )
                    kept[..., here, :] = np.round(rows * 65535) if probabilities == "png" else rows
            yield Predicted(source, pixels, mask, kept)


def _read(source: ImageFile) -> tuple[np.ndarray | None, str]:
    """Return (pixels, ""), or (None, the file's fault in words)."""
    if source.fault:
        return None, source.fault
    try:
        pixels = decode(source.file)
    except BadImage as error:
        return None, str(error)
    if pixels.shape[:2] != source.size:
        return None, f"{source.file.name}: has changed meanwhile"
    return pixels, ""
