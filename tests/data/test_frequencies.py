"""How often classes are, by hand; what was counted is kept and counted anew where the masks are others."""
import json
import math
import os
from dataclasses import replace

import numpy as np
import pytest

from dlinknet.data import frequencies
from dlinknet.data.classes import Class, Classes
from dlinknet.data.pairs import Pair
from dlinknet.errors import UserError

CLASSES = Classes((Class("a", (0, 0, 0), (0,)), Class("b", (1, 0, 0), (1,)), Class("c", (2, 0, 0), (2,))), Class("v", (3, 0, 0), (9,)))


@pytest.fixture
def pairs(tmp_path):
    import cv2
    masks = [[[0, 0, 0, 1]], [[0, 0, 0, 1, 9, 9]]]
    for number, mask in enumerate(masks):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.array(mask, np.uint8))
    return [Pair(str(number), tmp_path / "none", tmp_path / f"{number}.png") for number in range(2)]


def test_weights_by_hand(pairs):
    found = frequencies.count(pairs, CLASSES)
    assert found.pixels.tolist() == [6, 2, 0] and found.void == 2 and found.missing == ["c"]
    assert found.weights == pytest.approx([1 / math.log(0.75 + 1.02), 1 / math.log(0.25 + 1.02), 1 / math.log(1.02)])
    counted = frequencies.count(pairs, replace(CLASSES, counted=True))
    assert counted.pixels.tolist() == [6, 2, 0, 2] and counted.void == 0


def test_what_is_missing_is_said_each_time_and_void_alone_is_refused(pairs, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(frequencies.LOG, "info", lambda text, *words: said.append(text % words))
    for writes in (False, True, True):
        frequencies.frequencies(pairs, CLASSES, tmp_path / "output", writes)
    assert said == ["no pixel of the training masks is c"] * 2, "by the process that writes"
    void = replace(CLASSES, listed=tuple(replace(each, values=(50 + number,)) for number, each in enumerate(CLASSES.listed)),
                   void=replace(CLASSES.void, values=(0, 1, 9)))
    with pytest.raises(UserError, match="class_weights: every pixel of the training masks is void"):
        frequencies.frequencies(pairs, void, tmp_path / "output")


def test_what_was_counted_is_kept_until_masks_or_classes_change(pairs, tmp_path, monkeypatch):
    folder = tmp_path / "output"
    assert frequencies.frequencies(pairs, CLASSES, folder, writes=False).void == 2 and not folder.exists()
    first = frequencies.frequencies(pairs, CLASSES, folder)
    kept = json.loads((folder / "class_weights.json").read_text())
    assert kept["classes"] == ["a", "b", "c"] and kept["pixels"] == [6, 2, 0] and kept["void"] == 2
    assert kept["weights"] == pytest.approx(list(first.weights), abs=1e-6)
    calls = []
    count = frequencies.count
    monkeypatch.setattr(frequencies, "count", lambda *args: calls.append(args) or count(*args))
    again = frequencies.frequencies(pairs, CLASSES, folder)
    assert np.array_equal(again.pixels, first.pixels) and again.void == 2 and not calls
    assert frequencies.frequencies(pairs[:1], CLASSES, folder).pixels.tolist() == [3, 1, 0] and len(calls) == 1
    (folder / "class_weights.json").write_text("{")
    assert np.array_equal(frequencies.frequencies(pairs, CLASSES, folder).pixels, first.pixels) and len(calls) == 2
    os.utime(pairs[0].mask, ns=(1, 1))          # another mask of the same size
    assert np.array_equal(frequencies.frequencies(pairs, CLASSES, folder).pixels, first.pixels) and len(calls) == 3
