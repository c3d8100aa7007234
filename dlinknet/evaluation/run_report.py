"""A report on one run: data, figures by epoch, curves, the best and the worst images."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dlinknet.evaluation.reported import Row
from dlinknet.evaluation.run_tables import Run
from dlinknet.images.read import read_image
from dlinknet.images.write import write_image

PICTURED = 3  # best and worst images in the pictures
WIDTH = 1200  # of the pictures, in pixels


def write_report(run: Run, folder: Path) -> None:
    """Write report.md and its pictures into `folder`.

    The pictures are curves.png, the pictures of the whole set, and best.jpg and worst.jpg if there
    are images to rank.
    """
    there = [row for row in run.images if run.kind.is_ranked(row)]
    ranked = sorted(there, key=lambda row: -float(row[run.main]))
    for name, file in (
        ("curves.png", run.curves),
        *((name, run.overlays.parent / name) for name in run.kind.pictures),
    ):
        if file.exists():
            shutil.copyfile(file, folder / name)
    for name, rows in _best_and_worst(ranked).items():
        files = [run.overlays / f"{row['id']}_overlay.jpg" for row in rows]
        pictures = [read_image(file) for file in files if file.exists()]
        if pictures:
            write_image(folder / f"{name}.jpg", _stacked(pictures))
    (folder / "report.md").write_text(
        "\n\n".join(_sections(run, ranked, folder)) + "\n", encoding="utf-8"
    )


def _best_and_worst(ranked: list[Row]) -> dict[str, list[Row]]:
    return {"best": ranked[:PICTURED], "worst": ranked[::-1][:PICTURED]}


def _stacked(pictures: list[np.ndarray]) -> np.ndarray:
    """Return the pictures below each other, each WIDTH wide."""
    return np.vstack(
        [
            cv2.resize(
                picture,
                (WIDTH, max(1, round(picture.shape[0] * WIDTH / picture.shape[1]))),
                interpolation=cv2.INTER_AREA,
            )
            for picture in pictures
        ]
    )


def _sections(run: Run, ranked: list[Row], folder: Path) -> list[str]:
    """Return the report's paragraphs; the pictures lie in `folder` already."""
    seconds = sum(float(row["seconds"]) for row in run.rows)
    return [
        f"# {run.heading}",
        f"{len(run.split['train'])} images to train on, {len(run.split['valid'])} to validate on. "
        f"{len(run.rows)} epochs of {run.course}. Training took {seconds / 60:.1f} minutes, "
        "validation left out.",
        *_validation(run),
        f"## Evaluation of {run.figures['images']} images",
        _lines(["figure", "value"], [[name, _shown(run.figures[name])] for name in run.named]),
        *(_picture(folder, name) for name in run.kind.pictures),
        *_images(run, ranked, folder),
        "## Epochs",
        _picture(folder, "curves.png"),
        _epochs(run),
    ]


def _validation(run: Run) -> list[str]:
    """Return the paragraph on the last and the best epoch; none without validation."""
    rows, main = run.rows, run.main
    if main not in rows[0]:
        return []
    best = max(rows, key=lambda row: (float(row[main] or -1), int(row["epoch"])))
    return [
        f"{run.kind.iou} in validation: **{_shown(rows[-1][main])} in the last epoch** "
        f"({rows[-1]['epoch']}), {_shown(best[main])} in the best ({best['epoch']}). Validation "
        "chose the best epoch, so its figure may be too high for other images."
    ]


def _images(run: Run, ranked: list[Row], folder: Path) -> list[str]:
    """Return the paragraphs on single images."""
    sections = []
    others = [row for row in run.images if row not in ranked]
    if others and (said := run.kind.unranked(others)):
        sections.append(said)
    for name, some in _best_and_worst(ranked).items() if ranked else ():
        listed = ", ".join(f"{row['id']} {_shown(row[run.main])}" for row in some)
        sections += [
            f"The {name} {run.kind.shown} ({listed}); {run.kind.legend}:",
            _picture(folder, f"{name}.jpg"),
        ]
    return sections


def _epochs(run: Run) -> str:
    """Return the table of epochs."""
    wanted = ("epoch", "train_loss", *run.kind.main_figures, "learning_rate", "seconds")
    names = [name for name in wanted if name in run.rows[0]]
    cells = [
        [row[name] if name in ("epoch", "seconds") else _shown(row[name]) for name in names]
        for row in run.rows
    ]
    return _lines(names, cells)


def _picture(folder: Path, name: str) -> str:
    return (
        f"![{Path(name).stem}]({name})"
        if (folder / name).exists()
        else f"({name} could not be made)"
    )


def _shown(value: Any) -> str:
    """Return a figure with four digits, or a dash if it is undefined."""
    if value in ("", None) or math.isnan(float(value)):
        return "-"
    return (
        f"{float(value):.4f}"
        if float(value) >= 0.001 or not float(value)
        else f"{float(value):.2g}"
    )


def _lines(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in [heads, ["---"] * len(heads), *rows]
    )
