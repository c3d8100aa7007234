"""Compare a checkpoint with its exports over one set of images: differences and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Union

import numpy as np

from dlinknet.console import Progress, columns
from dlinknet.data.classes import Classes
from dlinknet.data.pairs import Pair
from dlinknet.data.roads import ROADS
from dlinknet.errors import InputError
from dlinknet.evaluation.judging import Judge, judge_of
from dlinknet.evaluation.metrics import Tally, confusion
from dlinknet.evaluation.results_310 import ENDING, read_binary
from dlinknet.images.read import read_image
from dlinknet.inference.engines import Engine
from dlinknet.inference.predictor import Predictor, labels_of
from dlinknet.inference.tiles import Tiling
from dlinknet.threads import prefetch

# An engine, or a folder with the results ID_sat.bin of another program.
Model = Union[Engine, Path]


@dataclass
class Compared:
    """One model over a set: its tally, and its difference from the first model.

    difference: the largest difference in probability at any pixel. pixels: the pixels of all
    images, void or not. changed: the pixels with another label than the first model's.
    """

    name: str
    judge: Judge
    tally: Tally
    difference: float = 0.0
    changed: int = 0
    pixels: int = 0

    @property
    def counts(self) -> np.ndarray:
        """The counts of the whole set, as metrics.confusion returns them."""
        return self.tally.counts

    def add(
        self, found: np.ndarray, first: np.ndarray, truth: np.ndarray, threshold: float
    ) -> None:
        """Add one image.

        Args:
            found, first: the probabilities of this model and of the first, H x W or C x H x W.
            truth: H x W labels.
            threshold: a pixel is road if its probability is above this.
        """
        off = np.abs(found - first)
        largest = float(off.max()) if np.isfinite(off).all() else math.inf
        self.difference = max(self.difference, largest)
        labels = labels_of(found, threshold)
        self.pixels += labels.size
        self.changed += int(np.count_nonzero(labels != labels_of(first, threshold)))
        self.tally.add(confusion(truth, labels, len(self.counts)))

    def figures(self) -> dict[str, float]:
        """Return the figures of the whole set, as evaluation names them."""
        return self.judge.figures(self.tally)

    def row(self) -> dict[str, Any]:
        """Return the row as JSON holds it.

        Undefined figures are null. So is the difference of a model with NaN or infinite
        probabilities.
        """
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
        InputError: the models require different input sizes, and so would see different images.
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

    All models see the same pixels. If a model accepts one size only, all models receive tiles of
    this size, or smaller images padded to it.

    Args:
        models: by name. The order of the result is the same.
        threshold: a pixel is road if its probability is above this.
        classes: the classes of the masks and the models.

    Raises:
        InputError: the models require different input sizes, a result folder lacks an image's file,
            or the model that produced it is not listed.
    """
    answers = _answers(pairs, models, tiling, classes.outputs)
    rows = [Compared(name, judge_of(classes), Tally.of(classes)) for name in models]
    with Progress(len(pairs), "comparison") as progress:
        for pair, (image, truth) in prefetch(
            pairs, lambda pair: (read_image(pair.image), classes.read(pair.mask))
        ):
            first = answers[rows[0].name](pair, image)
            for row in rows:
                found = first if row is rows[0] else answers[row.name](pair, image)
                row.add(found, first, truth, threshold)
            progress.update(1)
    return rows


Answer = Callable[[Pair, np.ndarray], np.ndarray]  # an image -> its probabilities


def _answers(
    pairs: Sequence[Pair], models: dict[str, Model], tiling: Tiling, outputs: int
) -> dict[str, Answer]:
    """Return, by name, the function that gives each model's probabilities of an image.

    Raises:
        InputError: as `compare`.
    """
    size = shared_size(models)
    folders = {name: model for name, model in models.items() if isinstance(model, Path)}
    if folders and (len(tiling.views) > 1 or size is None):
        raise InputError(
            "a folder of results",
            "was computed in one view, with a model of one size: compare it beside that export, "
            "without test-time augmentation",
        )
    predictors = {
        name: Predictor(model, tiling, size)
        for name, model in models.items()
        if not isinstance(model, Path)
    }
    canvases = next(iter(predictors.values())).canvases((pair.height, pair.width) for pair in pairs)

    def compute(predictor: Predictor, pair: Pair, image: np.ndarray) -> np.ndarray:
        return predictor.probability(image, canvases.get((pair.height, pair.width)))

    def read(folder: Path, pair: Pair, image: np.ndarray) -> np.ndarray:
        return read_binary(folder / f"{pair.id}{ENDING}", pair.height, pair.width, outputs)

    return {
        **{name: partial(compute, predictor) for name, predictor in predictors.items()},
        **{name: partial(read, folder) for name, folder in folders.items()},
    }


def as_table(rows: list[Compared]) -> str:
    """Return the rows for people: one line each, with the figures that people follow."""
    shown = rows[0].judge.main_figures
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
    """Return the rows with all figures as JSON."""
    return json.dumps([row.row() for row in rows], indent=1, allow_nan=False)
