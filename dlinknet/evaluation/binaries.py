"""Probabilities as the Ascend 310 program leaves them: ID_sat.bin, float32, row by row, of the image's own size. Pure NumPy."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from dlinknet.errors import UserError

ENDING = "_sat.bin"
ROUNDING = 1e-4                 # blended tiles may add up to a little more than 1


def read_binary(file: Path, height: int, width: int, key: str) -> np.ndarray:
    """The probabilities of one image, height x width float32, 0 to 1.

    Args:
        key: the setting that named its folder, for the error's line.

    Raises:
        UserError: it is missing, of another size, or holds what is no probability.
    """
    try:
        values, size = np.fromfile(file, np.float32), file.stat().st_size
    except OSError as error:
        raise UserError(f"{key}: cannot read {file}: {error.strerror}") from None
    if size != 4 * height * width:
        raise UserError(f"{key}: {file} has {size} bytes, and its image {width}x{height} pixels of 4 bytes each")
    if not (values.min() >= 0 and values.max() <= 1 + ROUNDING):
        raise UserError(f"{key}: {file} holds values that are no probabilities")
    return values.reshape(height, width)
