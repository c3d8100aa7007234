"""Tables and pictures for people."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np

from dlinknet.data.classes import ROADS, Classes
from dlinknet.evaluation.metrics import (
    FIGURES,
    Tally,
    class_figures,
    figures,
    image_dice,
    set_figures,
)
from dlinknet.evaluation.overlays import draw_confusion


def write_image_csv(
    rows: list[tuple[str, np.ndarray]], path: Path, classes: Classes = ROADS
) -> None:
    """One line an image: ID, counts of true, false and missed road pixels, every figure; undefined ones empty.

    Of several classes there are no counts in it.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number, (id, counts) in enumerate(rows):
            values = (
                figures(counts)
                if classes.road
                else class_figures(counts, classes.names, image_dice(counts))
            )
            if not number:
                writer.writerow(
                    [
                        "id",
                        *(["true_road", "false_road", "missed_road"] if classes.road else []),
                        *values,
                    ]
                )
            writer.writerow(
                [
                    id,
                    *([counts[1, 1], counts[0, 1], counts[1, 0]] if classes.road else []),
                    *("" if math.isnan(value) else f"{value:.6f}" for value in values.values()),
                ]
            )


def evaluated(
    rows: list[tuple[str, np.ndarray]], classes: Classes
) -> tuple[dict[str, float], np.ndarray]:
    """(figures, counts) of a whole set out of its images' counts."""
    tally = Tally.of(classes)
    for _, counts in rows:
        tally.add(counts)
    return set_figures(tally, classes), tally.counts


def write_evaluation(
    rows: list[tuple[str, np.ndarray]], classes: Classes, folder: Path
) -> list[str]:
    """Writes images.csv, figures.json (undefined figures are null) and, of several classes, confusion.png; returns the lines to print."""
    values, counts = evaluated(rows, classes)
    write_image_csv(rows, folder / "images.csv", classes)
    named = {name: None if math.isnan(value) else value for name, value in values.items()}
    of = {} if classes.road else {"classes": list(classes.names)}
    (folder / "figures.json").write_text(
        json.dumps({"images": len(rows), **named, **of, "counts": counts.tolist()}, indent=1),
        encoding="utf-8",
    )
    if not classes.road:
        draw_confusion(counts, classes.names, folder / "confusion.png")
    return figure_lines(counts) if classes.road else class_lines(values)


def class_lines(values: dict[str, float]) -> list[str]:
    """'mean_iou: 0.4512' and so on."""
    return [f"{name}: {value:.4f}" for name, value in values.items()]


def figure_lines(counts: np.ndarray) -> list[str]:
    """'road_iou: 0.6512' and so on, ending in the three lines that the reference prints."""
    values = figures(counts)
    return [
        *(f"{name}: {values[name]:.4f}" for name in FIGURES),
        f"iou: {values['background_iou']:.4f} (the background's, as the reference prints it; the road's is road_iou)",
    ]


def seed_lines(counts: np.ndarray) -> list[str]:
    """The three lines with which the reference ends its acc.log, in its form; its iou is the background's."""
    values = figures(counts)
    return [
        f"acc:   {values['acc']}",
        f"acc cls:   {values['acc_cls']}",
        f"iou:   {values['background_iou']}",
    ]
