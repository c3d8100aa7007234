"""The tables that train.py and eval.py wrote for a run, checked."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlinknet.errors import InputError, clipped, shown
from dlinknet.evaluation.reported import Reported, Row, reported_of
from dlinknet.files.fields import BadFields, Fields
from dlinknet.files.texts import BadText, read_json


@dataclass(frozen=True)
class Run:
    """The results of one run and of its evaluation.

    rows: the table of epochs. heading, course: in words, the network with its data, and the
    training. split: the IDs of both parts. curves: the picture of the curves. figures: eval.py's
    figures of the whole set; None for an undefined figure. images: eval.py's figures by image.
    overlays: the folder of eval.py's pictures. kind: the words and figures of the report.
    """

    rows: list[Row]
    heading: str
    course: str
    split: dict[str, list[str]]
    curves: Path
    figures: dict[str, Any]
    images: list[Row]
    overlays: Path
    kind: Reported

    @property
    def main(self) -> str:
        """The figure by which images are ranked."""
        return self.kind.main_figures[0]

    @property
    def named(self) -> list[str]:
        """The names of eval.py's figures."""
        return [name for name in self.figures if name not in ("images", "classes", "counts")]


def read_run(trained: Path, log_name: str, scored: Path, heading: str, course: str) -> Run:
    """Read the tables of a run and of its evaluation.

    Args:
        trained: the run's folder.
        log_name: the run's name.
        scored: the folder of its evaluation.
        heading, course: as Run holds them.

    Raises:
        InputError: a table is missing or damaged.
    """
    try:
        figures = _figures(scored / "figures.json")
        kind = reported_of(figures)
        return Run(
            _table(trained / f"{log_name}_epochs.csv", filled=("seconds",), whole=("epoch",)),
            heading,
            course,
            _split(trained / f"{log_name}_split.json"),
            trained / f"{log_name}_curves.png",
            figures,
            _table(scored / "images.csv", ("id", kind.main_figures[0]), whole=kind.counts),
            scored / "overlays",
            kind,
        )
    except OSError as error:
        raise InputError(
            error.filename, "is missing: train.py and eval.py write the files of a report"
        ) from None
    except (BadText, BadFields, ValueError, csv.Error) as error:
        raise InputError(
            clipped(f"a table in {trained} or {scored}", 120),
            f"is damaged ({clipped(str(error), 120)}); run eval.py again",
        ) from None


def _figures(file: Path) -> dict[str, Any]:
    """Return eval.py's figures. BadText: the file holds something else."""
    values = read_json(file)
    lists = ("classes", "counts")
    if (
        not isinstance(values, dict)
        or not isinstance(values.get("images"), int)
        or not {"road_iou", "mean_iou"} & values.keys()
    ):
        raise BadText(f"{file.name} has no figures")
    for name, value in values.items():
        if name not in lists and value is not None and not isinstance(value, (int, float)):
            raise BadText(f"{file.name}: {shown(name)} is {shown(value)}, not a number")
    return values


def _split(file: Path) -> dict[str, list[str]]:
    """Return the IDs of both parts. BadText, BadFields: the file holds something else."""
    fields = Fields(read_json(file))
    return {part: fields.texts(part) for part in ("train", "valid")}


def _table(
    file: Path,
    needed: tuple[str, ...] = (),
    *,
    filled: tuple[str, ...] = (),
    whole: tuple[str, ...] = (),
) -> list[Row]:
    """Return the rows of a table of numbers; an empty cell is an undefined figure.

    Args:
        needed, filled, whole: columns that must be there. In each row, those of `filled` hold a
            number, and those of `whole` a whole number.

    Raises:
        BadText: a column or every row is missing, a row has another number of cells, or a cell
            holds something else.
    """
    named = (*needed, *filled, *whole)
    with open(file, newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    if not rows or not {*named} <= rows[0].keys():
        raise BadText(f"{file.name} lacks a row or one of the columns {', '.join(named)}")
    for number, row in enumerate(rows, 2):
        for name, value in row.items():
            fits = isinstance(value, str) and (
                name == "id" or (not value and name not in filled) or math.isfinite(float(value))
            )
            if name is None or not fits or (name in whole and not value.isdigit()):
                raise BadText(f"{file.name}, line {number}: {shown(name)} is {shown(value)}")
    return rows
