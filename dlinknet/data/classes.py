"""The classes of a data set: the contract of Roads (roads.py) and ClassTable (class_table.py).

All differences between road masks and masks of several classes are behind `Classes`, or are chosen
by its type in evaluation/judging.py and inference/pictures.py.

A class table is a YAML file:

    classes:
      - {name: sky, colour: [128, 128, 128], values: [0]}
      - {name: building, colour: [128, 0, 0], values: [1], colours: [[128, 0, 0], [0, 128, 64]]}
    void: {name: void, colour: [0, 0, 0], values: [11]}

`colour` (red, green, blue) is what pictures show. `values`: the pixel values in index masks.
`colours`: the pixel colours in colour masks (default: `colour` alone). Several values or colours
are merged into one class. `void` is optional: its pixels count neither in training nor in the
figures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlinknet.data.masks import Marks
from dlinknet.errors import name_some

IGNORED = 255  # the label of a pixel that counts nowhere

Colour = tuple  # (red, green, blue), 0 to 255


@dataclass(frozen=True)
class Class:
    """One class: its name, its colour in pictures, and its values and colours in masks."""

    name: str
    colour: Colour
    values: tuple[int, ...] = ()
    colours: tuple[Colour, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the class as a table holds it."""
        return {
            "name": self.name,
            "colour": list(self.colour),
            "values": list(self.values),
            "colours": [list(colour) for colour in self.colours],
        }


class Classes(ABC):
    """The meaning of a data set's masks.

    Labels are H x W uint8: the place of a class in `known`, or IGNORED.
    """

    @property
    @abstractmethod
    def known(self) -> tuple[Class, ...]:
        """The classes that a label can be."""

    @property
    @abstractmethod
    def mapped(self) -> range:
        """The labels for which a network has a map of logits, in the order of the maps."""

    @property
    @abstractmethod
    def outside(self) -> int:
        """The label of a pixel outside of its image."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes that a label can be."""
        return tuple(each.name for each in self.known)

    @property
    def map_names(self) -> tuple[str, ...]:
        """The names of the classes for which a network has a map of logits."""
        return tuple(self.names[label] for label in self.mapped)

    @property
    def outputs(self) -> int:
        """The number of a network's maps of logits."""
        return len(self.mapped)

    @abstractmethod
    def read(self, file: Path) -> np.ndarray:
        """Return the labels of a mask, H x W uint8.

        Raises:
            UserError: the file cannot be read, or its pixels have no meaning.
        """

    @abstractmethod
    def survey(self, file: Path) -> Marks:
        """Return the marks of a mask, which is decoded once and as `read` decodes it.

        Raises:
            UserError: `read` rejects the file, or the drawing is in the alpha channel, which is not
                read.
        """

    @abstractmethod
    def written_mask(self, labels: np.ndarray) -> np.ndarray:
        """Return the pixels of a mask file for labels; both are H x W uint8."""

    @abstractmethod
    def refuse_meaningless(self, marks: Mapping[str, Marks], folder: str) -> None:
        """Check that the masks of a data set, taken together, can be masks of these classes.

        Args:
            marks: by the masks' file names.
            folder: the masks' folder, for the error's line.

        Raises:
            InputError: they cannot be.
        """

    @abstractmethod
    def refuse_untrainable(self, marks: Sequence[Marks], folder: str) -> None:
        """Check that a network can learn from these masks.

        Args:
            folder: the masks' folder, for the error's line.

        Raises:
            InputError: it cannot.
        """

    def findings(self, marks: Iterable[Marks], what: str) -> list[str]:
        """Return lines for the log on the peculiarities of masks.

        Args:
            what: the name of the masks, such as 'training masks'.
        """
        known = list(marks)
        alpha = sum(each.alpha for each in known)
        found = (
            [f"{alpha} have an alpha channel that is not the same everywhere; it is not read"]
            if alpha
            else []
        )
        return [f"{what}: {line}" for line in [*found, *self._findings(known)]]

    @abstractmethod
    def _findings(self, marks: list[Marks]) -> list[str]:
        """Return the findings without their beginning."""


def names_unlike(trained: Iterable[str], masks: Iterable[str], what: str) -> str:
    """Describe how a model's (or run's) class names differ from the masks'; '' if they are equal.

    Args:
        what: 'model' or 'run'.
    """
    trained, masks = list(trained), list(masks)
    if trained == masks:
        return ""
    said = [
        f"{name_some(some)} only in the {where}"
        for some, where in (
            ([name for name in trained if name not in masks], what),
            ([name for name in masks if name not in trained], "masks"),
        )
        if some
    ]
    return f"the classes differ ({', '.join(said) or 'in their order'})"
