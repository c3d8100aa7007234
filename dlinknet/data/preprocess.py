"""Pixels <-> network input. The only home of the constants that turn one into the other."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dlinknet.errors import UserError

SCALE, SHIFT = 3.2, -1.6        # D-LinkNet's input: x / 255 * 3.2 - 1.6, from -1.6 (black) to 1.6 (white)
STRIDE = 32                     # the encoder halves five times, so sides are multiples of 32
ROAD_MINIMUM = 128              # a mask's pixel is road from here on

INPUT = {"layout": "NCHW", "channels": "BGR", "type": "float32", "scale": SCALE, "shift": SHIFT}

_VALUES = (np.arange(256) / 255 * SCALE + SHIFT).astype(np.float32)     # what each of the 256 pixel values becomes


def read_image(file: Path) -> np.ndarray:
    """H x W x 3 uint8, BGR. UserError where the file cannot be decoded."""
    return _read(file, cv2.IMREAD_COLOR)


def read_mask(file: Path) -> np.ndarray:
    """H x W uint8: 1 where the mask's pixel is at least 128 (road), else 0."""
    return (_read(file, cv2.IMREAD_GRAYSCALE) >= ROAD_MINIMUM).astype(np.uint8)


def _read(file: Path, flags: int) -> np.ndarray:
    # cv2.imread would write a warning of its own where the file is gone. A turn in EXIF would part an image from its mask.
    try:
        pixels = cv2.imdecode(np.fromfile(file, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except (OSError, cv2.error) as error:
        raise UserError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'no image'}") from None
    if pixels is None:
        raise UserError(f"{file}: cannot be read as an image")
    return pixels


def to_input(image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """H x W x 3 uint8 BGR -> 3 x H x W float32, each value x / 255 * 3.2 - 1.6; written to `out` where that is given."""
    # A table gives every pixel the value that float64 arithmetic would, at the price of a look-up.
    planes = np.empty((3, *image.shape[:2]), np.float32) if out is None else out
    for plane, channel in zip(planes, cv2.split(image)):
        cv2.LUT(channel, _VALUES, dst=plane)
    return planes


def round_up(height: int, width: int) -> tuple[int, int]:
    """The smallest sides from these on that are multiples of 32."""
    return -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE


def pad(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pads H x W (x 3) at the bottom and the right, by reflection, to at least height x width."""
    down, right = max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1])
    if down == right == 0:
        return pixels
    # A side of one pixel has nothing to reflect.
    kind = cv2.BORDER_REFLECT_101 if min(pixels.shape[:2]) > 1 else cv2.BORDER_REPLICATE
    return cv2.copyMakeBorder(pixels, 0, down, 0, right, kind)


def shared_canvases(sizes: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Size -> padded size (height, width), few distinct ones, because each is a graph to compile.

    Sizes share a canvas as long as it has at most twice the area that the smallest of them needs; images of similar sizes
    therefore share one, and a small image beside a huge one does not pay for it.
    """
    groups: list[tuple[tuple[int, int], list[tuple[int, int]]]] = []
    for size in sorted(sizes, key=lambda s: (-np.prod(round_up(*s)), s)):
        own = round_up(*size)
        for index, (canvas, members) in enumerate(groups):
            joint = max(canvas[0], own[0]), max(canvas[1], own[1])
            # Members come by falling area, so this size is the smallest.
            if joint[0] * joint[1] <= 2 * own[0] * own[1]:
                groups[index] = joint, members + [size]
                break
        else:
            groups.append((own, [size]))
    return {size: canvas for canvas, members in groups for size in members}
