"""Figures of a set of several classes, counted by one process and by two."""

import cv2
import numpy as np
import pytest

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Class
from dlinknet.data.pairs import Pair
from dlinknet.devices.ranks import Ranks
from dlinknet.evaluation.scoring import score_all
from dlinknet.inference.predictor import Predictor
from dlinknet.inference.tiles import Tiling

CLASSES = ClassTable(
    (Class("a", (0, 0, 0), (0,)), Class("b", (1, 0, 0), (1,)), Class("c", (2, 0, 0), (2,))),
    Class("v", (3, 0, 0), (9,)),
)


class Blue:
    """An engine: the blue value of a pixel is its class, with probability 1."""

    batch, size, outputs = 1, None, 3

    def prepare(self, pixels):
        return pixels

    def __call__(self, inputs):
        return (inputs[..., 0][:, None] == np.arange(3)[:, None, None]).astype(np.float32)


class OneOfTwo(Ranks):
    """One of two processes. `told` holds the counts of the processes that have finished."""

    def __init__(self, rank, told):
        super().__init__(rank, 2)
        self.told = told

    def _of_all(self, counts):
        self.told.append(counts)
        return np.array(self.told)


def test_two_processes_count_what_one_does(tmp_path):
    rng, pairs = np.random.default_rng(0), []
    for number in range(3):
        image, mask = (
            np.zeros((32, 40, 3), np.uint8),
            rng.choice([0, 1, 2, 9], (32, 40)).astype(np.uint8),
        )
        image[..., 0] = rng.integers(0, 3, (32, 40))
        for name, pixels in (("i", image), ("m", mask)):
            cv2.imwrite(str(tmp_path / f"{name}{number}.png"), pixels)
        pairs.append(
            Pair(str(number), tmp_path / f"i{number}.png", tmp_path / f"m{number}.png", 32, 40)
        )
    whole = score_all(pairs, Predictor(Blue(), Tiling(1024, 256)), 0.5, "test", classes=CLASSES)
    assert 0.1 < whole["mean_iou"] < 0.5 and whole["pixel_accuracy"] == pytest.approx(
        1 / 3, abs=0.05
    )
    told = []
    score_all(
        pairs,
        Predictor(Blue(), Tiling(1024, 256)),
        0.5,
        "test",
        ranks=OneOfTwo(0, told),
        classes=CLASSES,
    )
    assert (
        score_all(
            pairs,
            Predictor(Blue(), Tiling(1024, 256)),
            0.5,
            "test",
            ranks=OneOfTwo(1, told),
            classes=CLASSES,
        )
        == whole
    )
