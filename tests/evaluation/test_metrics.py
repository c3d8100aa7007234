"""Figures from counts worked out by hand."""
import math

import numpy as np
import pytest

from dlinknet.evaluation.metrics import FIGURES, confusion, figures


def test_counts():
    truth = np.array([[1, 1, 1, 0, 0, 0, 0, 0]], np.uint8)
    prediction = np.array([[1, 1, 0, 1, 0, 0, 0, 0]], np.uint8)
    assert confusion(truth, prediction).tolist() == [[4, 1], [1, 2]]


def test_figures_by_hand():
    values = figures(np.array([[90, 2], [3, 5]]))
    assert tuple(values) == FIGURES
    assert values["road_iou"] == pytest.approx(5 / 10) and values["background_iou"] == pytest.approx(90 / 95)
    assert values["mean_iou"] == pytest.approx((5 / 10 + 90 / 95) / 2)
    assert values["precision"] == pytest.approx(5 / 7) and values["recall"] == pytest.approx(5 / 8)
    assert values["f1"] == pytest.approx(10 / 15) and values["acc"] == pytest.approx(0.95)
    assert values["acc_cls"] == pytest.approx((5 / 8 + 90 / 92) / 2)


def test_without_road_figures_are_undefined_and_false_road_counts():
    nothing = figures(np.array([[100, 0], [0, 0]]))
    assert all(math.isnan(nothing[name]) for name in ("road_iou", "mean_iou", "precision", "recall", "f1"))
    assert nothing["acc"] == nothing["acc_cls"] == nothing["background_iou"] == 1
    false = figures(np.array([[90, 10], [0, 0]]))
    assert false["road_iou"] == false["precision"] == false["f1"] == 0 and math.isnan(false["recall"])


def test_counts_are_added_before_they_are_divided():
    a, b = np.array([[10, 0], [0, 10]]), np.array([[0, 90], [0, 10]])
    assert figures(a + b)["road_iou"] == pytest.approx(20 / 110)
