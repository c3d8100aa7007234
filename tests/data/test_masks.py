"""Masks with an alpha channel: decoded once, and refused if the drawing lies there."""

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from dlinknet.data.masks import Marks, total
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError
from tests.data.tables import COLOURS


def mask(folder, pixels, mode=None, name="a.png"):
    Image.fromarray(np.array(pixels, np.uint8), mode).save(folder / name)
    return folder / name


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("meaning", [ROADS, COLOURS])
def test_a_drawing_in_the_alpha_channel_is_refused(tmp_path, colour, mode, meaning):
    pixels = np.full((4, 4, len(mode)), colour, np.uint8)
    pixels[..., -1] = 0
    pixels[1, :, -1] = 255
    with pytest.raises(
        UserError, match="a.png: one colour all over, and a drawing in its alpha channel"
    ):
        meaning.survey(mask(tmp_path, pixels, mode))


def test_a_drawing_in_colour_and_alpha_is_read_by_its_colour_and_named(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[1] = 255
    found = ROADS.survey(mask(tmp_path, pixels, "RGBA"))
    assert found.alpha and found.labels[1] == 4
    assert ROADS.findings([found], "training masks") == [
        "training masks: 1 have an alpha channel that is not the same everywhere; it is not read"
    ]


def test_a_transparent_palette_entry_is_alpha_too(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8), "P")
    image.putpalette([255, 255, 255, 255, 255, 255])
    image.save(tmp_path / "a.png", transparency=1)
    with pytest.raises(UserError, match="a drawing in its alpha channel"):
        ROADS.survey(tmp_path / "a.png")


@pytest.mark.parametrize("meaning", [ROADS, COLOURS])
def test_a_mask_with_alpha_is_opened_and_decoded_once(tmp_path, monkeypatch, meaning):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[1] = 128, 64, 128, 255
    file = mask(tmp_path, pixels, "RGBA")
    opened, load, decoded = [], Image.open, []
    monkeypatch.setattr(
        Image, "open", lambda *words, **named: opened.append(1) or load(*words, **named)
    )
    decode = PngImageFile.load_prepare
    monkeypatch.setattr(
        PngImageFile, "load_prepare", lambda image: decoded.append(1) or decode(image)
    )
    assert meaning.survey(file).alpha
    assert opened == decoded == [1]


def test_marks_are_added():
    one, other = np.zeros((2, 256), np.int64)
    one[3], other[3], other[255] = 1, 2, 4
    labels, unknown = total([Marks(one, unknown=5), Marks(other, unknown=6)])
    assert labels[[3, 255]].tolist() == [3, 4] and labels.sum() == 7 and unknown == 11
