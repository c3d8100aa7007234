"""Pixels <-> network input, against arithmetic written out."""

import cv2
import numpy as np
import pytest

from dlinknet.data.preprocess import (
    CHOICES,
    Preprocessing,
    pad,
    resized,
    round_up,
    to_input,
)
from dlinknet.errors import UserError
from dlinknet.images.read import read_image


def test_input_is_the_formula_of_the_authors():
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    image[..., 1] = 255 - image[..., 0]
    planes = to_input(image)
    assert planes.dtype == np.float32 and planes.shape == (3, 16, 16)
    assert np.array_equal(planes, (image.transpose(2, 0, 1) / 255.0 * 3.2 - 1.6).astype(np.float32))
    assert planes.min() == np.float32(-1.6) and planes.max() == np.float32(1.6)


def test_files_are_read_as_bgr(tmp_path):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 200  # blue
    cv2.imwrite(str(tmp_path / "a.png"), image)
    assert np.array_equal(read_image(tmp_path / "a.png"), image)
    with pytest.raises(UserError, match="gone.png"):
        read_image(tmp_path / "gone.png")


def test_sides_round_up_to_32():
    assert (
        round_up(1, 32) == (32, 32)
        and round_up(33, 400) == (64, 416)
        and round_up(1024, 1500) == (1024, 1504)
    )


def test_padding_reflects_at_the_bottom_and_the_right():
    pixels = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert pad(pixels, 4, 5).tolist() == [
        [1, 2, 3, 2, 1],
        [4, 5, 6, 5, 4],
        [1, 2, 3, 2, 1],
        [4, 5, 6, 5, 4],
    ]
    assert pad(pixels, 2, 3) is pixels
    assert pad(np.ones((1, 1, 3), np.uint8), 32, 32).shape == (32, 32, 3)


def test_imagenets_mean_is_subtracted_from_each_channel():
    """0.485 of red, 0.456 of green, 0.406 of blue, in BGR order.

    Nothing is divided by a deviation.
    """
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    planes = to_input(image, preprocessing=CHOICES["imagenet_mean"])
    assert np.array_equal(
        planes, (image / 255 - [0.406, 0.456, 0.485]).transpose(2, 0, 1).astype(np.float32)
    )


def test_only_the_settings_choices_are_known_and_files_hold_short_forms():
    assert all(
        choice.is_supported
        for choice in (*CHOICES.values(), Preprocessing(1.0, (-0.406, -0.456, -0.485), (48, 64)))
    )
    assert not Preprocessing(2.0, (-1.0, -1.0, -1.0)).is_supported
    assert CHOICES["dlinknet"].to_dict() == {"scale": 3.2, "shift": -1.6}


def test_resizing_makes_no_new_labels():
    labels = np.array([[0, 9], [9, 0]], np.uint8).repeat(8, 0).repeat(8, 1)
    assert resized(labels, (32, 32), labels=True).shape == (32, 32)
    assert set(np.unique(resized(labels, (24, 40), labels=True))) == {0, 9}
    assert resized(labels, (16, 16)) is labels


@pytest.mark.parametrize("size", [48, 80, 160, 320, 384, 480, 720])
def test_resizing_moves_no_label_against_its_image(size):
    """Each label is its own column, 0 to 239.

    On average, a resized pixel's label is the column of its centre in the mask. No size here puts
    a centre between two pixels.
    """
    places = np.arange(240, dtype=np.uint8)[None].repeat(8, 0)
    taken = resized(places, (8, size), labels=True)[0].astype(float)
    centres = (np.arange(size) + 0.5) * 240 / size - 0.5
    assert np.abs(taken - centres).max() <= 0.5 and np.mean(taken - centres) == pytest.approx(
        0, abs=0.01
    )


def test_a_smaller_image_holds_means_and_a_larger_one_is_bilinear():
    assert resized(np.array([[0, 40], [80, 120]], np.uint8), (1, 1)).tolist() == [[60]]
    assert resized(np.array([[0, 100]], np.uint8), (1, 4)).tolist() == [[0, 25, 75, 100]]
