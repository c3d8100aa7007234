"""Pixels where Pillow stores them equal those of Pillow's own conversion to NumPy."""

import gc

import numpy as np
import pytest
from PIL import Image, features

from dlinknet.images.stored import stored

BANDS = {"L": 1, "P": 1, "RGB": 3, "RGBA": 4}
exports = hasattr(Image.Image, "__arrow_c_array__")


def drawn(mode, width, height):
    """Return an image of random values and these values, height x width x bands."""
    values = np.random.default_rng(1).integers(0, 256, (height, width, BANDS[mode]), np.uint8)
    return Image.frombytes(mode, (width, height), values.tobytes()), values


# Pillow pads some rows, and stores more than 16 MB in several blocks.
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 33), (1023, 7), (2600, 2100)], ids=str)
@pytest.mark.parametrize("mode", BANDS)
def test_the_values_are_those_of_the_image(mode, size):
    image, values = drawn(mode, *size)
    pixels = stored(image)
    assert pixels.dtype == np.uint8
    found = pixels.reshape(*values.shape[:2], -1)[..., : BANDS[mode]]
    np.testing.assert_array_equal(found, values)
    if mode == "RGB" and exports:
        assert pixels.shape[2] == (4 if values.size < 12e6 else 3)


def test_the_pixels_outlive_the_image():
    image, values = drawn("L", 640, 480)
    pixels = stored(image)
    image.close()
    del image
    gc.collect()
    others = [drawn("L", 640, 480)[0] for _ in range(5)]  # would take memory that was given back
    for other in others:
        other.paste(0, (0, 0, 640, 480))
    np.testing.assert_array_equal(pixels, values[..., 0])


def test_the_pixels_cannot_be_changed():
    pixels = stored(drawn("L", 4, 4)[0])
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


def test_a_pillow_that_does_not_export_is_served_too(monkeypatch):
    image, values = drawn("RGB", 40, 30)
    monkeypatch.delattr(Image.Image, "__arrow_c_array__", raising=False)
    np.testing.assert_array_equal(stored(image), values)


def test_the_export_is_used_where_pillow_has_it():
    if not exports:
        pytest.skip(f"Pillow {features.version('pil')} does not export; 11.3 and later do")
    image, _ = drawn("RGB", 40, 30)
    assert stored(image).shape == (30, 40, 4)
