"""Confusion counts -> named figures. Counts are added over a data set, then divided."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dlinknet.data.classes import Classes

FIGURES = ("road_iou", "background_iou", "mean_iou", "precision", "recall", "f1", "acc", "acc_cls")
# The figures that people follow, of roads and of several classes. The first says which epoch was
# the best.
ROAD_FIGURES = ("road_iou", "precision", "recall", "f1")
CLASS_FIGURES = ("mean_iou", "mean_class_recall", "mean_image_dice", "pixel_accuracy")
# Sums of Dice are whole numbers of this part: exact in any order, in any process.
DICE_UNIT = 1 << 30


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int = 2) -> np.ndarray:
    """Return the counts of pixels, K x K int64, [truth, prediction].

    Pixels whose truth is K or more, as data.classes.IGNORED is, are left out.

    Args:
        truth, prediction: H x W labels from 0 to K - 1. Of roads 0 is the background, 1 the road.
        classes: K.
    """
    truth, prediction = truth.ravel(), prediction.ravel()
    if truth.dtype != bool and (outside := truth >= classes).any():
        truth, prediction = truth[~outside], prediction[~outside]
    counts = np.bincount(classes * truth.astype(np.int64) + prediction, minlength=classes**2)
    return counts.reshape(classes, classes)


def figures(counts: np.ndarray) -> dict[str, float]:
    """Return the figures of confusion counts of roads, each 0 to 1.

    NaN stands for a figure of 0 / 0 (no road in truth and prediction).

    road_iou        TP / (TP + FP + FN), road being positive
    background_iou  TN / (TN + FP + FN); the model zoo's D-LinkNet prints this as its IoU
    mean_iou        the mean of the two
    precision       TP / (TP + FP)
    recall          TP / (TP + FN)
    f1              2 TP / (2 TP + FP + FN)
    acc             (TP + TN) / all pixels
    acc_cls         the mean of the recalls of road and background, of those that are defined
    """
    (tn, fp), (fn, tp) = counts.astype(float)
    road, background = _ratio(tp, tp + fp + fn), _ratio(tn, tn + fp + fn)
    recalls = [_ratio(tp, tp + fn), _ratio(tn, tn + fp)]
    return {
        "road_iou": road,
        "background_iou": background,
        "mean_iou": (road + background) / 2,
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "acc": _ratio(tp + tn, counts.sum()),
        "acc_cls": _mean(recalls),
    }


@dataclass
class Tally:
    """The counts of a data set.

    counts: K x K int64, [truth, prediction]. dice: the sum of the images' Dice in units of
    1 / DICE_UNIT. images: the number of images in that sum.
    """

    counts: np.ndarray
    dice: int = 0
    images: int = 0

    @classmethod
    def of(cls, classes: Classes) -> Tally:
        """Return an empty tally for a set with these classes."""
        return cls(np.zeros((len(classes.known),) * 2, np.int64))

    def add(self, counts: np.ndarray) -> None:
        """Add the counts of one image. An image without a pixel that counts has no Dice."""
        self.counts = self.counts + counts
        own = image_dice(counts)
        if not math.isnan(own):
            self.dice, self.images = self.dice + round(own * DICE_UNIT), self.images + 1

    def figures(self, names: tuple[str, ...]) -> dict[str, float]:
        """Return class_figures of all images together."""
        dice = _ratio(self.dice / DICE_UNIT, self.images)
        return class_figures(self.counts, names, dice)


def image_dice(counts: np.ndarray) -> float:
    """Return the mean Dice, 2 TP / (2 TP + FP + FN), of the classes of one image, 0 to 1.

    Classes that neither truth nor prediction has do not count; NaN if none counts.
    """
    right, truth, found = _sums(counts)
    there = truth + found > 0
    return (
        float(np.mean(2 * right[there] / (truth + found)[there])) if there.any() else float("nan")
    )


def class_figures(counts: np.ndarray, names: tuple[str, ...], dice: float) -> dict[str, float]:
    """Return the figures of K x K confusion counts, each 0 to 1; NaN if a figure is 0 / 0.

    mean_iou            the mean of the classes' IoU, of those that truth or prediction have
    mean_class_recall   the mean of TP / (TP + FN) of the classes that the truth has; the LinkNet
                        paper calls this IoU
    mean_image_dice     `dice`: the mean over images of image_dice; the NNFL project reports it
    pixel_accuracy      right pixels / all pixels
    iou_NAME            TP / (TP + FP + FN) of a class
    """
    right, truth, found = _sums(counts)
    ious = [_ratio(r, t + f - r) for r, t, f in zip(right, truth, found)]
    recalls = [_ratio(r, t) for r, t in zip(right, truth)]
    return {
        "mean_iou": _mean(ious),
        "mean_class_recall": _mean(recalls),
        "mean_image_dice": dice,
        "pixel_accuracy": _ratio(right.sum(), counts.sum()),
        **{figure_name(name): iou for name, iou in zip(names, ious)},
    }


def figure_name(name: str) -> str:
    """Return the name of the IoU of a class."""
    return f"iou_{name.replace(' ', '_')}"


def _sums(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (right pixels, pixels in truth, pixels in prediction) of each class, float64."""
    counts = counts.astype(float)
    return np.diag(counts), counts.sum(1), counts.sum(0)


def _mean(values: list[float]) -> float:
    """Return the mean of the values that are defined."""
    defined = [value for value in values if not math.isnan(value)]
    return float(_ratio(sum(defined), len(defined)))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
