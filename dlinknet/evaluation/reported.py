"""The words and figures of a report, for roads and for several classes. `reported_of` chooses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from dlinknet.evaluation.metrics import CLASS_FIGURES, ROAD_FIGURES

Row = dict[str, str]  # of images.csv: column -> cell


class Reported(ABC):
    """The words and figures of a report on one run.

    main_figures: the figures that people follow; the first ranks the images. counts: the columns of
    images.csv that hold whole numbers. iou: the name of the first figure. shown: which images are
    ranked. legend: what their pictures show. pictures: those of a whole set.
    """

    main_figures: tuple[str, ...]
    counts: tuple[str, ...] = ()
    iou: str
    shown: str
    legend: str
    pictures: tuple[str, ...] = ()

    def is_ranked(self, row: Row) -> bool:
        """Return whether an image is among those from which the best and the worst are chosen."""
        return bool(row[self.main_figures[0]])

    @abstractmethod
    def unranked(self, rows: list[Row]) -> str:
        """Return a paragraph on images that are not ranked, at least one; '' for no paragraph."""


class RoadReported(Reported):
    """Road or not."""

    main_figures = ROAD_FIGURES
    counts = ("true_road", "false_road", "missed_road")
    iou = "Road IoU"
    shown = "images with road"
    legend = "found in teal, missed in red, false in yellow"

    def is_ranked(self, row: Row) -> bool:
        """Return whether an image has road."""
        return super().is_ranked(row) and bool(int(row["true_road"]) + int(row["missed_road"]))

    def unranked(self, rows: list[Row]) -> str:
        """Return how much false road was found in images without road."""
        false = [int(row["false_road"]) for row in rows]
        return (
            f"{len(rows)} of the images have no road; false road was found in "
            f"{sum(pixels > 0 for pixels in false)} of them, {sum(false)} pixels in all."
        )


class ClassReported(Reported):
    """Several classes."""

    main_figures = CLASS_FIGURES
    iou = "Mean IoU"
    shown = "images"
    legend = "image, truth and prediction"
    pictures = ("confusion.png",)

    def unranked(self, rows: list[Row]) -> str:
        """Return nothing: no pixel of these images counts."""
        return ""


def reported_of(figures: dict[str, Any]) -> Reported:
    """Return the words and figures for a run with these figures in figures.json."""
    return RoadReported() if "road_iou" in figures else ClassReported()
