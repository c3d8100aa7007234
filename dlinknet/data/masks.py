"""Survey masks before the first step, because masks without meaning raise no error in training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, TypeVar

import numpy as np

from dlinknet.images.decode import OpenImage, opened
from dlinknet.images.formats import BadImage
from dlinknet.images.read import readable

Stored = TypeVar("Stored")


@dataclass(frozen=True)
class Marks:
    """The marks of one mask.

    labels: 256 int64, the number of pixels of each label (of roads 0 and 1).
    unknown: the number of pixels with a colour of no class.
    largest: the largest grey value, 0 to 255, of a road mask.
    alpha: True if the alpha channel is not the same everywhere.
    """

    labels: np.ndarray
    unknown: int = 0
    largest: int = 0
    alpha: bool = False


def read_with_alpha(file: Path, ask: Callable[[OpenImage], Stored]) -> tuple[Stored, bool]:
    """Return (the result of `ask` for a mask, whether its alpha channel varies).

    The file is decoded once.

    Raises:
        UserError: the file cannot be read, or the drawing is in the alpha channel, which is not
            read.
    """
    with readable(file), opened(file) as image:
        alpha = image.alpha()
        varies = alpha is not None and int(alpha.min()) != int(alpha.max())
        if varies and (np.ptp(image.colours(), (0, 1)) == 0).all():
            raise BadImage(
                "one colour all over, and a drawing in its alpha channel, which is not read; "
                "save it without alpha"
            )
        return ask(image), varies


def total(marks: Iterable[Marks]) -> tuple[np.ndarray, int]:
    """Return (pixels by label, pixels of an unknown colour) of all masks together."""
    labels, unknown = np.zeros(256, np.int64), 0
    for each in marks:
        labels += each.labels
        unknown += each.unknown
    return labels, unknown
