"""How often each class is in a training set, and the weights that make up for it. Pure NumPy."""
from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from dlinknet.console import Progress
from dlinknet.data.classes import Classes
from dlinknet.data.pairs import Pair
from dlinknet.files import write_text

FILE = "class_weights.json"     # in output_path
SMALLEST = 1.02                 # ENet's constant: weights are at most 1 / ln(1.02) = 50.5


def count_labels(pairs: list[Pair], classes: Classes) -> np.ndarray:
    """How many pixels of the masks each class has: int64, one number a class; void that does not count is left out."""
    def of(pair: Pair) -> np.ndarray:
        return np.bincount(classes.read(pair.mask).ravel(), minlength=256)[:len(classes.known)]

    counts = np.zeros(len(classes.known), np.int64)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool, Progress(len(pairs), "class weights", unit="masks") as progress:
        for part in pool.map(of, pairs):
            counts += part
            progress.update(1)
    return counts


def log_weights(counts: np.ndarray) -> np.ndarray:
    """1 / ln(p + 1.02), p being a class's share of the pixels that count: ENet's weights, which LinkNet takes.

    From 1.42 for a class that is everywhere to 50.5 for one that is nowhere; float64.
    """
    return 1 / np.log(counts / counts.sum() + SMALLEST)


def class_weights(pairs: list[Pair], classes: Classes, folder: Path) -> np.ndarray:
    """The log_weights of a training set, float64, from `folder`'s class_weights.json or counted and kept there.

    What was kept is taken where it is of the same masks (by ID and size in bytes) and classes.
    """
    file = folder / FILE
    of = hashlib.sha256(json.dumps([classes.described(), [[pair.id, os.path.getsize(pair.mask)] for pair in pairs]]).encode())
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["of"] == of.hexdigest() and len(kept["pixels"]) == len(classes.known):
            return log_weights(np.array(kept["pixels"], np.int64))
    except (OSError, ValueError, TypeError, LookupError):
        pass        # none yet, or not ours: counted anew
    counts = count_labels(pairs, classes)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps({"of": of.hexdigest(), "classes": classes.names, "pixels": counts.tolist(),
                                 "weights": log_weights(counts).round(6).tolist()}, indent=1))
    return log_weights(counts)
