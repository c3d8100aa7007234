"""Pictures of predictions: roads or classes laid over their image, and a legend of classes."""

from __future__ import annotations

from typing import Callable

import cv2
import numpy as np

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Classes
from dlinknet.data.roads import Roads

# BGR; teal, red and yellow stay apart for colour-blind eyes and on green land.
TRUE, MISSED, FALSE = (190, 230, 0), (48, 59, 255), (10, 214, 255)
GAP = 4  # white pixels between the parts of a picture
LINE = 20  # height in pixels of a line of the legend
LETTER = 8  # width of a letter in the legend


def overlay(image: np.ndarray, labels: np.ndarray, classes: Classes) -> np.ndarray:
    """Return an image with its prediction laid over it: uint8 BGR, W wide.

    Several classes have a legend below the image.

    Args:
        image: H x W x 3 uint8, BGR.
        labels: H x W uint8.
        classes: what the labels mean.
    """
    return OVERLAYS[type(classes)](image, labels, classes)


def road_overlay(image: np.ndarray, labels: np.ndarray, classes: Classes) -> np.ndarray:
    """Return the image with its roads in teal."""
    painted = image.copy()
    paint(painted, labels > 0, TRUE)
    return painted


def class_overlay(image: np.ndarray, labels: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Return the image with its classes in their colours, above a legend."""
    painted = cv2.addWeighted(image, 0.4, classes.palette()[labels], 0.6, 0)
    return np.vstack([painted, legend(classes, painted.shape[1])])


OVERLAYS: dict[type[Classes], Callable[..., np.ndarray]] = {
    Roads: road_overlay,
    ClassTable: class_overlay,
}


def paint(image: np.ndarray, where: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Lay a colour over the pixels of an image at which `where`, H x W bool, is true."""
    # A table, because arithmetic on half of a large image's pixels would require gigabytes.
    blend = (0.35 * np.arange(256)[:, None] + 0.65 * np.array(colour)).astype(np.uint8)
    cv2.copyTo(cv2.LUT(image, blend[None]), where.view(np.uint8), image)


def legend(classes: Classes, width: int) -> np.ndarray:
    """Return the classes' colours and names, on as many lines as needed: uint8 BGR."""
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
        cv2.putText(
            strip,
            each.name,
            (x + 17, y + 17),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.42,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
    return strip
