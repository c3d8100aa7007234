"""How often classes are, by hand."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from dlinknet.data.class_table import ClassTable
from dlinknet.data.class_weights import frequencies
from dlinknet.data.classes import Class
from dlinknet.data.pairs import Pair
from dlinknet.errors import UserError

CLASSES = ClassTable(
    (Class("a", (0, 0, 0), (0,)), Class("b", (1, 0, 0), (1,)), Class("c", (2, 0, 0), (2,))),
    Class("v", (3, 0, 0), (9,)),
)


@pytest.fixture
def pairs(tmp_path):
    import cv2

    masks = [[[0, 0, 0, 1]], [[0, 0, 0, 1, 9, 9]]]
    for number, mask in enumerate(masks):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.array(mask, np.uint8))
    return [Pair(str(number), tmp_path / "none", tmp_path / f"{number}.png") for number in range(2)]


def test_weights_by_hand(pairs, tmp_path):
    found = frequencies(pairs, CLASSES)
    assert found.pixels.tolist() == [6, 2, 0] and found.void == 2
    assert found.weights == pytest.approx(
        [1 / math.log(0.75 + 1.02), 1 / math.log(0.25 + 1.02), 1 / math.log(1.02)]
    )
    counted = frequencies(pairs, replace(CLASSES, counted=True))
    assert counted.pixels.tolist() == [6, 2, 0, 2] and counted.void == 0


def test_void_alone_is_refused(pairs, tmp_path):
    void = replace(
        CLASSES,
        listed=tuple(
            replace(each, values=(50 + number,)) for number, each in enumerate(CLASSES.listed)
        ),
        void=replace(CLASSES.void, values=(0, 1, 9)),
    )
    with pytest.raises(UserError, match="every pixel of the training masks is void"):
        frequencies(pairs, void, tmp_path / "output")


@pytest.mark.parametrize("earlier", [None, "{", "[" * 5000, '{"pixels": [9e999], "of": 1}'])
def test_the_file_for_people_is_made_each_time(pairs, tmp_path, earlier):
    folder = tmp_path / "output"
    if earlier is not None:
        folder.mkdir()
        (folder / "class_weights.json").write_text(earlier)
    assert frequencies(pairs, CLASSES).void == 2 and not (folder / "other").exists()
    found = frequencies(pairs, CLASSES, folder)
    kept = json.loads((folder / "class_weights.json").read_text())
    assert kept["classes"] == ["a", "b", "c"] and kept["pixels"] == [6, 2, 0] and kept["void"] == 2
    assert kept["weights"] == pytest.approx(list(found.weights), abs=1e-6)


def test_what_the_check_counted_is_not_counted_again(pairs, tmp_path):
    counted = [
        replace(pair, mask=tmp_path / "gone.png", marks=CLASSES.survey(pair.mask)) for pair in pairs
    ]
    assert frequencies(counted, CLASSES, tmp_path).pixels.tolist() == [6, 2, 0]
