"""The epochs of a run as a table (CSV) and as a picture of the curves."""
from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from dlinknet.console import LOG
from dlinknet.files import replacing

# What a person follows of a validation: the first of these that an epoch has.
SHOWN = (("road_iou", "precision", "recall", "f1"), ("mean_iou", "mean_class_recall", "mean_image_dice", "pixel_accuracy"))


def shown_figures(row: dict[str, Any]) -> tuple[str, ...]:
    """The names of the validation figures in an epoch's row that the log and the curves show; none without validation."""
    names = next((names for names in SHOWN if names[0] in row), ())
    return tuple(name for name in names if name in row)


def write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    """One line an epoch; a figure that is not defined (0 / 0) is an empty cell."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for row in rows:
            writer.writerow({key: "" if isinstance(value, float) and math.isnan(value) else value
                             for key, value in row.items()})


def draw_curves(rows: list[dict[str, Any]], path: Path) -> None:
    """Loss, validation figures and learning rate over the epochs, as PNG; a line in the log where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        LOG.info("no picture of the curves: matplotlib is not installed (pip install matplotlib)")
        return
    panels = [("training loss", ("train_loss",)), ("validation", shown_figures(rows[0])), ("learning rate", ("learning_rate",))]
    panels = [(title, keys) for title, keys in panels if keys]
    # A Figure without pyplot: no window, no global state.
    figure = Figure(figsize=(4.5 * len(panels), 3.4), layout="constrained")
    for axes, (title, keys) in zip(figure.subplots(1, len(panels)), panels):
        for key in keys:
            axes.plot([row["epoch"] for row in rows], [row[key] for row in rows], marker=".", label=key)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        if len(keys) > 1:
            axes.set_ylim(0, 1)
            axes.legend()
        if title == "learning rate":
            axes.set_yscale("log")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
