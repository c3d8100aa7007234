"""The files of an evaluation."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlinknet.data.classes import Classes
from dlinknet.evaluation.judging import Judge
from dlinknet.evaluation.metrics import Tally

Rows = Sequence[tuple[str, np.ndarray]]  # (ID, counts) of each image


def write_image_csv(rows: Rows, path: Path, judge: Judge) -> None:
    """Write one line an image: ID, counts of pixels, every figure; undefined figures are empty."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number, (id, counts) in enumerate(rows):
            pixels, values = judge.image_counts(counts), judge.image_figures(counts)
            if not number:
                writer.writerow(["id", *pixels, *values])
            figures = ("" if math.isnan(value) else f"{value:.6f}" for value in values.values())
            writer.writerow([id, *pixels.values(), *figures])


def tally_of(rows: Rows, classes: Classes) -> Tally:
    """Return the tally of a whole set from the counts of its images."""
    tally = Tally.of(classes)
    for _, counts in rows:
        tally.add(counts)
    return tally


def write_evaluation(rows: Rows, judge: Judge, folder: Path) -> list[str]:
    """Write images.csv, figures.json (undefined figures are null) and the pictures of a whole set.

    Return the lines to print.
    """
    tally = tally_of(rows, judge.classes)
    write_image_csv(rows, folder / "images.csv", judge)
    values = {
        name: None if math.isnan(value) else value for name, value in judge.figures(tally).items()
    }
    (folder / "figures.json").write_text(
        json.dumps(
            {"images": len(rows), **values, **judge.about(), "counts": tally.counts.tolist()},
            indent=1,
        ),
        encoding="utf-8",
    )
    judge.draw(tally.counts, folder)
    return judge.lines(tally)
