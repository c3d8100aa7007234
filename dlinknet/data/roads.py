"""Road masks: a grey value of at least 128 is road."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlinknet.data.classes import Class, Classes
from dlinknet.data.masks import Marks, read_with_alpha, total
from dlinknet.errors import InputError, name_some
from dlinknet.images.decode import OpenImage, decode_grey
from dlinknet.images.read import readable

ROAD_MINIMUM = 128  # a mask's pixel is road from here on


@dataclass(frozen=True)
class Roads(Classes):
    """Road or not. Labels are 0 and 1 (road); a network has one map of logits, of road."""

    known = (Class("background", (0, 0, 0)), Class("road", (255, 255, 255)))
    mapped = range(1, 2)
    outside = 0

    def read(self, file: Path) -> np.ndarray:
        """Return the labels of a mask, H x W uint8: 1 for pixels of at least 128, else 0.

        Raises:
            UserError: the file cannot be decoded.
        """
        with readable(file):
            return (decode_grey(file) >= ROAD_MINIMUM).view(np.uint8)

    def survey(self, file: Path) -> Marks:
        """Return the marks of a mask, as Classes.survey does."""
        grey, alpha = read_with_alpha(file, OpenImage.grey)
        labels = np.zeros(256, np.int64)
        labels[1] = (grey >= ROAD_MINIMUM).sum()
        labels[0] = grey.size - labels[1]
        return Marks(labels, largest=int(grey.max()), alpha=alpha)

    def written_mask(self, labels: np.ndarray) -> np.ndarray:
        """Return labels as ID_mask.png holds them, H x W uint8: 255 for road, else 0."""
        return labels * 255

    def refuse_meaningless(self, marks: Mapping[str, Marks], folder: str) -> None:
        """Raise InputError if a mask holds 0 and 1 only, or if no mask marks road; see Classes.

        Masks that are all black pass.
        """
        faint = any(0 < each.largest < ROAD_MINIMUM for each in marks.values())
        ones = [name for name, each in marks.items() if each.largest == 1]
        most = max((each.largest for each in marks.values()), default=0)
        if faint and most < ROAD_MINIMUM:
            raise InputError(
                folder,
                f": no mask marks any road: road must be 255 (at least {ROAD_MINIMUM}), the "
                f"largest value in these masks is {most}",
            )
        if ones:
            raise InputError(
                folder,
                f": {len(ones)} mask{'s hold' if len(ones) > 1 else ' holds'} 0 and 1 only "
                f"({name_some(ones)}), in which nothing is road: road must be 255 (at least "
                f"{ROAD_MINIMUM}); multiply them by 255",
            )

    def refuse_untrainable(self, marks: Sequence[Marks], folder: str) -> None:
        """Raise InputError unless some pixels are road and some are not; see Classes."""
        labels, _ = total(marks)
        if not labels.any():
            return
        if not labels[1]:
            raise InputError(
                folder,
                f": no mask marks any road: all {len(marks)} masks are black (road is 255)",
            )
        if not labels[0]:
            raise InputError(
                folder,
                f": every pixel of all {len(marks)} masks is road; background must be below "
                f"{ROAD_MINIMUM}",
            )

    def _findings(self, marks: list[Marks]) -> list[str]:
        faint = sum(0 < each.largest < ROAD_MINIMUM for each in marks)
        full = sum(bool(each.labels[1]) and not each.labels[0] for each in marks)
        lines = []
        if faint:
            lines.append(
                f"{faint} mark no road, though they hold values from 1 to {ROAD_MINIMUM - 1} "
                f"(road is from {ROAD_MINIMUM} on)"
            )
        if full:
            lines.append(f"{full} are road all over")
        return lines


ROADS = Roads()
