"""How often each class is in a training set, and the weights that make up for it. Pure NumPy."""
from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlinknet.console import LOG, Progress
from dlinknet.data.classes import IGNORED, Classes
from dlinknet.data.pairs import Pair
from dlinknet.errors import UserError, name_some
from dlinknet.files import write_text

FILE = "class_weights.json"     # in output_path
SMALLEST = 1.02                 # ENet's constant: weights are at most 1 / ln(1.02) = 50.5


@dataclass(frozen=True)
class Frequencies:
    """How many pixels of a training set's masks are of each class, int64, and how many are void that does not count."""

    names: tuple[str, ...]
    pixels: np.ndarray
    void: int

    @property
    def shares(self) -> np.ndarray:
        """Each class's share of the pixels that count, float64."""
        return self.pixels / self.pixels.sum()

    @property
    def weights(self) -> np.ndarray:
        """1 / ln(p + 1.02), p being a class's share: ENet's weights, which LinkNet takes.

        From 1.42 for a class that is everywhere to 50.5 for one that is nowhere; float64.
        """
        return 1 / np.log(self.shares + SMALLEST)

    @property
    def missing(self) -> list[str]:
        """The classes that no pixel is of: a table that does not fit, or a name too many."""
        return [name for name, pixels in zip(self.names, self.pixels) if not pixels]


def count(pairs: list[Pair], classes: Classes) -> Frequencies:
    """Counts the labels of these masks."""
    def of(pair: Pair) -> np.ndarray:
        return np.bincount(classes.read(pair.mask).ravel(), minlength=256)

    labels = np.zeros(256, np.int64)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool, Progress(len(pairs), "class weights", unit="masks") as progress:
        for part in pool.map(of, pairs):
            labels += part
            progress.update(1)
    return Frequencies(classes.names, labels[:len(classes.known)], int(labels[IGNORED]))


def frequencies(pairs: list[Pair], classes: Classes, folder: Path, writes: bool = True) -> Frequencies:
    """Those of a training set, from `folder`'s class_weights.json or counted.

    What was kept is taken where it is of the same masks (by ID, size in bytes and time of change) and classes.

    Args:
        writes: keep in `folder` what was counted; False in a process that leaves that, and saying so, to another one.

    Raises:
        UserError: all of it is void.
    """
    file = folder / FILE
    masks = [(pair.id, pair.mask.stat()) for pair in pairs]
    of = hashlib.sha256(json.dumps([classes.described(), [[id, found.st_size, found.st_mtime_ns] for id, found in masks]]).encode())
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["of"] == of.hexdigest() and len(kept["pixels"]) == len(classes.known):
            return _looked_at(Frequencies(classes.names, np.array(kept["pixels"], np.int64), int(kept["void"])), writes)
    except (OSError, ValueError, TypeError, LookupError):
        pass        # none yet, or not ours: counted anew
    found = _looked_at(count(pairs, classes), writes)
    if writes:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps({"of": of.hexdigest(), "classes": found.names, "pixels": found.pixels.tolist(), "void": found.void,
                                     "weights": found.weights.round(6).tolist()}, indent=1))
    return found


def _looked_at(found: Frequencies, says: bool) -> Frequencies:
    if not found.pixels.sum():
        raise UserError("class_weights: every pixel of the training masks is void, so no class can be weighed")
    if found.missing and says:
        LOG.info("no pixel of the training masks is %s", name_some(found.missing))
    return found
