"""Augmentations: pure functions of an rng, for image and mask together.

They are right where the model zoo's are wrong.
"""

import cv2
import numpy as np
import pytest

from dlinknet.data.augment import (
    STREET,
    augment,
    flip_and_turn,
    hue_saturation_value,
    random_window,
    shift_scale_aspect,
)


class Drawn:
    """An rng with prepared draws.

    random(), uniform() and integers() return the next value of a list.
    """

    def __init__(self, *values):
        self.values = list(values)

    def random(self, count=None):
        return (
            self.values.pop(0)
            if count is None
            else np.array([self.values.pop(0) for _ in range(count)])
        )

    def uniform(self, low, high):
        value = self.values.pop(0)
        assert low <= value <= high
        return value

    def integers(self, low, high=None):
        return self.values.pop(0)


def scene(height=48, width=48):
    """Return an image whose blue channel is the mask, so that both can be compared."""
    rng = np.random.default_rng(0)
    mask = (cv2.GaussianBlur(rng.random((height, width)), (0, 0), 4) > 0.5).astype(np.uint8)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[..., 0] = mask * 255
    return image, mask


def test_hue_wraps_at_180():
    hsv = np.array([[[170, 200, 100], [10, 200, 100], [179, 255, 255]]], np.uint8)
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    moved = hue_saturation_value(Drawn(0.0, 20, 0, 0), image)
    expected = cv2.cvtColor(
        np.array([[[10, 200, 100], [30, 200, 100], [19, 255, 255]]], np.uint8), cv2.COLOR_HSV2BGR
    )
    assert np.abs(moved.astype(int) - expected).max() <= 6  # OpenCV's hue has steps of two degrees
    back = hue_saturation_value(Drawn(0.0, -20, 0, 0), image)
    expected = cv2.cvtColor(
        np.array([[[150, 200, 100], [170, 200, 100], [159, 255, 255]]], np.uint8), cv2.COLOR_HSV2BGR
    )
    assert np.abs(back.astype(int) - expected).max() <= 6


def test_saturation_and_value_stop_at_their_ends():
    white, black = np.full((1, 1, 3), 250, np.uint8), np.full((1, 1, 3), 5, np.uint8)
    assert hue_saturation_value(Drawn(0.0, 0, 0, 15), white).tolist() == [[[255, 255, 255]]]
    assert hue_saturation_value(Drawn(0.0, 0, -5, -15), black).tolist() == [[[0, 0, 0]]]
    assert hue_saturation_value(Drawn(0.7), white) is white


def test_light_multiplies_the_value():
    grey = np.full((1, 1, 3), 100, np.uint8)
    for draw, expected in ((1, 180), (-1, 56), (0, 100)):  # times 1.8, by 1.8
        assert (
            np.abs(
                hue_saturation_value(Drawn(0.0, 0, 0, 0, draw), grey, STREET).astype(int) - expected
            ).max()
            <= 1
        )
    assert hue_saturation_value(
        Drawn(0.0, 0, 0, 15, 1), np.full((1, 1, 3), 200, np.uint8), STREET
    ).tolist() == [[[255, 255, 255]]]


def test_only_streets_are_lit_otherwise():
    grey, mask = np.full((32, 32, 3), 100, np.uint8), np.zeros((32, 32), np.uint8)
    street, full = Drawn(0.9, 0.0, 0, 0, 0, 1, 0.9), Drawn(0.9, 0.0, 0, 0, 0, 0.9, 0.9, 0.9)
    assert np.abs(augment(street, grey, mask, "street")[0].astype(int) - 180).max() <= 1
    assert np.array_equal(augment(full, grey, mask, "full")[0], grey)
    assert street.values == full.values == [], "each draws what is written down and no more"


def test_shift_moves_by_whole_pixels_and_leaves_black():
    image, mask = scene(40, 40)
    moved, moved_mask = shift_scale_aspect(
        Drawn(0.0, 0.0, 0.0, 0.1, -0.05), image, mask, (0, 0, 40, 40)
    )
    # dx = 4 to the right, dy = -2 upwards
    assert np.array_equal(moved[:38, 4:], image[2:, :36]) and np.array_equal(
        moved_mask[:38, 4:], mask[2:, :36]
    )
    assert not moved[:, :4].any() and not moved[38:].any() and not moved_mask[:, :4].any()


def test_scale_and_aspect_stretch_about_the_centre():
    image = np.zeros((101, 101, 3), np.uint8)
    image[40:61, 40:61] = 255  # a square of 21 about (50, 50)
    _, mask = shift_scale_aspect(
        Drawn(0.0, 0.1, 0.1, 0.0, 0.0),
        image,
        (image[..., 0] > 0).astype(np.uint8),
        (0, 0, 101, 101),
    )
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    # 21 * 1.1 * sqrt(1.1) = 24.2 wide and 21 * 1.1 / sqrt(1.1) = 22.0 high
    assert len(columns) in (24, 25) and len(rows) in (22, 23)
    assert abs(columns.mean() - 50) <= 0.5 and abs(rows.mean() - 50) <= 0.5


def test_a_window_is_cut_out_where_it_lies():
    image, mask = scene(60, 80)
    cut, cut_mask = shift_scale_aspect(Drawn(0.9), image, mask, (10, 20, 32, 32))
    assert np.array_equal(cut, image[10:42, 20:52]) and np.array_equal(cut_mask, mask[10:42, 20:52])
    # A moved window brings in what lies beside it, not black.
    moved, _ = shift_scale_aspect(Drawn(0.0, 0.0, 0.0, 0.1, 0.0), image, mask, (10, 20, 32, 32))
    assert np.array_equal(moved, image[10:42, 17:49])


@pytest.mark.parametrize(
    "draws, expected",
    [
        ((0.1, 0.9, 0.9), lambda a: a[:, ::-1]),
        ((0.9, 0.1, 0.9), lambda a: a[::-1]),
        ((0.9, 0.9, 0.1), np.rot90),
        ((0.1, 0.1, 0.1), lambda a: np.rot90(a[::-1, ::-1])),
        ((0.9, 0.9, 0.9), lambda a: a),
    ],
)
def test_flips_and_quarter_turns(draws, expected):
    image, mask = scene()
    turned, turned_mask = flip_and_turn(Drawn(*draws), image, mask)
    assert np.array_equal(turned, expected(image)) and np.array_equal(turned_mask, expected(mask))


def test_only_squares_are_turned():
    image, mask = scene(32, 64)
    assert flip_and_turn(Drawn(0.9, 0.9, 0.1), image, mask)[0].shape == (32, 64, 3)


def test_windows_reach_every_place_and_no_further():
    rng = np.random.default_rng(0)
    windows = {random_window(rng, 34, 33, (32, 32)) for _ in range(200)}
    assert windows == {(top, left, 32, 32) for top in range(3) for left in range(2)}


@pytest.mark.parametrize("level", ["full", "flips", "none"])
@pytest.mark.parametrize("size", [0, 32])
def test_image_and_mask_move_together_and_the_rng_decides_all(level, size):
    image, mask = scene(48, 48)
    for seed in range(40):
        first = augment(
            np.random.default_rng(seed),
            image,
            mask,
            "flips" if level == "full" else level,
            crop=(size, size) if size else None,
        )
        assert np.array_equal(first[0][..., 0] > 127, first[1] > 0)
        again = [
            augment(
                np.random.default_rng(seed), image, mask, level, crop=(size, size) if size else None
            )
            for _ in range(2)
        ]
        assert np.array_equal(again[0][0], again[1][0]) and np.array_equal(again[0][1], again[1][1])
        assert again[0][0].shape == (size or 48, size or 48, 3) and set(np.unique(again[0][1])) <= {
            0,
            1,
        }


def test_full_augmentation_keeps_roads_on_roads():
    image = np.zeros((96, 96, 3), np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[30:60], image[30:60] = 1, 255
    for seed in range(30):
        moved, moved_mask = augment(np.random.default_rng(seed), image, mask, "full", crop=(64, 64))
        assert (
            (moved.max(2) > 127) != (moved_mask > 0)
        ).mean() < 0.02  # but for half pixels on the edges


def test_nothing_is_changed_in_place():
    image, mask = scene()
    before = image.copy(), mask.copy()
    for seed in range(20):
        augment(np.random.default_rng(seed), image, mask, "full")
    assert np.array_equal(image, before[0]) and np.array_equal(mask, before[1])


def test_streets_are_only_mirrored_and_what_lies_outside_does_not_count():
    image, mask = np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.uint8)
    image[:24], mask[:24] = 255, 2
    sides, outside = set(), 0
    for seed in range(40):
        moved, labels = augment(np.random.default_rng(seed), image, mask, "street", outside=255)
        assert moved.shape == (48, 64, 3) and set(np.unique(labels)) <= {1, 2, 255}
        known = labels != 255
        assert ((moved.max(2) > 127) != (labels == 2))[known].mean() < 0.05
        rows = np.where(labels == 2)[0], np.where(labels == 1)[0]
        assert not rows[0].size or not rows[1].size or rows[0].mean() < rows[1].mean(), (
            "the sky stays above"
        )
        outside += (~known).any()
    assert 5 < outside < 35
    edge = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    for seed in range(20):
        moved, labels = augment(
            np.random.default_rng(seed), edge[..., None].repeat(3, 2), edge, "mirror"
        )
        assert np.array_equal(moved[..., 0], labels)
        sides.add(int(labels[0, 0]))
    assert sides == {int(edge[0, 0]), int(edge[0, -1])}
