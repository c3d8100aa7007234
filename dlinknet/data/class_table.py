"""Several classes: masks <-> labels by a class table. The top of classes.py shows a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dlinknet.data.classes import IGNORED, Class, Classes
from dlinknet.data.labels import UNKNOWN, Coding, Unclear, labels_of
from dlinknet.data.masks import Marks, read_with_alpha, total
from dlinknet.errors import InputError, UserError, name_some
from dlinknet.images.decode import OpenImage, Values, decode_values
from dlinknet.images.read import readable

# The share of pixels with a colour of no class from which a table cannot be that of the masks.
MOST_UNKNOWN = 0.5


@dataclass(frozen=True)
class ClassTable(Classes):
    """The classes of a table. A network has a map of logits for each of `known`.

    listed: the classes without void. void: the class of pixels that are of no other class, or None.
    counted: True if void counts as a class like the others, the last of `known`.
    """

    listed: tuple[Class, ...]
    void: Class | None = None
    counted: bool = False

    outside = IGNORED

    @property
    def known(self) -> tuple[Class, ...]:
        """The classes that a label can be."""
        return (*self.listed, self.void) if self.counted and self.void else self.listed

    @property
    def mapped(self) -> range:
        """The labels for which a network has a map of logits: all."""
        return range(len(self.known))

    @property
    def void_label(self) -> int:
        """The label of void."""
        return len(self.listed) if self.counted else IGNORED

    def read(self, file: Path) -> np.ndarray:
        """Return the labels of a mask, H x W uint8.

        A grey image is an index mask. So is a palette image, unless a program made its palette from
        the table's colours. Any other image is read by its colours. A colour of no class is void.

        Raises:
            UserError: the file cannot be read, or can be read in two ways. Or it holds a value of
                no class, or a colour of no class although the table has no void.
        """
        with readable(file):
            values = decode_values(file)
        return self._labels(values, file)[0]

    def survey(self, file: Path) -> Marks:
        """Return the marks of a mask, as Classes.survey does."""
        values, alpha = read_with_alpha(file, OpenImage.values)
        labels, unknown = self._labels(values, file)
        return Marks(np.bincount(labels.ravel(), minlength=256), unknown, alpha=alpha)

    def _labels(self, values: Values, file: Path) -> tuple[np.ndarray, int]:
        """Return (labels, how many pixels have a colour of no class); UserError as for `read`."""
        try:
            labels = labels_of(values, self._coding)
        except Unclear as error:
            raise UserError(f"{file}: {error}") from None
        unknown = labels == UNKNOWN
        count = int(unknown.sum())
        if count:
            self._refuse_unknown(values.pixels[unknown][0], file)
            labels[unknown] = self.void_label
        return labels, count

    def _refuse_unknown(self, pixel: np.ndarray, file: Path) -> None:
        """Raise UserError if a pixel of no class is a value, or if the table has no void."""
        if pixel.ndim == 0 or not self.void:
            what = f"value {pixel}" if pixel.ndim == 0 else f"colour {tuple(map(int, pixel))}"
            raise UserError(
                f"{file}: the {what} is of no class; add it to the class table, or to its void"
            )

    def _labelled(self) -> list[tuple[Class, int]]:
        """Return every class with its label, also void."""
        return [
            *zip(self.listed, range(len(self.listed))),
            *([(self.void, self.void_label)] if self.void else []),
        ]

    @cached_property
    def _coding(self) -> Coding:
        """The values and colours of each label in masks."""
        values = np.full(256, UNKNOWN, np.uint8)
        colours: dict[int, int] = {}
        twice: tuple[int, ...] = ()
        for each, label in self._labelled():
            values[list(each.values)] = label
            for red, green, blue in each.colours or (each.colour,):
                if colours.setdefault((red << 16) + (green << 8) + blue, label) != label:
                    twice = red, green, blue
        return Coding(values, None if twice else colours, twice)

    def palette(self) -> np.ndarray:
        """Return the colour of each label, 256 x 3 uint8, BGR.

        IGNORED has void's colour if void does not count. A label of no class is black.
        """
        table = np.zeros((256, 3), np.uint8)
        for each, label in self._labelled():
            table[label] = each.colour[::-1]
        return table

    def written_mask(self, labels: np.ndarray) -> np.ndarray:
        """Return labels as an index mask, H x W uint8: the first value of each class.

        If a class has no value, all classes are written as their labels.
        """
        table = np.arange(256, dtype=np.uint8)
        if all(each.values for each in self.known):
            for each, label in self._labelled():
                table[label] = each.values[0] if each.values else label
        return table[labels]

    def to_dict(self) -> dict[str, Any]:
        """Return the table as a checkpoint holds it; `parse_classes` accepts it."""
        return {
            "classes": [each.to_dict() for each in self.listed],
            "void": self.void and self.void.to_dict(),
            "void_counted": self.counted,
        }

    def refuse_meaningless(self, marks: Mapping[str, Marks], folder: str) -> None:
        """Raise InputError if most colours are of no class, or all pixels are void; see Classes."""
        labels, unknown = total(marks.values())
        if unknown > MOST_UNKNOWN * labels.sum():
            raise InputError(
                folder,
                f": {_percent(unknown, labels)} of the masks' pixels have a colour that is of no "
                "class; is the class table that of these masks? (Colour masks must not have been "
                "JPEG files; index masks have one channel.)",
            )
        if not labels[: len(self.known)].sum():
            raise InputError(
                folder,
                ": every pixel of every mask is void; is the class table that of these masks? "
                "(Index masks have one channel, colour masks three.)",
            )

    def refuse_untrainable(self, marks: Sequence[Marks], folder: str) -> None:
        """Accept all masks, because a class without a pixel may be intended."""

    def _findings(self, marks: list[Marks]) -> list[str]:
        labels, unknown = total(marks)
        void = labels[self.void_label]
        missing = [name for name, count in zip(self.names, labels) if not count]
        lines = []
        if void:
            why = f", {_percent(unknown, labels)} because their colour is of no class"
            lines.append(
                f"{_percent(void, labels)} of the pixels are void" + (why if unknown else "")
            )
        if missing and marks:
            lines.append(f"no pixel is {name_some(missing)}")
        return lines


def _percent(count: int, labels: np.ndarray) -> str:
    return f"{100 * count / max(1, labels.sum()):.1f} %"


def table_of(classes: Classes) -> ClassTable | None:
    """Return the class table that files hold for classes; None for roads, which need no table."""
    return classes if isinstance(classes, ClassTable) else None
