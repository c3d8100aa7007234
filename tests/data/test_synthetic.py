"""Drawn scenes: repeatable, with roads of a plausible share that can be seen."""

import cv2
import numpy as np

from dlinknet.data.pairs import read_pairs
from dlinknet.data.synthetic import draw_pairs, draw_scene


def test_a_scene_is_a_function_of_its_rng():
    image, mask = draw_scene(np.random.default_rng(3), 96)
    assert image.shape == (96, 96, 3) and image.dtype == np.uint8
    assert mask.shape == (96, 96) and set(np.unique(mask)) == {0, 255}
    again = draw_scene(np.random.default_rng(3), 96)
    assert np.array_equal(image, again[0]) and np.array_equal(mask, again[1])
    assert not np.array_equal(image, draw_scene(np.random.default_rng(4), 96)[0])


def test_roads_take_a_plausible_share_and_are_less_green_than_the_land(tmp_path):
    draw_pairs(range(6), tmp_path, tmp_path, 128, seed=1)
    pairs = read_pairs(str(tmp_path), str(tmp_path))
    assert len(pairs) == 6
    shares, greenness = [], []
    for pair in pairs:
        image, mask = cv2.imread(str(pair.image)).astype(float), cv2.imread(str(pair.mask), 0) > 0
        shares.append(mask.mean())
        green = image[..., 1] - (image[..., 0] + image[..., 2]) / 2
        greenness.append(green[~mask].mean() - green[mask].mean())
    assert 0.03 < np.mean(shares) < 0.3 and np.mean(greenness) > 3


def test_a_scene_does_not_depend_on_what_else_is_drawn(tmp_path):
    draw_pairs(range(3), tmp_path / "a", tmp_path / "a", 64, seed=1)
    draw_pairs(range(2, 3), tmp_path / "b", tmp_path / "c", 64, seed=1)
    assert (tmp_path / "a" / "scene002_sat.jpg").read_bytes() == (
        tmp_path / "b" / "scene002_sat.jpg"
    ).read_bytes()
    assert (tmp_path / "a" / "scene002_mask.png").read_bytes() == (
        tmp_path / "c" / "scene002_mask.png"
    ).read_bytes()
