"""Road masks: read, surveyed, and refused if they mean nothing."""

import cv2
import numpy as np
import pytest

from dlinknet.data.class_table import table_of
from dlinknet.data.masks import Marks
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError


def road(*values):
    """Return the marks of a road mask with these grey values."""
    labels = np.zeros(256, np.int64)
    for value in values:
        labels[int(value >= 128)] += 1
    return Marks(labels, largest=max(values))


def test_a_pixel_is_road_from_128_on(tmp_path):
    grey = np.array([[0, 1, 127], [128, 200, 255]], np.uint8)
    cv2.imwrite(str(tmp_path / "m.png"), grey)
    labels = ROADS.read(tmp_path / "m.png")
    assert labels.dtype == np.uint8 and labels.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert ROADS.written_mask(labels).tolist() == [[0, 0, 0], [255, 255, 255]]
    with pytest.raises(UserError, match="gone.png"):
        ROADS.read(tmp_path / "gone.png")


def test_a_mask_is_surveyed_as_it_is_read(tmp_path):
    grey = np.array([[0, 127, 128, 255], [1, 1, 1, 1]], np.uint8)
    cv2.imwrite(str(tmp_path / "m.png"), grey)
    found = ROADS.survey(tmp_path / "m.png")
    assert found.labels[:2].tolist() == [6, 2] and found.labels.sum() == 8
    assert found.largest == 255 and not found.alpha


def test_a_network_has_one_map_of_road():
    assert ROADS.outputs == 1 and ROADS.map_names == ("road",) and ROADS.outside == 0
    assert ROADS.names == ("background", "road") and table_of(ROADS) is None


@pytest.mark.parametrize(
    "marks, words",
    [
        (
            [road(0, 1), road(0, 1)],
            "no mask marks any road: road must be 255 .at least 128., "
            "the largest value in these masks is 1",
        ),
        ([road(0, 100), road(0)], ".*the largest value in these masks is 100"),
        (
            [road(0, 1), road(0, 255), road(1)],
            "2 masks hold 0 and 1 only .m0, m2., in which nothing is road",
        ),
        ([road(0, 1), road(0, 255)], "1 mask holds 0 and 1 only .m0."),
    ],
)
def test_masks_that_mean_nothing_are_refused(marks, words):
    with pytest.raises(UserError, match=f"masks: {words}"):
        ROADS.refuse_meaningless({f"m{n}": each for n, each in enumerate(marks)}, "masks")


@pytest.mark.parametrize(
    "marks, words",
    [
        ([road(0), road(0, 0)], "all 2 masks are black"),
        ([road(255), road(255)], "every pixel of all 2 masks is road"),
    ],
)
def test_a_training_set_needs_road_and_background(marks, words):
    with pytest.raises(UserError, match=f".*{words}"):
        ROADS.refuse_untrainable(marks, "masks")
    ROADS.refuse_untrainable([*marks, road(0, 255)], "masks")


def test_masks_that_mean_something_pass():
    ROADS.refuse_meaningless({"a": road(0, 255), "b": road(0), "c": road(0, 100)}, "f")


def test_what_a_person_should_know_is_said():
    assert ROADS.findings([road(0, 255), road(0, 100), road(255, 255)], "masks") == [
        "masks: 1 mark no road, though they hold values from 1 to 127 (road is from 128 on)",
        "masks: 1 are road all over",
    ]
    assert ROADS.findings([road(0, 255)], "masks") == []
