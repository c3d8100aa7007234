"""Masks that say nothing, or not what they seem to, are refused or named before the first step."""

import numpy as np
import pytest
from PIL import Image

from dlinknet.data.classes import ROADS, parse_classes
from dlinknet.data.masks import (
    Marks,
    findings,
    refuse_meaningless,
    refuse_untrainable,
    survey,
)
from dlinknet.errors import UserError

COLOURS = parse_classes(
    {
        "classes": [
            {"name": "ground", "colour": [0, 0, 0], "values": [0]},
            {"name": "road", "colour": [128, 64, 128], "values": [1]},
            {"name": "tree", "colour": [0, 128, 0], "values": [2]},
        ],
        "void": {"name": "void", "colour": [255, 255, 255], "values": [255]},
    }
)


def mask(folder, pixels, mode=None, name="a.png"):
    Image.fromarray(np.array(pixels, np.uint8), mode).save(folder / name)
    return folder / name


def road(*values):
    """The marks of a road mask with these grey values."""
    labels = np.zeros(256, np.int64)
    for value in values:
        labels[int(value >= 128)] += 1
    return Marks(labels, largest=max(values))


def classes(unknown=0, **pixels):
    labels = np.zeros(256, np.int64)
    for name, count in pixels.items():
        labels[255 if name == "void" else COLOURS.names.index(name)] = count
    return Marks(labels, unknown)


def test_a_road_mask_is_surveyed_as_it_is_read(tmp_path):
    found = survey(mask(tmp_path, [[0, 127, 128, 255], [1, 1, 1, 1]]), ROADS)
    assert (
        found.labels[:2].tolist() == [6, 2]
        and found.labels.sum() == 8
        and found.largest == 255
        and not found.alpha
    )


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
        survey(mask(tmp_path, pixels, mode), meaning)


def test_a_drawing_in_colour_and_alpha_is_read_by_its_colour_and_named(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[1] = 255
    found = survey(mask(tmp_path, pixels, "RGBA"), ROADS)
    assert found.alpha and found.labels[1] == 4
    assert findings([found], ROADS, "training masks") == [
        "training masks: 1 have an alpha channel that is not the same everywhere; it is not read"
    ]


def test_a_transparent_palette_entry_is_alpha_too(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8), "P")
    image.putpalette([255, 255, 255, 255, 255, 255])
    image.save(tmp_path / "a.png", transparency=1)
    with pytest.raises(UserError, match="a drawing in its alpha channel"):
        survey(tmp_path / "a.png", ROADS)


def test_unknown_colours_are_counted(tmp_path):
    found = survey(
        mask(tmp_path, [[[0, 0, 0], [128, 64, 128], [127, 64, 128], [255, 255, 255]]]), COLOURS
    )
    assert found.unknown == 1 and found.labels[[0, 1, 2, 255]].tolist() == [1, 1, 0, 2]


@pytest.mark.parametrize(
    "marks, words",
    [
        (
            [road(0, 1), road(0, 1)],
            "no mask marks any road: road must be 255 .at least 128., the largest value in these masks is 1",
        ),
        ([road(0, 100), road(0)], ".*the largest value in these masks is 100"),
        (
            [road(0, 1), road(0, 255), road(1)],
            "2 masks hold 0 and 1 only .m0, m2., in which nothing is road",
        ),
        ([road(0, 1), road(0, 255)], "1 mask holds 0 and 1 only .m0."),
    ],
)
def test_road_masks_that_mean_nothing_are_refused(marks, words):
    with pytest.raises(UserError, match=f"masks: {words}"):
        refuse_meaningless({f"m{n}": each for n, each in enumerate(marks)}, ROADS, "masks")


@pytest.mark.parametrize(
    "marks, words",
    [
        (
            [classes(unknown=51, ground=49, void=51)],
            "51.0 % of the masks' pixels have a colour that is of no class",
        ),
        ([classes(void=10)], "every pixel of every mask is void"),
    ],
)
def test_class_masks_that_mean_nothing_are_refused(marks, words):
    with pytest.raises(UserError, match=words):
        refuse_meaningless({"m": each for each in marks}, COLOURS, "masks")


def test_masks_that_mean_something_pass():
    refuse_meaningless({"a": road(0, 255), "b": road(0), "c": road(0, 100)}, ROADS, "f")
    refuse_meaningless({"a": classes(unknown=50, ground=50, void=50)}, COLOURS, "f")


@pytest.mark.parametrize(
    "marks, words",
    [
        ([road(0), road(0, 0)], "all 2 masks are black"),
        ([road(255), road(255)], "every pixel of all 2 masks is road"),
    ],
)
def test_a_training_set_needs_road_and_background(marks, words):
    with pytest.raises(UserError, match=f".*{words}"):
        refuse_untrainable(marks, ROADS, "masks")
    refuse_untrainable([*marks, road(0, 255)], ROADS, "masks")
    refuse_untrainable([classes(void=4)], COLOURS, "masks")


def test_what_a_person_should_know_is_said():
    assert findings([road(0, 255), road(0, 100), road(255, 255)], ROADS, "masks") == [
        "masks: 1 mark no road, though they hold values from 1 to 127 (road is from 128 on)",
        "masks: 1 are road all over",
    ]
    assert findings(
        [classes(unknown=20, ground=60, void=40), classes(tree=100)], COLOURS, "masks"
    ) == [
        "masks: 20.0 % of the pixels are void, 10.0 % because their colour is of no class",
        "masks: no pixel is road",
    ]
    assert (
        findings([road(0, 255)], ROADS, "masks")
        == findings([classes(ground=1, road=1, tree=1)], COLOURS, "masks")
        == []
    )
