"""Pixels -> network input. The only place with the constants of this step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

STRIDE = 32  # the encoder halves five times, so sides are multiples of 32

INPUT = {"layout": "NCHW", "channels": "BGR", "type": "float32"}


@dataclass(frozen=True)
class Preprocessing:
    """Turn an image into input: resize it if asked for, then x / 255 * scale + shift.

    scale: of all channels. shift: of blue, green and red. resize: the (height, width) in pixels to
    which images are resized first; None leaves them as they are.
    """

    scale: float
    shift: tuple[float, float, float]
    resize: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return scale, shift (one number if the channels share it) and any resize, for files."""
        shift = self.shift[0] if len(set(self.shift)) == 1 else list(self.shift)
        return {
            "scale": self.scale,
            "shift": shift,
            **({"resize": list(self.resize)} if self.resize else {}),
        }

    @property
    def is_supported(self) -> bool:
        """True for one of CHOICES with any `resize`. Networks are trained with no other."""
        return replace(self, resize=None) in CHOICES.values()

    def table(self) -> np.ndarray:
        """Return the input for each of the 256 values, 3 x 256 float32, rounded from float64."""
        return (np.arange(256) / 255 * self.scale + np.array(self.shift)[:, None]).astype(
            np.float32
        )

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) in which the network receives an image of this size."""
        return self.resize or (height, width)


DLINKNET = Preprocessing(3.2, (-1.6, -1.6, -1.6))  # from -1.6 (black) to 1.6 (white)
# By name, as in settings. ImageNet's means are 0.485 of red, 0.456 of green, 0.406 of blue.
CHOICES = {"dlinknet": DLINKNET, "imagenet_mean": Preprocessing(1.0, (-0.406, -0.456, -0.485))}


def to_input(
    image: np.ndarray, out: np.ndarray | None = None, preprocessing: Preprocessing = DLINKNET
) -> np.ndarray:
    """Return 3 x H x W float32 of H x W x 3 uint8 BGR: each value is x / 255 * scale + shift.

    Args:
        out: receives the values if it is given.
        preprocessing: scale and shift. `resize` is not applied.
    """
    # A look-up in a table gives the same values as float64 arithmetic, but faster.
    planes = np.empty((3, *image.shape[:2]), np.float32) if out is None else out
    for plane, channel, values in zip(planes, cv2.split(image), _table(preprocessing)):
        cv2.LUT(channel, values, dst=plane)
    return planes


@lru_cache(maxsize=8)
def _table(preprocessing: Preprocessing) -> np.ndarray:
    return preprocessing.table()


def resized(pixels: np.ndarray, size: tuple[int, int], labels: bool = False) -> np.ndarray:
    """Return H x W (x 3) uint8 at another (height, width).

    A pixel of a smaller image is the mean of the pixels that it covers. A larger image is
    interpolated bilinearly. Labels are those of the nearest pixel.

    Args:
        labels: True if the pixels are labels.
    """
    if pixels.shape[:2] == size:
        return pixels
    smaller = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    # INTER_NEAREST chooses the pixel to the upper left of the centre, which shifts labels against
    # their image.
    kind = cv2.INTER_NEAREST_EXACT if labels else cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(pixels, size[::-1], interpolation=kind)


def round_up(height: int, width: int) -> tuple[int, int]:
    """Return the smallest multiples of 32 that are not below these sides."""
    return -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE


def pad(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pad H x W (x 3) at the bottom and right by reflection to at least height x width."""
    down, right = max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1])
    if down == right == 0:
        return pixels
    # A side of one pixel has nothing to reflect.
    kind = cv2.BORDER_REFLECT_101 if min(pixels.shape[:2]) > 1 else cv2.BORDER_REPLICATE
    return cv2.copyMakeBorder(pixels, 0, down, 0, right, kind)
