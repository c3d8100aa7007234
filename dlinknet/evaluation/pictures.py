"""Pictures of several classes: images beside truth and prediction in the classes' colours with a legend, and the confusion matrix."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dlinknet.console import LOG
from dlinknet.data.classes import Classes
from dlinknet.evaluation.scoring import Scored
from dlinknet.files import replacing

GAP = 4                         # white pixels between the parts of a picture
LINE = 20                       # height in pixels of a line of the legend
LETTER = 8                      # width of a letter of it


def class_picture(scored: Scored, classes: Classes) -> np.ndarray:
    """Image, truth and prediction side by side above a legend: uint8 BGR, about 3W wide.

    Pixels whose truth does not count are in void's colour in the truth, as predicted in the prediction.
    """
    palette = classes.palette()
    gap = np.full((len(scored.image), GAP, 3), 255, np.uint8)
    parts = np.hstack([scored.image, gap, palette[scored.truth], gap, palette[scored.prediction]])
    return np.vstack([parts, legend(classes, parts.shape[1])])


def class_overlay(image: np.ndarray, labels: np.ndarray, classes: Classes) -> np.ndarray:
    """The image with its classes laid over it in their colours, above a legend: uint8 BGR, W wide."""
    painted = cv2.addWeighted(image, 0.4, classes.palette()[labels], 0.6, 0)
    return np.vstack([painted, legend(classes, painted.shape[1])])


def legend(classes: Classes, width: int) -> np.ndarray:
    """The classes' colours and names, in as many lines as they take: uint8 BGR, `width` wide."""
    places, x, y = [], 6, 0
    for each in classes.known:
        wide = 26 + LETTER * len(each.name)
        if x > 6 and x + wide > width:
            x, y = 6, y + LINE
        places.append((x, y))
        x += wide
    strip = np.full((y + LINE + 6, width, 3), 255, np.uint8)
    for each, (x, y) in zip(classes.known, places):
        cv2.rectangle(strip, (x, y + 6), (x + 12, y + 18), each.colour[::-1], -1)
        cv2.rectangle(strip, (x, y + 6), (x + 12, y + 18), (90, 90, 90), 1)
        cv2.putText(strip, each.name, (x + 17, y + 17), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def draw_confusion(counts: np.ndarray, names: tuple[str, ...], path: Path) -> None:
    """The confusion matrix as PNG: each row, a true class, in per cent of its pixels; a line in the log where matplotlib is missing.

    Args:
        counts: K x K, as metrics.confusion gives them.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        LOG.info("no picture of the confusion matrix: matplotlib is not installed (pip install matplotlib)")
        return
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.5 + 0.45 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("per cent of the true class's pixels", fontsize=9)
    for row, column in np.argwhere(shares >= 0.5):
        axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=7,
                  color="white" if shares[row, column] > 55 else "black")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
