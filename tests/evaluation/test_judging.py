"""The figures and lines of an evaluation, for roads and for several classes."""

import json
import math

import numpy as np
import pytest

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Class
from dlinknet.data.roads import ROADS
from dlinknet.evaluation.judging import judge_of
from dlinknet.evaluation.metrics import Tally, class_figures, figures, image_dice
from dlinknet.evaluation.tables import tally_of, write_evaluation

TABLE = ClassTable((Class("sky", (0, 0, 9)), Class("a wood", (0, 9, 0)), Class("sea", (9, 0, 0))))
ROAD_COUNTS = np.array([[90, 2], [3, 5]])
CLASS_COUNTS = np.array([[5, 1, 0], [0, 4, 0], [0, 0, 0]])


def test_roads_have_counts_and_the_lines_of_the_reference():
    judge, tally = judge_of(ROADS), Tally(ROAD_COUNTS)
    assert judge.figures(tally) == judge.image_figures(ROAD_COUNTS) == figures(ROAD_COUNTS)
    assert judge.image_counts(ROAD_COUNTS) == {"true_road": 5, "false_road": 2, "missed_road": 3}
    assert judge.main_figures[0] == "road_iou" and judge.about() == {}
    assert judge.heading(3, 0.5) == "3 images, road above 0.5"
    lines = judge.lines(tally)
    assert "road_iou: 0.5000" in lines and "acc: 0.9500" in lines and "acc_cls: 0.8016" in lines
    assert lines[-1].startswith("iou: 0.9474 (the background's, as the model zoo's D-LinkNet")
    assert judge.reference_lines(tally) == [
        "acc:   0.95",
        f"acc cls:   {(90 / 92 + 5 / 8) / 2}",
        f"iou:   {90 / 95}",
    ]


def test_classes_have_names_and_no_lines_of_the_reference():
    judge, tally = judge_of(TABLE), tally_of([("x", CLASS_COUNTS), ("y", CLASS_COUNTS)], TABLE)
    dice = image_dice(CLASS_COUNTS)
    expected = class_figures(CLASS_COUNTS, TABLE.names, dice)
    assert judge.image_figures(CLASS_COUNTS) == pytest.approx(expected, nan_ok=True)
    assert judge.figures(tally) == pytest.approx(expected, nan_ok=True)
    assert judge.image_counts(CLASS_COUNTS) == {} and judge.reference_lines(tally) == []
    assert judge.main_figures[0] == "mean_iou"
    assert judge.heading(3, 0.5) == "3 images"
    lines = judge.lines(tally)
    assert lines[0] == f"mean_iou: {expected['mean_iou']:.4f}" and "iou_a_wood: 0.8000" in lines


@pytest.mark.parametrize("classes, counts", [(ROADS, ROAD_COUNTS), (TABLE, CLASS_COUNTS)])
def test_an_evaluation_keeps_what_it_prints(tmp_path, classes, counts):
    judge = judge_of(classes)
    lines = write_evaluation([("x", counts), ("y", counts)], judge, tmp_path)
    kept = json.loads((tmp_path / "figures.json").read_text())
    assert kept["images"] == 2 and kept["counts"] == (2 * counts).tolist()
    assert kept.get("classes", []) == (list(TABLE.names) if classes is TABLE else [])
    for name, value in judge.figures(Tally(2 * counts, kept["images"], kept["images"])).items():
        if name != "mean_image_dice":
            assert kept[name] is None if math.isnan(value) else kept[name] == value
    assert lines == judge.lines(tally_of([("x", counts), ("y", counts)], classes))
    assert (tmp_path / "confusion.png").exists() == (classes is TABLE)
