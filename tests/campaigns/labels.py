"""The class table of the campaigns: three classes and void. One class has two values."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np

from dlinknet.data.class_table import ClassTable
from dlinknet.data.read_table import read_table

TABLE = """classes:
  - {name: sky, colour: [128, 128, 128], values: [0]}
  - {name: road, colour: [128, 64, 128], values: [1]}
  - {name: car, colour: [64, 0, 128], values: [2, 7]}
void: {name: void, colour: [0, 0, 0], values: [11]}
"""
COLOURS = np.array([[128, 128, 128], [128, 64, 128], [64, 0, 128], [0, 0, 0]], np.uint8)
VALUES = np.array([0, 1, 2, 11], np.uint8)


@functools.lru_cache(maxsize=1)
def class_table() -> ClassTable:
    """Return the classes of TABLE."""

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.yaml"
        file.write_text(TABLE, encoding="utf-8")
        return read_table(file, False)
