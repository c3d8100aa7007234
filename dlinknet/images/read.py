"""Read image files for training and evaluation. Errors name the path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dlinknet.errors import InputError
from dlinknet.images.decode import decode
from dlinknet.images.formats import BadImage


def read_image(file: Path) -> np.ndarray:
    """Return an image's pixels, H x W x 3 uint8, BGR, as stored.

    Raises:
        InputError: the file cannot be decoded.
    """
    with readable(file):
        return decode(file)


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn BadImage, which names a file alone, into an InputError with the file's path."""
    try:
        yield
    except BadImage as error:
        reason = str(error).removeprefix(f"{file.name}: ")
        raise InputError(file, f": {reason}") from None
