"""D-LinkNet's augmentations. Each is a pure function of an rng; image and mask move together.

Images are H x W x 3 uint8 BGR, masks H x W uint8. The amounts are those of the authors' code: hue by at most 30 of OpenCV's
180 steps, saturation 5 and value 15 of 255; shift, scale and aspect by at most a tenth; each of these and each flip and
quarter turn with probability 1/2.
"""
from __future__ import annotations

import cv2
import numpy as np

Window = tuple  # (top, left, height, width) in pixels of the image that it is cut from

HUE, SATURATION, VALUE = 30, 5, 15
SHIFT_LIMIT = SCALE_LIMIT = ASPECT_LIMIT = 0.1


def hue_saturation_value(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Moves the hue of all pixels by one amount, round the circle (OpenCV's hue ends at 180), saturation and value too."""
    if rng.random() >= 0.5:
        return image
    hue, saturation, value = (int(rng.integers(-most, most + 1)) for most in (HUE, SATURATION, VALUE))
    levels = np.arange(256)
    table = np.stack([(levels + hue) % 180, np.clip(levels + saturation, 0, 255), np.clip(levels + value, 0, 255)], axis=1)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, table.astype(np.uint8)[None], dst=hsv)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def random_window(rng: np.random.Generator, height: int, width: int, size: tuple[int, int]) -> Window:
    """A window of size (height, width), every place in the image equally likely."""
    return int(rng.integers(height - size[0] + 1)), int(rng.integers(width - size[1] + 1)), *size


def shift_scale_aspect(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, window: Window,
                       outside: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a window out, moved, scaled and stretched about its centre; what lies outside the image is black, in the mask `outside`.

    With scale s and aspect a, a pixel at (x, y) from the centre goes to (s * sqrt(a) * x + dx, s / sqrt(a) * y + dy).
    The image is sampled bilinearly, the mask takes its nearest pixel.
    """
    top, left, height, width = window
    if rng.random() >= 0.5:
        cut = np.s_[top:top + height, left:left + width]
        return image[cut], mask[cut]
    scale = 1 + rng.uniform(-SCALE_LIMIT, SCALE_LIMIT)
    aspect = 1 + rng.uniform(-ASPECT_LIMIT, ASPECT_LIMIT)
    dx = round(rng.uniform(-SHIFT_LIMIT, SHIFT_LIMIT) * width)
    dy = round(rng.uniform(-SHIFT_LIMIT, SHIFT_LIMIT) * height)
    sx, sy = scale * aspect ** 0.5, scale / aspect ** 0.5
    cx, cy = (width - 1) / 2, (height - 1) / 2
    matrix = np.array([[sx, 0, cx + dx - sx * (cx + left)], [0, sy, cy + dy - sy * (cy + top)]])
    return (cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR),
            cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=outside))


def flip_and_turn(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left-right, top-down, and a quarter turn; the turn only of squares, since batches have one shape."""
    left_right, top_down, turn = rng.random(3) < 0.5
    turn = turn and image.shape[0] == image.shape[1]
    if turn:        # a quarter turn to the left is a transposition and a flip top-down, done after the other two
        left_right, top_down = top_down, not left_right
    return tuple(_moved(pixels, turn, left_right, top_down) for pixels in (image, mask))


def _moved(pixels: np.ndarray, transpose: bool, left_right: bool, top_down: bool) -> np.ndarray:
    """Transposes, then flips. OpenCV does in a millisecond what NumPy's strided copies take eight for (1024 x 1024)."""
    if transpose:
        pixels = cv2.transpose(pixels)
    if left_right or top_down:
        pixels = cv2.flip(pixels, -1 if left_right and top_down else int(left_right))
    return pixels


def mirror(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left-right only: streets have a sky above."""
    if rng.random() >= 0.5:
        return image, mask
    return cv2.flip(image, 1), cv2.flip(mask, 1)


def augment(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, level: str,
            crop: tuple[int, int] | None = None, outside: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One training example: a random crop (or the whole image), augmented.

    Args:
        level: 'full', 'flips', 'street', 'mirror' or 'none', as the setting `augment` says.
        crop: its (height, width) in pixels.
        outside: what the mask is where the image has been moved away: no road, or a class that does not count.
    """
    height, width = image.shape[:2]
    window = random_window(rng, height, width, crop) if crop else (0, 0, height, width)
    if level in ("full", "street"):
        # The colours come after the crop: fewer pixels to convert.
        image, mask = shift_scale_aspect(rng, image, mask, window, outside)
        image = hue_saturation_value(rng, image)
    else:
        top, left, height, width = window
        image, mask = image[top:top + height, left:left + width], mask[top:top + height, left:left + width]
    if level in ("full", "flips"):
        image, mask = flip_and_turn(rng, image, mask)
    elif level in ("street", "mirror"):
        image, mask = mirror(rng, image, mask)
    return image, mask
