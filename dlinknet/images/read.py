"""Image files as training and evaluation read them: pixels of images, labels of road masks."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import numpy as np

from dlinknet.errors import InputError
from dlinknet.images.decode import BadImage, decode, decode_grey

ROAD_MINIMUM = 128  # a mask's pixel is road from here on


def read_image(file: Path) -> np.ndarray:
    """Return an image's pixels, H x W x 3 uint8, BGR, as stored. UserError: the file cannot be decoded."""
    with readable(file):
        return decode(file)


def read_mask(file: Path) -> np.ndarray:
    """Return a road mask's labels, H x W uint8: 1 where the mask's pixel is at least 128 (road), else 0.

    Raises:
        UserError: the file cannot be decoded.
    """
    with readable(file):
        return (decode_grey(file) >= ROAD_MINIMUM).astype(np.uint8)


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn BadImage, which names a file alone, into an InputError with the file's path."""
    try:
        yield
    except BadImage as error:
        reason = str(error).removeprefix(f"{file.name}: ")
        raise InputError(file, f": {reason}") from None
