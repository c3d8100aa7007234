"""How a mask is read: as values or as colours, with 8 bits or fewer.

The expected labels are worked out by hand on a table of three classes.
"""

import numpy as np
import pytest

from dlinknet.data.labels import UNKNOWN, Coding, Unclear, labels_of
from dlinknet.images.decode import Values

BLACK, VIOLET, GREEN, WHITE, OTHER = (
    (0, 0, 0),
    (128, 64, 128),
    (0, 128, 0),
    (255, 255, 255),
    (9, 9, 9),
)
PIXELS = np.array([[0, 1], [2, 0]], np.uint8)


def coding(values=(0, 1, 2), void=255):
    """Return a coding: background black, road violet, tree green, and void, 255, white."""
    table = np.full(256, UNKNOWN, np.uint8)
    for label, value in enumerate(values):
        table[value] = label
    table[void] = 255
    packed = {
        (r << 16) + (g << 8) + b: label
        for label, (r, g, b) in zip((0, 1, 2, 255), (BLACK, VIOLET, GREEN, WHITE))
    }
    return Coding(table, packed)


def palette(*colours):
    return Values(PIXELS, np.array(colours, np.uint8))


@pytest.mark.parametrize(
    "colours, expected, why",
    [
        (
            (VIOLET, GREEN, BLACK),
            [[1, 2], [0, 1]],
            "a palette of the table's colours in another order: an optimizer's",
        ),
        ((VIOLET, GREEN, BLACK, BLACK, BLACK), [[1, 2], [0, 1]], "the same, filled up with black"),
        ((WHITE, BLACK, GREEN), [[255, 0], [2, 255]], "void's colour counts too"),
        ((BLACK, VIOLET, GREEN), [[0, 1], [2, 0]], "colours and indices agree"),
        (
            (OTHER, VIOLET, BLACK),
            [[0, 1], [2, 0]],
            "a colour that the table lacks: an index palette",
        ),
        ((OTHER, OTHER, OTHER), [[0, 1], [2, 0]], "other colours"),
    ],
)
def test_a_palette_of_the_tables_colours_is_read_by_them(colours, expected, why):
    assert labels_of(palette(*colours), coding()).tolist() == expected, why


def test_a_palette_that_may_be_either_is_refused():
    """The table's colours are in use, but other colours too: Pascal VOC's palette, for example."""
    with pytest.raises(Unclear, match=r"index 0 is the colour \(128, 64, 128\)"):
        labels_of(palette(VIOLET, GREEN, BLACK, OTHER), coding())


@pytest.mark.parametrize(
    "bits, pixels, values, expected, why",
    [
        (1, [0, 255], (0, 1, 2), [0, 1], "class 1 as a bit"),
        (1, [0, 255], (0, 7, 255), [0, 2], "an optimizer's 255"),
        (4, [0, 17, 34], (0, 1, 2), [0, 1, 2], "classes counted in 4 bits"),
        (4, [0, 17, 34], (0, 17, 34), [0, 1, 2], "values that are multiples of 17"),
        (2, [0, 85], (0, 1, 2), [0, 1], "2 bits"),
        (8, [0, 2], (0, 1, 2), [0, 2], "8 bits are as they are"),
        (4, [0, 51], (0, 1, 2), [0, UNKNOWN], "neither"),
    ],
)
def test_fewer_bits_are_counted_or_scaled(bits, pixels, values, expected, why):
    assert labels_of(
        Values(np.array([pixels], np.uint8), bits=bits), coding(values, void=99)
    ).tolist() == [expected], why


def test_bits_that_may_be_either_are_refused():
    with pytest.raises(Unclear, match=r"1 bits a pixel, of which both \[0, 1\] and \[0, 255\]"):
        labels_of(Values(np.array([[0, 255]], np.uint8), bits=1), coding(void=255))


def test_colours_of_two_classes_are_refused_where_colours_are_asked_for():
    shared = Coding(coding().values, None, (0, 0, 0))
    assert labels_of(palette(VIOLET, GREEN, BLACK), shared).tolist() == PIXELS.tolist(), (
        "indices say it"
    )
    with pytest.raises(Unclear, match="colour .0, 0, 0. is of two classes"):
        labels_of(Values(np.zeros((2, 2, 3), np.uint8)), shared)
