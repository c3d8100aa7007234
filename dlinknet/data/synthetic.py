"""Draw aerial scenes with their road masks: fields, woods, houses, water, many kinds of road.

The quick start and the tests use them. Each scene is a pure function of a random generator. It is
painted at twice its size and then halved, which makes edges as soft as in a photograph. One pixel
stands for about half a metre.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from dlinknet.data import painting, painting_roads
from dlinknet.data.painting import Scene
from dlinknet.images.write import write_image
from dlinknet.threads import usable_cores


def draw_scene(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (image, mask): size x size x 3 uint8 BGR, and size x size uint8 of 0 and 255."""
    scene = Scene(rng, 2 * size)
    painting.paint_fields(scene)
    if rng.random() < 0.45:
        painting.paint_water(scene)
    lines = painting_roads.road_network(scene)
    painting_roads.paint_roads(scene, lines)
    painting_roads.paint_houses(scene, lines)
    painting.paint_woods(scene)
    painting.paint_street_trees(scene, lines)
    return _photograph(scene, size), _halved(scene.road_mask * 255, size)


def draw_pairs(numbers: range, image_folder: Path, mask_folder: Path, size: int, seed: int) -> None:
    """Draw scenes into two folders (which may be one): sceneNNN_sat.jpg and sceneNNN_mask.png.

    Scene N is a function of (seed, N), and of no other scene.

    Args:
        numbers: N of each scene.
        size: its height and width in pixels.
    """

    def draw(number: int) -> None:
        image, mask = draw_scene(np.random.default_rng([seed, number]), size)
        write_image(image_folder / f"scene{number:03d}_sat.jpg", image)
        write_image(mask_folder / f"scene{number:03d}_mask.png", mask)

    image_folder.mkdir(parents=True, exist_ok=True)
    mask_folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(draw, numbers))


def _photograph(scene: Scene, size: int) -> np.ndarray:
    """Return the painting at half its size, with a camera's haze, tint, blur and grain."""
    rng = scene.rng
    picture = _halved(scene.picture, size)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.8))
    grey = picture.mean(axis=2, keepdims=True)
    picture = (grey + (picture - grey) * rng.uniform(0.6, 0.85)) * rng.uniform(0.9, 1.15)
    picture = picture + np.array([6, 2, 0]) * rng.uniform(0, 2)
    picture = (
        picture
        + 5 * painting.noise(rng, size, size // 2, 2)[..., None]
        + rng.normal(0, 3.0, (size, size, 1))
    )
    return np.clip(picture, 0, 255).astype(np.uint8)


def _halved(pixels: np.ndarray, size: int) -> np.ndarray:
    small = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
    return np.where(small >= 128, 255, 0).astype(np.uint8) if pixels.ndim == 2 else small
