"""Judges: the figures, lines and pictures of an evaluation, for roads and for several classes.

`judge_of` chooses between the two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Classes
from dlinknet.data.roads import Roads
from dlinknet.evaluation.metrics import (
    CLASS_FIGURES,
    FIGURES,
    ROAD_FIGURES,
    Tally,
    class_figures,
    figures,
    image_dice,
)
from dlinknet.evaluation.overlays import class_picture, draw_confusion, road_picture
from dlinknet.evaluation.scored import Scored

Kind = TypeVar("Kind", bound=Classes)


class Judge(ABC, Generic[Kind]):
    """Judge predictions of one kind of classes.

    main_figures: the names of the figures that people follow. The first says which epoch was the
    best.
    """

    main_figures: tuple[str, ...]

    def __init__(self, classes: Kind):
        self.classes = classes

    @abstractmethod
    def figures(self, tally: Tally) -> dict[str, float]:
        """Return the figures of a whole set, each 0 to 1 or NaN."""

    @abstractmethod
    def image_figures(self, counts: np.ndarray) -> dict[str, float]:
        """Return the figures of one image, each 0 to 1 or NaN."""

    @abstractmethod
    def image_counts(self, counts: np.ndarray) -> dict[str, int]:
        """Return the counts of pixels that images.csv holds beside the figures of one image."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """Return the entries of figures.json that describe the classes."""

    @abstractmethod
    def heading(self, images: int, threshold: float) -> str:
        """Return the line above the figures of a set.

        Args:
            images: the number of images.
            threshold: probability above which a pixel is road.
        """

    @abstractmethod
    def lines(self, tally: Tally) -> list[str]:
        """Return the figures of a whole set as printed: 'mean_iou: 0.4512' and so on."""

    @abstractmethod
    def reference_lines(self, tally: Tally) -> list[str]:
        """Return the figures in the form of the model zoo's D-LinkNet, or [] if it has none."""

    @abstractmethod
    def picture(self, scored: Scored) -> np.ndarray:
        """Return the picture of one image's truth and prediction: uint8 BGR."""

    @abstractmethod
    def draw(self, counts: np.ndarray, folder: Path) -> None:
        """Write the pictures of a whole set into a folder."""


class RoadJudge(Judge[Roads]):
    """Road or not."""

    main_figures = ROAD_FIGURES

    def figures(self, tally: Tally) -> dict[str, float]:
        """Return metrics.figures of a whole set."""
        return figures(tally.counts)

    def image_figures(self, counts: np.ndarray) -> dict[str, float]:
        """Return metrics.figures of one image."""
        return figures(counts)

    def image_counts(self, counts: np.ndarray) -> dict[str, int]:
        """Return the pixels of true, false and missed road."""
        return {
            "true_road": counts[1, 1],
            "false_road": counts[0, 1],
            "missed_road": counts[1, 0],
        }

    def about(self) -> dict[str, Any]:
        """Return nothing: roads need no names."""
        return {}

    def heading(self, images: int, threshold: float) -> str:
        """Return the line above the figures."""
        return f"{images} images, road above {threshold}"

    def lines(self, tally: Tally) -> list[str]:
        """Return 'road_iou: 0.6512' and so on, and the background's IoU as 'iou'."""
        values = figures(tally.counts)
        return [
            *(f"{name}: {values[name]:.4f}" for name in FIGURES),
            f"iou: {values['background_iou']:.4f} (the background's, as the model zoo's D-LinkNet "
            "prints it; the road's is road_iou)",
        ]

    def reference_lines(self, tally: Tally) -> list[str]:
        """Return the three lines that end the acc.log of the model zoo's D-LinkNet, in its form.

        Its iou is of the background.
        """
        values = figures(tally.counts)
        return [
            f"acc:   {values['acc']}",
            f"acc cls:   {values['acc_cls']}",
            f"iou:   {values['background_iou']}",
        ]

    def picture(self, scored: Scored) -> np.ndarray:
        """Return the image beside itself with true, missed and false road in colours."""
        return road_picture(scored)

    def draw(self, counts: np.ndarray, folder: Path) -> None:
        """Write nothing: four counts need no picture."""


class ClassJudge(Judge[ClassTable]):
    """Several classes."""

    main_figures = CLASS_FIGURES

    def figures(self, tally: Tally) -> dict[str, float]:
        """Return metrics.class_figures of a whole set."""
        return tally.figures(self.classes.names)

    def image_figures(self, counts: np.ndarray) -> dict[str, float]:
        """Return metrics.class_figures of one image."""
        return class_figures(counts, self.classes.names, image_dice(counts))

    def image_counts(self, counts: np.ndarray) -> dict[str, int]:
        """Return nothing: the counts of K x K classes are too many for a table."""
        return {}

    def about(self) -> dict[str, Any]:
        """Return the names of the classes, in the order of the counts."""
        return {"classes": list(self.classes.names)}

    def heading(self, images: int, threshold: float) -> str:
        """Return the line above the figures."""
        return f"{images} images"

    def lines(self, tally: Tally) -> list[str]:
        """Return 'mean_iou: 0.4512' and so on, with the IoU of each class."""
        return [f"{name}: {value:.4f}" for name, value in self.figures(tally).items()]

    def reference_lines(self, tally: Tally) -> list[str]:
        """Return nothing: the model zoo's D-LinkNet knows roads only."""
        return []

    def picture(self, scored: Scored) -> np.ndarray:
        """Return image, truth and prediction side by side above a legend."""
        return class_picture(scored, self.classes)

    def draw(self, counts: np.ndarray, folder: Path) -> None:
        """Write confusion.png."""
        draw_confusion(counts, self.classes.names, folder / "confusion.png")


JUDGES: dict[type[Classes], type[Judge]] = {Roads: RoadJudge, ClassTable: ClassJudge}


def judge_of(classes: Classes) -> Judge:
    """Return the judge of a data set's classes."""
    return JUDGES[type(classes)](classes)
