"""How often classes are, by hand; what was counted is kept and counted anew where the masks are others."""
import json
import math

import numpy as np
import pytest

from dlinknet.data import frequencies
from dlinknet.data.classes import IGNORED, Class, Classes
from dlinknet.data.pairs import Pair

CLASSES = Classes((Class("a", (0, 0, 0), (0,)), Class("b", (1, 0, 0), (1,)), Class("c", (2, 0, 0), (2,))), Class("v", (3, 0, 0), (9,)))


@pytest.fixture
def pairs(tmp_path):
    import cv2
    masks = [[[0, 0, 0, 1]], [[0, 0, 0, 1, 9, 9]]]
    for number, mask in enumerate(masks):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.array(mask, np.uint8))
    return [Pair(str(number), tmp_path / "none", tmp_path / f"{number}.png") for number in range(2)]


def test_weights_by_hand(pairs):
    counts = frequencies.count_labels(pairs, CLASSES)
    assert counts.tolist() == [6, 2, 0]
    assert frequencies.log_weights(counts) == pytest.approx([1 / math.log(0.75 + 1.02), 1 / math.log(0.25 + 1.02), 1 / math.log(1.02)])
    assert IGNORED not in counts


def test_what_was_counted_is_kept_until_masks_or_classes_change(pairs, tmp_path, monkeypatch):
    folder = tmp_path / "output"
    first = frequencies.class_weights(pairs, CLASSES, folder)
    kept = json.loads((folder / "class_weights.json").read_text())
    assert kept["classes"] == ["a", "b", "c"] and kept["pixels"] == [6, 2, 0] and kept["weights"] == pytest.approx(list(first), abs=1e-6)
    calls = []
    count = frequencies.count_labels
    monkeypatch.setattr(frequencies, "count_labels", lambda *args: calls.append(args) or count(*args))
    assert np.array_equal(frequencies.class_weights(pairs, CLASSES, folder), first) and not calls
    assert frequencies.class_weights(pairs[:1], CLASSES, folder)[0] == pytest.approx(1 / math.log(0.75 + 1.02)) and len(calls) == 1
    (folder / "class_weights.json").write_text("{")
    assert np.array_equal(frequencies.class_weights(pairs, CLASSES, folder), first) and len(calls) == 2
