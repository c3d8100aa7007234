"""Probabilities as the Ascend 310 program writes them. Pure NumPy.

ID_sat.bin is float32, row by row, of the image's own size. Of several classes, one map follows the
other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlinknet.errors import InputError

ENDING = "_sat.bin"
ROUNDING = 1e-4  # blended tiles may add up to a little more than 1


def read_binary(file: Path, height: int, width: int, maps: int = 1) -> np.ndarray:
    """Return the probabilities of one image, height x width float32, 0 to 1.

    Those of several classes are maps x height x width.

    Args:
        maps: the number of maps in the file.

    Raises:
        InputError: the file is missing, has another size, or holds values that are no
            probabilities.
    """
    try:
        size = file.stat().st_size  # compared first: a file of another size may not fit in memory
        if size != 4 * maps * height * width:
            raise InputError(
                file,
                f"has {size} bytes, and its image {width}x{height} pixels of {4 * maps} bytes each",
            )
        values = np.fromfile(file, np.float32)
    except OSError as error:
        raise InputError(file, f": {error.strerror}", before="cannot read") from None
    if not (values.min() >= 0 and values.max() <= 1 + ROUNDING):
        raise InputError(file, "holds values that are no probabilities")
    return values.reshape(height, width) if maps == 1 else values.reshape(maps, height, width)
