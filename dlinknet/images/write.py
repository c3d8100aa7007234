"""Write pixels as image files."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np

JPEG_SIDE = 65500  # pixels, the longest that OpenCV writes


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write H x W (x 3, BGR) uint8 or uint16 in the format of the path's suffix.

    A JPEG has quality 92, and is made smaller if a side is longer than the format allows.

    Raises:
        OSError: the file cannot be written; the error names it.
    """
    longest = max(pixels.shape[:2])
    if path.suffix == ".jpg" and longest > JPEG_SIDE:
        height, width = (max(1, round(side * JPEG_SIDE / longest)) for side in pixels.shape[:2])
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(path.suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise OSError(
            errno.EFBIG,
            f"{pixels.shape[1]}x{pixels.shape[0]} pixels are too many for {path.suffix}",
            str(path),
        )
    try:
        # cv2.imwrite would only return False if the disk is full.
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
