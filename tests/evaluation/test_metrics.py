"""Figures from counts worked out by hand."""

import math

import numpy as np
import pytest

from dlinknet.evaluation.metrics import FIGURES, Tally, confusion, figures, image_dice


def test_counts():
    truth = np.array([[1, 1, 1, 0, 0, 0, 0, 0]], np.uint8)
    prediction = np.array([[1, 1, 0, 1, 0, 0, 0, 0]], np.uint8)
    assert confusion(truth, prediction).tolist() == [[4, 1], [1, 2]]


def test_figures_by_hand():
    values = figures(np.array([[90, 2], [3, 5]]))
    assert tuple(values) == FIGURES
    assert values["road_iou"] == pytest.approx(5 / 10) and values[
        "background_iou"
    ] == pytest.approx(90 / 95)
    assert values["mean_iou"] == pytest.approx((5 / 10 + 90 / 95) / 2)
    assert values["precision"] == pytest.approx(5 / 7) and values["recall"] == pytest.approx(5 / 8)
    assert values["f1"] == pytest.approx(10 / 15) and values["acc"] == pytest.approx(0.95)
    assert values["acc_cls"] == pytest.approx((5 / 8 + 90 / 92) / 2)


def test_without_road_figures_are_undefined_and_false_road_counts():
    nothing = figures(np.array([[100, 0], [0, 0]]))
    assert all(
        math.isnan(nothing[name]) for name in ("road_iou", "mean_iou", "precision", "recall", "f1")
    )
    assert nothing["acc"] == nothing["acc_cls"] == nothing["background_iou"] == 1
    false = figures(np.array([[90, 10], [0, 0]]))
    assert false["road_iou"] == false["precision"] == false["f1"] == 0 and math.isnan(
        false["recall"]
    )


def test_counts_are_added_before_they_are_divided():
    tally = Tally(np.zeros((2, 2), np.int64))
    for counts in ([[10, 0], [0, 10]], [[0, 90], [0, 10]]):
        tally.add(np.array(counts))
    assert figures(tally.counts)["road_iou"] == pytest.approx(20 / 110)


TRUTH = np.array([[0, 0, 0, 1, 1, 2, 255, 255]])
FOUND = np.array([[0, 0, 1, 1, 1, 0, 0, 2]])


def test_what_does_not_count_is_in_no_count():
    counts = confusion(TRUTH, FOUND, 4)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_figures_of_classes_by_hand():
    tally = Tally(np.zeros((4, 4), np.int64))
    tally.add(confusion(TRUTH, FOUND, 4))
    values = tally.figures(("a", "b c", "d", "e"))
    # a: 2 / (2 + 1 + 1), b: 2 / (2 + 1), d: 0 / 1; e is nowhere.
    assert (
        values["iou_a"] == 0.5
        and values["iou_b_c"] == pytest.approx(2 / 3)
        and values["iou_d"] == 0
        and math.isnan(values["iou_e"])
    )
    assert values["mean_iou"] == pytest.approx((0.5 + 2 / 3 + 0) / 3)
    assert values["mean_class_recall"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert values["pixel_accuracy"] == pytest.approx(4 / 6)
    dice = (4 / 6 + 4 / 5 + 0) / 3
    assert values["mean_image_dice"] == pytest.approx(dice, abs=1e-8) and image_dice(
        tally.counts
    ) == pytest.approx(dice)


def test_counts_are_added_and_then_divided_but_dice_is_a_mean_over_images():
    images = [np.array([[8, 0], [0, 0]]), np.array([[0, 1], [0, 1]]), np.zeros((2, 2), np.int64)]
    tally = Tally(np.zeros((2, 2), np.int64))
    for counts in images:
        tally.add(counts)
    values = tally.figures(("x", "y"))
    assert values["mean_iou"] == pytest.approx((8 / 9 + 1 / 2) / 2)
    # The first image has x alone, Dice 1. The second has 0 for x and 2 / 3 for y.
    # The third has no pixel that counts.
    assert (
        values["mean_image_dice"] == pytest.approx((1 + 1 / 3) / 2, abs=1e-8) and tally.images == 2
    )
    empty = Tally(np.zeros((2, 2), np.int64)).figures(("x", "y"))
    assert all(math.isnan(value) for value in empty.values())
