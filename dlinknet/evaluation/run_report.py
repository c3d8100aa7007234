"""A report on one run for people: what was trained, figures by epoch, curves, the best and the worst images."""

from __future__ import annotations

import csv
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dlinknet.data.classes import SHOWN
from dlinknet.errors import InputError, clipped, shown
from dlinknet.files.fields import BadFields, Fields
from dlinknet.files.texts import BadText, read_json
from dlinknet.images.read import read_image
from dlinknet.images.write import write_image

PICTURED = 3  # best and worst images in the pictures
WIDTH = 1200  # of the pictures, in pixels


@dataclass(frozen=True)
class Run:
    """What train.py and eval.py left.

    rows: the table of epochs. heading, course: what was trained, and how, in words. split: the IDs of both parts. figures: eval.py's, of the whole set; None
    where a figure is undefined. images: eval.py's figures by image. overlays: the folder of its pictures.
    """

    rows: list[dict[str, str]]
    heading: str
    course: str
    split: dict[str, list[str]]
    curves: Path
    figures: dict[str, Any]
    images: list[dict[str, str]]
    overlays: Path

    @property
    def road(self) -> bool:
        """Whether it is of roads, and not of several classes."""
        return "road_iou" in self.figures

    @property
    def main(self) -> str:
        """The figure by which images are ranked."""
        return SHOWN[self.road][0]

    @property
    def named(self) -> list[str]:
        """The names of eval.py's figures."""
        return [name for name in self.figures if name not in ("images", "classes", "counts")]


def read_run(trained: Path, log_name: str, scored: Path, heading: str, course: str) -> Run:
    """Read the tables of a run and of its evaluation.

    Args:
        trained: the run's folder. log_name: its name. scored: the folder of its evaluation.
        heading, course: as Run holds them.

    Raises:
        UserError: one of them is missing or damaged.
    """
    try:
        figures = _figures(scored / "figures.json")
        road = "road_iou" in figures
        counts = ("true_road", "false_road", "missed_road") if road else ()
        return Run(
            _table(trained / f"{log_name}_epochs.csv", ("seconds",), ("epoch",)),
            heading,
            course,
            _split(trained / f"{log_name}_split.json"),
            trained / f"{log_name}_curves.png",
            figures,
            _table(scored / "images.csv", (SHOWN[road][0],), counts),
            scored / "overlays",
        )
    except OSError as error:
        raise InputError(
            error.filename, "is missing: train.py and eval.py write what a report is made of"
        ) from None
    except (BadText, BadFields, ValueError, csv.Error) as error:
        raise InputError(
            clipped(f"a table in {trained} or {scored}", 120),
            f"is damaged ({clipped(str(error), 120)}); run eval.py again",
        ) from None


def _figures(file: Path) -> dict[str, Any]:
    """eval.py's figures. BadText where they are not."""
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
    """The IDs of both parts of a data set. BadText or BadFields where they are not."""
    fields = Fields(read_json(file))
    return {part: fields.texts(part) for part in ("train", "valid")}


def _table(file: Path, needed: tuple[str, ...], whole: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a table of numbers; an empty cell is an undefined figure.

    Args:
        needed, whole: columns that must be there; those of `whole` have whole numbers in each row.

    Raises:
        BadText: one of them is missing, a row has another number of cells, or a cell holds no finite number.
    """
    with open(file, newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    if not rows or not {*needed, *whole} <= rows[0].keys():
        raise BadText(
            f"{file.name} lacks a row or one of the columns {', '.join((*needed, *whole))}"
        )
    for number, row in enumerate(rows, 2):
        for name, value in row.items():
            fits = isinstance(value, str) and (
                name == "id" or not value or math.isfinite(float(value))
            )
            if name is None or not fits or (name in whole and not value.isdigit()):
                raise BadText(f"{file.name}, line {number}: {shown(name)} is {shown(value)}")
    return rows


def write_report(run: Run, folder: Path) -> None:
    """Writes report.md and pictures into `folder`: curves.png, of several classes confusion.png, best.jpg and worst.jpg where images
    were scored that have road, or a pixel that counts."""
    there = [
        row
        for row in run.images
        if row[run.main] and (not run.road or int(row["true_road"]) + int(row["missed_road"]))
    ]
    ranked = sorted(there, key=lambda row: -float(row[run.main]))
    for name, file in (
        ("curves.png", run.curves),
        ("confusion.png", run.overlays.parent / "confusion.png"),
    ):
        if file.exists():
            shutil.copyfile(file, folder / name)
    for name, rows in (("best", ranked[:PICTURED]), ("worst", ranked[::-1][:PICTURED])):
        files = [run.overlays / f"{row['id']}_overlay.jpg" for row in rows]
        pictures = [read_image(file) for file in files if file.exists()]
        if pictures:
            write_image(folder / f"{name}.jpg", _stacked(pictures))
    (folder / "report.md").write_text(
        "\n\n".join(_sections(run, ranked, folder)) + "\n", encoding="utf-8"
    )


def _stacked(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures below each other, each WIDTH wide."""
    return np.vstack(
        [
            cv2.resize(
                picture,
                (WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1])),
                interpolation=cv2.INTER_AREA,
            )
            for picture in pictures
        ]
    )


def _sections(run: Run, ranked: list[dict[str, str]], folder: Path) -> list[str]:
    """The report's paragraphs; the pictures lie in `folder` already."""
    rows = run.rows
    seconds = sum(float(row["seconds"]) for row in rows)
    sections = [
        f"# {run.heading}",
        f"{len(run.split['train'])} images to train on, {len(run.split['valid'])} to validate on. "
        f"{len(rows)} epochs of {run.course}. Training took {seconds / 60:.1f} minutes, validation "
        "left out.",
    ]
    if run.main in rows[0]:
        best = max(rows, key=lambda row: (float(row[run.main] or -1), int(row["epoch"])))
        sections.append(
            f"{'Road' if run.road else 'Mean'} IoU in validation: **{_shown(rows[-1][run.main])} in the last epoch** "
            f"({rows[-1]['epoch']}), which no choice by validation made better; {_shown(best[run.main])} in the best "
            f"({best['epoch']})."
        )
    sections += [
        f"## Evaluation of {run.figures['images']} images",
        _lines(["figure", "value"], [[name, _shown(run.figures[name])] for name in run.named]),
    ]
    if not run.road:
        sections.append(_picture(folder, "confusion.png"))
    empty = [row for row in run.images if row not in ranked]
    if empty and run.road:
        sections.append(
            f"{len(empty)} of the images have no road; false road was found in "
            f"{sum(int(row['false_road']) > 0 for row in empty)} of them, "
            f"{sum(int(row['false_road']) for row in empty)} pixels in all."
        )
    if ranked:
        for name, some in (("best", ranked[:PICTURED]), ("worst", ranked[::-1][:PICTURED])):
            sections.append(
                f"The {name} images{' with road' if run.road else ''} "
                f"({', '.join(r['id'] + ' ' + _shown(r[run.main]) for r in some)}); "
                f"{'found in teal, missed in red, false in yellow' if run.road else 'image, truth and prediction'}:"
            )
            sections.append(_picture(folder, f"{name}.jpg"))
    shown = [
        key
        for key in ("epoch", "train_loss", *SHOWN[run.road], "learning_rate", "seconds")
        if key in rows[0]
    ]
    cells = [
        [row[key] if key in ("epoch", "seconds") else _shown(row[key]) for key in shown]
        for row in rows
    ]
    sections += ["## Epochs", _picture(folder, "curves.png"), _lines(shown, cells)]
    return sections


def _picture(folder: Path, name: str) -> str:
    return (
        f"![{Path(name).stem}]({name})"
        if (folder / name).exists()
        else f"({name} could not be made)"
    )


def _shown(value: Any) -> str:
    """A figure with four digits; a dash where it is undefined."""
    if value in ("", None) or math.isnan(float(value)):
        return "-"
    return (
        f"{float(value):.4f}"
        if float(value) >= 0.001 or not float(value)
        else f"{float(value):.2g}"
    )


def _lines(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in [heads, ["---"] * len(heads), *rows]
    )
