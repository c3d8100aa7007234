"""A checkpoint and what was exported of it, over one set of images: how far apart they are, and the figures of each."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence, Union

import numpy as np

from dlinknet.console import Progress, columns
from dlinknet.data.classes import ROADS, Classes
from dlinknet.data.pairs import Pair
from dlinknet.errors import InputError
from dlinknet.evaluation.metrics import Tally, confusion, set_figures
from dlinknet.evaluation.results_310 import ENDING, read_binary
from dlinknet.images.read import read_image
from dlinknet.inference.engines import Engine
from dlinknet.inference.predictor import Predictor, labels_of
from dlinknet.inference.tiles import Tiling
from dlinknet.threads import prefetch

Model = Union[
    Engine, Path
]  # what computes, or a folder of ID_sat.bin that something else has computed


@dataclass
class Compared:
    """One model over a set: its tally, and its distance from the first model.

    difference: the largest, in probability, of any pixel. changed: how many of `pixels` are of another class than the first model
    says (of roads: road in one and not in the other), void or not.
    """

    name: str
    classes: Classes
    tally: Tally
    difference: float = 0.0
    changed: int = 0
    pixels: int = 0

    @property
    def counts(self) -> np.ndarray:
        """As metrics.confusion gives them."""
        return self.tally.counts

    def figures(self) -> dict[str, float]:
        """Of the whole set, as evaluation names them."""
        return set_figures(self.tally, self.classes)

    def row(self) -> dict:
        """As JSON holds it; undefined figures are null, and so is the difference of a model that gives what is no number."""
        values = {"largest_difference": self.difference, **self.figures()}
        return {
            "model": self.name,
            "pixels_changed": self.changed,
            "pixels": self.pixels,
            **{name: value if math.isfinite(value) else None for name, value in values.items()},
        }


def shared_size(models: dict[str, Model]) -> tuple[int, int] | None:
    """Return the (height, width) of the engines that accept one size only; None if all accept any.

    Raises:
        InputError: the models need different input sizes, so that they would see different images.
    """
    sizes = {
        name: model.size
        for name, model in models.items()
        if not isinstance(model, Path) and model.size
    }
    if len(set(sizes.values())) > 1:
        words = ", ".join(
            f"{name} requires {width}x{height}" for name, (height, width) in sizes.items()
        )
        raise InputError(
            "models of different sizes",
            f"see different images ({words}): compare them one at a time",
        )
    return next(iter(sizes.values()), None)


def compare(
    pairs: Sequence[Pair],
    models: dict[str, Model],
    tiling: Tiling,
    threshold: float,
    classes: Classes = ROADS,
) -> list[Compared]:
    """Run all models over all images, and compare each with the first.

    All see the same pixels: if one accepts one size only, all get images padded to it, or tiles of it.

    Args:
        classes: what masks and models know.

    Raises:
        InputError: the models need different input sizes, a result folder lacks an image's file, or
            the model that produced it is not listed.
    """
    size = shared_size(models)
    if any(isinstance(model, Path) for model in models.values()) and (
        len(tiling.views) > 1 or size is None
    ):
        raise InputError(
            "a folder of results",
            "was computed in one view, with a model of one size: name that export beside it, and "
            "leave --tta away",
        )
    predictors = {
        name: Predictor(model, tiling, size)
        for name, model in models.items()
        if not isinstance(model, Path)
    }
    canvases = next(iter(predictors.values())).canvases((pair.height, pair.width) for pair in pairs)

    def probability(name: str, pair: Pair, image: np.ndarray) -> np.ndarray:
        if name in predictors:
            return predictors[name].probability(image, canvases.get((pair.height, pair.width)))
        return read_binary(
            models[name] / f"{pair.id}{ENDING}", pair.height, pair.width, classes.outputs
        )

    rows = [Compared(name, classes, Tally.of(classes)) for name in models]
    with Progress(len(pairs), "comparison") as progress:
        for pair, (image, truth) in prefetch(
            pairs, lambda pair: (read_image(pair.image), classes.read(pair.mask))
        ):
            first = None
            for row in rows:
                found = probability(row.name, pair, image)
                first = found if first is None else first
                off = np.abs(found - first)
                row.difference = max(
                    row.difference, float(off.max()) if np.isfinite(off).all() else math.inf
                )
                labels = labels_of(found, threshold)
                row.pixels += labels.size
                row.changed += int(np.count_nonzero(labels != labels_of(first, threshold)))
                row.tally.add(confusion(truth, labels, len(classes.known)))
            progress.update(1)
    return rows


def as_table(rows: list[Compared]) -> str:
    """The rows for people: one line each, the figures as evaluation prints them."""
    shown = rows[0].classes.shown
    lines = [["model", "largest difference", "pixels changed", *shown]]
    for row in rows:
        values = row.figures()
        lines.append(
            [
                row.name,
                f"{row.difference:.2g}",
                f"{row.changed} of {row.pixels}",
                *(f"{values[name]:.6f}" for name in shown),
            ]
        )
    return columns(lines)


def as_json(rows: list[Compared]) -> str:
    """The rows with all figures as JSON."""
    return json.dumps([row.row() for row in rows], indent=1, allow_nan=False)
