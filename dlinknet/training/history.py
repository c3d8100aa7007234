"""Write the epochs of a run as a table (CSV) and as a picture of curves (PNG)."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from dlinknet.console import LOG
from dlinknet.files.atomic import replacing


def write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    """Write one line per epoch; an undefined figure (0 / 0) becomes an empty cell.

    Args:
        rows: one dict per epoch, all with the same keys, which are the columns.
    """
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    key: "" if isinstance(value, float) and math.isnan(value) else value
                    for key, value in row.items()
                }
            )


def draw_curves(rows: list[dict[str, Any]], shown: tuple[str, ...], path: Path) -> None:
    """Draw the training loss, validation figures and learning rate over the epochs.

    If matplotlib is missing, the log says so and no file is written.

    Args:
        rows: one dict per epoch, with the keys epoch, train_loss, learning_rate and all of `shown`.
        shown: the validation figures to draw, 0 to 1; empty for no such panel.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        LOG.info("no picture of the curves: matplotlib is not installed (pip install matplotlib)")
        return
    panels = [
        ("training loss", ("train_loss",)),
        ("validation", shown),
        ("learning rate", ("learning_rate",)),
    ]
    panels = [(title, keys) for title, keys in panels if keys]
    # A Figure without pyplot: no window, no global state.
    figure = Figure(figsize=(4.5 * len(panels), 3.4), layout="constrained")
    for axes, (title, keys) in zip(figure.subplots(1, len(panels)), panels):
        for key in keys:
            axes.plot(
                [row["epoch"] for row in rows], [row[key] for row in rows], marker=".", label=key
            )
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
