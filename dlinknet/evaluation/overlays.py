"""Pictures of truth and prediction: of roads, of several classes, and the confusion matrix."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from dlinknet.console import LOG
from dlinknet.data.class_table import ClassTable
from dlinknet.evaluation.metrics import figures
from dlinknet.evaluation.scored import Scored
from dlinknet.files.atomic import replacing
from dlinknet.inference.pictures import FALSE, GAP, MISSED, TRUE, legend, paint

CAPTION = 26  # height in pixels of the strip below a picture of roads


def class_picture(scored: Scored, classes: ClassTable) -> np.ndarray:
    """Return image, truth and prediction side by side above a legend: uint8 BGR, about 3W wide.

    A pixel whose truth does not count has void's colour in the truth. In the prediction it has the
    colour of its predicted class.
    """
    palette = classes.palette()
    gap = np.full((len(scored.image), GAP, 3), 255, np.uint8)
    parts = np.hstack([scored.image, gap, palette[scored.truth], gap, palette[scored.prediction]])
    return np.vstack([parts, legend(classes, parts.shape[1])])


def draw_confusion(counts: np.ndarray, names: tuple[str, ...], path: Path) -> None:
    """Write the confusion matrix as PNG. A row is a true class, in per cent of its pixels.

    If matplotlib is missing, write a line to the log instead.

    Args:
        counts: K x K, as metrics.confusion returns them.
        names: of the K classes.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        LOG.info(
            "no picture of the confusion matrix: matplotlib is not installed "
            "(pip install matplotlib)"
        )
        return
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    words = [name.replace("$", r"\$") for name in names]  # matplotlib would read $x$ as a formula
    side = 2.5 + 0.45 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), words, rotation=90)
    axes.set_yticks(range(len(names)), words)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("per cent of the true class's pixels", fontsize=9)
    for row, column in np.argwhere(shares >= 0.5):
        axes.text(
            column,
            row,
            f"{shares[row, column]:.0f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if shares[row, column] > 55 else "black",
        )
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def road_picture(scored: Scored) -> np.ndarray:
    """Return the image beside itself with the roads in three colours, above a caption.

    True road (found) is teal, missed road red, false road yellow. uint8 BGR, H + 26 high, about 2W
    wide.
    """
    truth, prediction = scored.truth > 0, scored.prediction > 0
    painted = scored.image.copy()
    for where, colour in (
        (truth & prediction, TRUE),
        (truth & ~prediction, MISSED),
        (~truth & prediction, FALSE),
    ):
        paint(painted, where, colour)
    gap = np.full((len(painted), GAP, 3), 255, np.uint8)
    picture = np.hstack([scored.image, gap, painted])
    return np.vstack([picture, _caption(scored, picture.shape[1])])


def _caption(scored: Scored, width: int) -> np.ndarray:
    strip = np.full((CAPTION, width, 3), 255, np.uint8)
    x = 6
    for word, colour in (("found", TRUE), ("missed", MISSED), ("false", FALSE)):
        cv2.rectangle(strip, (x, 8), (x + 10, 18), colour, -1)
        cv2.putText(
            strip, word, (x + 14, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA
        )
        x += 30 + 8 * len(word)
    iou = figures(scored.counts)["road_iou"]
    text = f"{scored.pair.id}: " + ("no road" if math.isnan(iou) else f"road IoU {iou:.3f}")
    cv2.putText(strip, text, (x + 8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
