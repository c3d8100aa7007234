"""The augmentations of D-LinkNet, and others for street scenes.

Each is a pure function of a random generator, and moves image and mask together. Images are
H x W x 3 uint8 BGR, masks H x W uint8. Colour, place, each flip and the quarter turn change with
probability 1/2 each.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Window = tuple  # (top, left, height, width) in pixels of the image that it is cut from
UPRIGHT = ("street", "mirror")  # levels for scenes with a sky above


@dataclass(frozen=True)
class AugmentationLimits:
    """The largest changes of an example.

    hue: of OpenCV's 180 steps. saturation, value: of 255. light: maximum factor on the HSV value
    (1 is off). shift: fraction of the window. scale, aspect: relative change.
    """

    hue: int
    saturation: int
    value: int
    light: float
    shift: float
    scale: float
    aspect: float


AERIAL = AugmentationLimits(30, 5, 15, 1.0, 0.1, 0.1, 0.1)  # the D-LinkNet authors' code
# Chosen for this project: objects are at all distances and in all light, but trees stay green.
STREET = AugmentationLimits(8, 25, 15, 1.8, 0.1, 0.3, 0.1)


def hue_saturation_value(
    rng: np.random.Generator, image: np.ndarray, limits: AugmentationLimits = AERIAL
) -> np.ndarray:
    """Shift hue, saturation and value of all pixels by one random amount each.

    Hue is a circle of 180 steps, as in OpenCV. The value is first multiplied by light ** u, with u
    drawn from -1 to 1.
    """
    if rng.random() >= 0.5:
        return image
    hue, saturation, value = (
        int(rng.integers(-most, most + 1)) for most in (limits.hue, limits.saturation, limits.value)
    )
    # Draw nothing if light is off: a further draw would change all later draws of the aerial
    # examples, and so the weights of a run.
    light = limits.light ** rng.uniform(-1, 1) if limits.light > 1 else 1.0
    levels = np.arange(256)
    table = np.stack(
        [
            (levels + hue) % 180,
            np.clip(levels + saturation, 0, 255),
            np.clip(levels * light + value, 0, 255),
        ],
        axis=1,
    )
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, table.astype(np.uint8)[None], dst=hsv)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def random_window(
    rng: np.random.Generator, height: int, width: int, size: tuple[int, int]
) -> Window:
    """Return a window of size (height, width); every place in the image is equally likely."""
    return int(rng.integers(height - size[0] + 1)), int(rng.integers(width - size[1] + 1)), *size


def shift_scale_aspect(
    rng: np.random.Generator,
    image: np.ndarray,
    mask: np.ndarray,
    window: Window,
    *,
    outside: int = 0,
    limits: AugmentationLimits = AERIAL,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut out a window, moved, scaled and stretched about its centre.

    With scale s and aspect a, a pixel at (x, y) from the centre moves to
    (s * sqrt(a) * x + dx, s / sqrt(a) * y + dy). The image is sampled bilinearly, the mask at its
    nearest pixel. Pixels from outside the image are black.

    Args:
        outside: the mask's label of such pixels.
        limits: the largest changes.
    """
    top, left, height, width = window
    if rng.random() >= 0.5:
        cut = np.s_[top : top + height, left : left + width]
        return image[cut], mask[cut]
    scale = 1 + rng.uniform(-limits.scale, limits.scale)
    aspect = 1 + rng.uniform(-limits.aspect, limits.aspect)
    dx = round(rng.uniform(-limits.shift, limits.shift) * width)
    dy = round(rng.uniform(-limits.shift, limits.shift) * height)
    sx, sy = scale * aspect**0.5, scale / aspect**0.5
    cx, cy = (width - 1) / 2, (height - 1) / 2
    matrix = np.array([[sx, 0, cx + dx - sx * (cx + left)], [0, sy, cy + dy - sy * (cy + top)]])
    return (
        cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR),
        cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=outside),
    )


def flip_and_turn(
    rng: np.random.Generator, image: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flip left-right and top-down, and turn by a quarter.

    Only squares are turned, because batches have one shape.
    """
    left_right, top_down, turn = rng.random(3) < 0.5
    turn = turn and image.shape[0] == image.shape[1]
    if turn:
        # A quarter turn to the left is a transposition and a flip top-down, after the other two.
        left_right, top_down = top_down, not left_right
    return (
        _moved(image, turn, left_right, top_down),
        _moved(mask, turn, left_right, top_down),
    )


def _moved(pixels: np.ndarray, transpose: bool, left_right: bool, top_down: bool) -> np.ndarray:
    """Transpose, then flip.

    OpenCV needs 1 ms for 1024 x 1024 pixels, NumPy's strided copies 8 ms.
    """
    if transpose:
        pixels = cv2.transpose(pixels)
    if left_right or top_down:
        pixels = cv2.flip(pixels, -1 if left_right and top_down else int(left_right))
    return pixels


def mirror(
    rng: np.random.Generator, image: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flip left-right only, because streets have a sky above."""
    if rng.random() >= 0.5:
        return image, mask
    return cv2.flip(image, 1), cv2.flip(mask, 1)


def augment(
    rng: np.random.Generator,
    image: np.ndarray,
    mask: np.ndarray,
    level: str,
    *,
    crop: tuple[int, int] | None = None,
    outside: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return one training example, (image, mask): a random crop or the whole image, augmented.

    Args:
        level: 'full' (place, colours, flips and turns), 'flips' (flips and turns), 'street' (place,
            colours, light and mirror), 'mirror' or 'none'.
        crop: its (height, width) in pixels; None for the whole image.
        outside: the mask's label outside the moved image: no road, or a class that does not count.
    """
    height, width = image.shape[:2]
    window = random_window(rng, height, width, crop) if crop else (0, 0, height, width)
    if level in ("full", "street"):
        # The colours change after the crop, because fewer pixels are left to convert.
        limits = STREET if level == "street" else AERIAL
        image, mask = shift_scale_aspect(rng, image, mask, window, outside=outside, limits=limits)
        image = hue_saturation_value(rng, image, limits)
    else:
        top, left, height, width = window
        image, mask = (
            image[top : top + height, left : left + width],
            mask[top : top + height, left : left + width],
        )
    if level in ("full", "flips"):
        image, mask = flip_and_turn(rng, image, mask)
    elif level in UPRIGHT:
        image, mask = mirror(rng, image, mask)
    return image, mask
