"""What the pixels of a data set can be: road or not, or the classes of a table. Masks -> labels, and labels -> masks.

A table is a YAML file:

    classes:
      - {name: sky, colour: [128, 128, 128], values: [0]}
      - {name: building, colour: [128, 0, 0], values: [1], colours: [[128, 0, 0], [0, 128, 64]]}
    void: {name: void, colour: [0, 0, 0], values: [11]}

colour (red, green, blue) is what pictures show. values are what index masks hold, colours what colour masks hold, where it is not
`colour` alone; several of them are fused into one class. void is optional: what counts neither in training nor in figures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Iterable

import numpy as np

from dlinknet.data.labels import UNKNOWN, Coding, Unclear, labels_of
from dlinknet.errors import InputError, UserError, clipped, name_some, shown
from dlinknet.files.texts import BadText, read_yaml
from dlinknet.images.decode import decode_values
from dlinknet.images.read import read_mask, readable

IGNORED = 255  # the label of a pixel that counts nowhere
MOST = 250  # classes of a table
NAME = 60  # letters of a class's name

# The figures that people follow, of several classes and of roads; the first says which epoch was the best.
SHOWN = {
    False: ("mean_iou", "mean_class_recall", "mean_image_dice", "pixel_accuracy"),
    True: ("road_iou", "precision", "recall", "f1"),
}

Colour = tuple  # (red, green, blue), 0 to 255


@dataclass(frozen=True)
class Class:
    """One class: its name, how pictures show it, and what index masks and colour masks hold for it."""

    name: str
    colour: Colour
    values: tuple[int, ...] = ()
    colours: tuple[Colour, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As the table holds it."""
        return {
            "name": self.name,
            "colour": list(self.colour),
            "values": list(self.values),
            "colours": [list(colour) for colour in self.colours],
        }


@dataclass(frozen=True)
class Classes:
    """The classes of a data set; a label is a class's place in `known`.

    void: the class of pixels that are of none, or None. counted: void is a class as the others are, the last of `known`.
    road: masks are grey, road from 128 on, and the network has one map of logits, of road.
    """

    listed: tuple[Class, ...]
    void: Class | None = None
    counted: bool = False
    road: bool = False

    @property
    def known(self) -> tuple[Class, ...]:
        """The classes that a label can be."""
        return (*self.listed, self.void) if self.counted and self.void else self.listed

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.known)

    @property
    def outputs(self) -> int:
        """How many maps of logits a network of theirs has."""
        return 1 if self.road else len(self.known)

    @property
    def outside(self) -> int:
        """The label of a pixel outside of its image."""
        return 0 if self.road else IGNORED

    @property
    def void_label(self) -> int:
        """The label of void."""
        return len(self.listed) if self.counted else IGNORED

    @property
    def shown(self) -> tuple[str, ...]:
        """Those of SHOWN."""
        return SHOWN[self.road]

    def read(self, file: Path) -> np.ndarray:
        """Return a mask as labels, H x W uint8: places in `known`, or IGNORED.

        A grey image is an index mask; a palette image too, unless a program made the palette of the table's colours. Any other one is
        read by its colours. A colour of no class is void.

        Raises:
            UserError: the file cannot be read, can be read in two ways, holds a value of no class, or a colour of none and the
                table has no void.
        """
        return self.read_counting(file)[0]

    def read_counting(self, file: Path) -> tuple[np.ndarray, int]:
        """Return (labels as `read` gives them, how many pixels have a colour of no class)."""
        if self.road:
            return read_mask(file), 0
        with readable(file):
            values = decode_values(file)
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
        """Raise UserError unless a pixel of no class may be void: a colour may."""
        if pixel.ndim == 0 or not self.void:
            what = f"value {pixel}" if pixel.ndim == 0 else f"colour {tuple(map(int, pixel))}"
            raise UserError(
                f"{file}: the {what} is of no class; add it to the class table, or to its void"
            )

    def _labelled(self) -> list[tuple[Class, int]]:
        """Every class with its label; void too."""
        return [
            *zip(self.listed, range(len(self.listed))),
            *([(self.void, self.void_label)] if self.void else []),
        ]

    @cached_property
    def _coding(self) -> Coding:
        """What masks hold for each label."""
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
        """256 x 3 uint8, BGR: the colour of each label; of IGNORED void's, else black."""
        table = np.zeros((256, 3), np.uint8)
        for each, label in self._labelled():
            table[label] = each.colour[::-1]
        return table

    def index_mask(self, labels: np.ndarray) -> np.ndarray:
        """H x W uint8 labels as an index mask: the first value of each class, or their places where one of them has no value."""
        table = np.arange(256, dtype=np.uint8)
        if all(each.values for each in self.known):
            for each, label in self._labelled():
                table[label] = each.values[0] if each.values else label
        return table[labels]

    def to_dict(self) -> dict[str, Any]:
        """As a checkpoint holds it; parse_classes takes it."""
        return {
            "classes": [each.to_dict() for each in self.listed],
            "void": self.void and self.void.to_dict(),
            "void_counted": self.counted,
        }


ROADS = Classes((Class("background", (0, 0, 0)), Class("road", (255, 255, 255))), road=True)


def names_unlike(trained: Iterable[str], masks: Iterable[str], what: str) -> str:
    """How the names of a model's classes, or a run's (`what`), differ from those of the masks, in words; empty where they do not."""
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


def read_table(file: Path, count_void: bool) -> Classes:
    """The table in a YAML file.

    Args:
        count_void: void is a class as the others are.

    Raises:
        UserError: it cannot be read, or is no table.
    """
    try:
        documents = read_yaml(file)
        return replace(
            parse_classes(documents[0] if len(documents) == 1 else None), counted=count_void
        )
    except OSError as error:
        raise InputError(file, f": {error.strerror}", before="cannot read") from None
    except (BadText, LookupError, TypeError, ValueError) as error:
        reason = clipped(f"is no class table ({error})", 240)
        raise InputError(file, f"{reason}; dlinknet/data/classes.py shows one") from None


def parse_classes(values: Any) -> Classes:
    """Return the classes that Classes.to_dict or a table's YAML describes.

    Raises:
        ValueError: the values are no table; the text says what is wrong, in a short line.
    """
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        raise ValueError("it needs a list of classes")
    _refuse_keys(values, {"classes", "void", "void_counted"})
    if not 2 <= len(values["classes"]) <= MOST:
        raise ValueError(f"2 to {MOST} classes, not {len(values['classes'])}")
    void, counted = values.get("void"), values.get("void_counted", False)
    if not isinstance(counted, bool):
        raise ValueError(f"void_counted is true or false, not {shown(counted)}")
    found = Classes(
        tuple(map(_parse_class, values["classes"])),
        None if void is None else _parse_class(void),
        counted,
    )
    every = [*found.listed, *([found.void] if found.void else [])]
    # A figure's name has '_' for a space.
    for what, things in (
        ("name", [each.name.replace(" ", "_") for each in every]),
        ("value", [value for each in every for value in each.values]),
    ):
        twice = next((thing for thing in things if things.count(thing) > 1), None)
        if twice is not None:
            raise ValueError(f"{what} {shown(twice)} stands there twice")
    return found


def _parse_class(values: Any) -> Class:
    if not isinstance(values, dict) or not {"name", "colour"} <= values.keys():
        raise ValueError(f"a class has a name and a colour, and {shown(values)} does not")
    _refuse_keys(values, {"name", "colour", "values", "colours"})
    name, numbers, colours = values["name"], values.get("values", []), values.get("colours", [])
    if (
        not isinstance(name, (str, int))
        or isinstance(name, bool)
        or not 0 < len(str(name)) <= NAME
        or not str(name).isprintable()
    ):
        raise ValueError(f"a class's name is a text of 1 to {NAME} letters, not {shown(name)}")
    if not _are_bytes(numbers):
        raise ValueError(
            f"{name}: values are a list of numbers from 0 to 255, not {shown(numbers)}"
        )
    if not isinstance(colours, list) or len(colours) > 256:
        raise ValueError(f"{name}: colours are a list of at most 256 colours, not {shown(colours)}")
    return Class(str(name), _colour(values["colour"]), tuple(numbers), tuple(map(_colour, colours)))


def _refuse_keys(values: dict, known: set[str]) -> None:
    unknown = next((key for key in values if key not in known), None)
    if unknown is not None:
        raise ValueError(f"unknown key {shown(unknown)}")


def _colour(values: Any) -> Colour:
    if not _are_bytes(values) or len(values) != 3:
        raise ValueError(f"a colour is three numbers from 0 to 255, not {shown(values)}")
    return tuple(values)


def _are_bytes(values: Any) -> bool:
    """Whether it is a list of whole numbers from 0 to 255."""
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 256 for value in values
    )
