"""The images for the comparison of an exported model, and the limit for its difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlinknet.data.preprocess import pad
from dlinknet.data.synthetic import draw_scene
from dlinknet.images.read import read_image

LIMIT = 1e-4  # largest accepted difference between two probabilities in a range of 0 to 1
LEAST_RANGE = 0.01  # a smaller range counts as this one, because float32 has 7 digits
SEED = 1  # of the drawn scene


def comparison_pixels(file: str, size: tuple[int, int], batch: int) -> np.ndarray:
    """Return the images for the comparison, batch x H x W x 3 uint8 BGR.

    Args:
        file: an image, which is cropped, or padded by reflection, to `size`; empty for a drawn
            scene.
        size: (height, width) in pixels.
        batch: the number of images; every second one is mirrored.

    Raises:
        InputError: the image cannot be read.
    """
    height, width = size
    image = (
        read_image(Path(file)) if file else draw_scene(np.random.default_rng(SEED), max(size))[0]
    )
    pixels = pad(image, height, width)[:height, :width]
    return np.stack([pixels[:, ::-1] if number % 2 else pixels for number in range(batch)])


def accepted_difference(spread: float) -> float:
    """Return the largest accepted difference between two probabilities.

    It shrinks with the range of the probabilities: an untrained network gives nearly the same
    probability everywhere, and a fixed limit would accept any export of it.

    Args:
        spread: the highest minus the lowest probability, 0 to 1.
    """
    return LIMIT * min(1.0, max(spread, LEAST_RANGE))


def largest_difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Return the largest difference of two lists of probabilities.

    It is infinite if shapes differ or a probability is NaN.
    """
    if any(a.shape != b.shape for a, b in zip(found, expected)):
        return float("inf")
    largest = np.max([np.abs(a.astype(np.float64) - b).max() for a, b in zip(found, expected)])
    return float(largest) if np.isfinite(largest) else float("inf")
