"""Confusion counts -> named figures. Counts are added over a data set, then divided."""
from __future__ import annotations

import numpy as np

FIGURES = ("road_iou", "background_iou", "mean_iou", "precision", "recall", "f1", "acc", "acc_cls")


def confusion(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """2 x 2 int64 counts of pixels, [truth, prediction], 0 background and 1 road; both inputs are H x W of 0 and 1."""
    counts = np.bincount(2 * truth.ravel().astype(np.int64) + prediction.ravel(), minlength=4)
    return counts.reshape(2, 2)


def figures(counts: np.ndarray) -> dict[str, float]:
    """The figures of confusion counts, each 0 to 1; NaN where a figure is 0 / 0 (no road in truth and prediction).

        road_iou        TP / (TP + FP + FN), road being positive
        background_iou  TN / (TN + FP + FN); what the reference printed as its IoU
        mean_iou        the mean of the two
        precision       TP / (TP + FP)
        recall          TP / (TP + FN)
        f1              2 TP / (2 TP + FP + FN)
        acc             (TP + TN) / all pixels
        acc_cls         the mean of the recalls of road and background, of those that are defined
    """
    (tn, fp), (fn, tp) = counts.astype(float)
    road, background = _ratio(tp, tp + fp + fn), _ratio(tn, tn + fp + fn)
    recalls = [r for r in (_ratio(tp, tp + fn), _ratio(tn, tn + fp)) if r == r]
    return {"road_iou": road, "background_iou": background, "mean_iou": (road + background) / 2,
            "precision": _ratio(tp, tp + fp), "recall": _ratio(tp, tp + fn), "f1": _ratio(2 * tp, 2 * tp + fp + fn),
            "acc": _ratio(tp + tn, counts.sum()), "acc_cls": _ratio(sum(recalls), len(recalls))}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
