"""The frequency of each class in a training set, and the weights that balance it. Pure NumPy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlinknet.data.classes import IGNORED, Classes
from dlinknet.data.masks import total
from dlinknet.data.pairs import Pair
from dlinknet.errors import InputError
from dlinknet.files.atomic import write_text

FILE = "class_weights.json"
SMALLEST = 1.02  # ENet's constant: weights are at most 1 / ln(1.02) = 50.5


@dataclass(frozen=True)
class Frequencies:
    """The number of pixels of each class in a training set's masks.

    names: of the classes. pixels: of each class, int64. void: the pixels that do not count.
    """

    names: tuple[str, ...]
    pixels: np.ndarray
    void: int

    @property
    def shares(self) -> np.ndarray:
        """Return each class's share of the pixels that count, float64."""
        return self.pixels / self.pixels.sum()

    @property
    def weights(self) -> np.ndarray:
        """Return 1 / ln(p + 1.02) of each class's share p, float64.

        These are ENet's weights, which LinkNet uses too: from 1.42 for a class that is everywhere
        to 50.5 for a class that is nowhere.
        """
        return 1 / np.log(self.shares + SMALLEST)


def frequencies(pairs: list[Pair], classes: Classes, folder: Path | None = None) -> Frequencies:
    """Return the frequencies of the classes in a training set.

    Args:
        pairs: the training set. Masks without marks are read.
        folder: receives the frequencies as class_weights.json, for people; None for no file. Of
            several processes, only rank 0 gives it.

    Raises:
        InputError: every pixel is void.
    """
    labels, _ = total(pair.marks or classes.survey(pair.mask) for pair in pairs)
    found = Frequencies(classes.names, labels[: len(classes.known)], int(labels[IGNORED]))
    if not found.pixels.sum():
        raise InputError(
            "every pixel of the training masks", "is void, so that no class can be weighed"
        )
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(
            folder / FILE,
            json.dumps(
                {
                    "classes": found.names,
                    "pixels": found.pixels.tolist(),
                    "void": found.void,
                    "weights": found.weights.round(6).tolist(),
                },
                indent=1,
            ),
        )
    return found
