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
from pathlib import Path
from typing import Any, Iterable

import numpy as np
import yaml
from PIL import Image

from dlinknet.data.images import what_fails
from dlinknet.data.preprocess import read_mask
from dlinknet.errors import UserError, name_some

IGNORED = 255                   # the label of a pixel that counts nowhere
_UNKNOWN = 254                  # within this file: a value that no class has
MOST = 250                      # classes of a table

# The figures that people follow, of several classes and of roads; the first says which epoch was the best.
SHOWN = {False: ("mean_iou", "mean_class_recall", "mean_image_dice", "pixel_accuracy"), True: ("road_iou", "precision", "recall", "f1")}

Colour = tuple                  # (red, green, blue), 0 to 255


@dataclass(frozen=True)
class Class:
    """One class: its name, how pictures show it, and what index masks and colour masks hold for it."""

    name: str
    colour: Colour
    values: tuple[int, ...] = ()
    colours: tuple[Colour, ...] = ()

    def described(self) -> dict[str, Any]:
        """As the table holds it."""
        return {"name": self.name, "colour": list(self.colour), "values": list(self.values),
                "colours": [list(colour) for colour in self.colours]}


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
        """A mask as labels, H x W uint8: places in `known`, or IGNORED.

        A grey or palette image is an index mask, any other one is read by its colours. A colour of no class is void.

        Raises:
            UserError: the file cannot be read, holds a value of no class, or a colour of none where there is no void.
        """
        if self.road:
            return read_mask(file)
        try:
            with Image.open(file) as image:
                index = image.mode in ("L", "LA", "P", "PA", "1")
                pixels = np.asarray(image.getchannel(0) if image.mode in ("LA", "PA") else image if index else image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"{file}: {getattr(error, 'strerror', None) or what_fails(error)}") from None
        labels = self._of_values(pixels) if index else self._of_colours(pixels)
        unknown = labels == _UNKNOWN
        if unknown.any():
            what = f"value {pixels[unknown][0]}" if index else f"colour {tuple(map(int, pixels[unknown][0]))}"
            raise UserError(f"{file}: the {what} is of no class; add it to the class table, or to its void")
        return labels

    def _labelled(self) -> list[tuple[Class, int]]:
        """Every class with its label; void too."""
        return [*zip(self.listed, range(len(self.listed))), *([(self.void, self.void_label)] if self.void else [])]

    def _of_values(self, pixels: np.ndarray) -> np.ndarray:
        table = np.full(256, _UNKNOWN, np.uint8)
        for each, label in self._labelled():
            table[list(each.values)] = label
        return table[pixels.astype(np.uint8)]

    def _of_colours(self, pixels: np.ndarray) -> np.ndarray:
        others = self.void_label if self.void else _UNKNOWN
        packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        coloured: dict[int, int] = {}
        for each, label in self._labelled():
            for red, green, blue in each.colours or (each.colour,):
                if coloured.setdefault((red << 16) + (green << 8) + blue, label) != label:
                    raise UserError(f"class_table: colour {(red, green, blue)} is of two classes; such masks are read by values only")
        keys = np.array(sorted(coloured), np.uint32)
        places = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
        labels = np.array([coloured[key] for key in keys.tolist()], np.uint8)[places]
        return np.where(keys[places] == packed, labels, np.uint8(others))

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

    def described(self) -> dict[str, Any]:
        """As a checkpoint holds it; parse_classes takes it."""
        return {"classes": [each.described() for each in self.listed], "void": self.void and self.void.described(),
                "void_counted": self.counted}


ROADS = Classes((Class("background", (0, 0, 0)), Class("road", (255, 255, 255))), road=True)


def names_unlike(trained: Iterable[str], masks: Iterable[str], what: str) -> str:
    """How the names of a model's classes, or a run's (`what`), differ from those of the masks, in words; empty where they do not."""
    trained, masks = list(trained), list(masks)
    if trained == masks:
        return ""
    said = [f"{name_some(some)} only in the {where}" for some, where in (
        ([name for name in trained if name not in masks], what), ([name for name in masks if name not in trained], "masks")) if some]
    return f"the classes differ ({', '.join(said) or 'in their order'})"


def read_table(file: Path, key: str, count_void: bool) -> Classes:
    """The table in a YAML file.

    Args:
        key: the setting that named it, for the error's line.
        count_void: void is a class as the others are.

    Raises:
        UserError: it cannot be read, or is no table.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{key}: cannot read {file}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise UserError(f"{key}: {file} is not YAML") from None
    try:
        return replace(parse_classes(values), counted=count_void)
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"{key}: {file} is no class table ({error}); dlinknet/data/classes.py shows one") from None


def parse_classes(values: Any) -> Classes:
    """What Classes.described gave, or a table's YAML. ValueError, TypeError or LookupError says what is wrong."""
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        raise ValueError("it needs a list of classes")
    listed, void = tuple(map(_parse_class, values["classes"])), values.get("void")
    found = Classes(listed, _parse_class(void) if void else None, bool(values.get("void_counted", False)))
    every = [*listed, *([found.void] if found.void else [])]
    if not 2 <= len(listed) <= MOST:
        raise ValueError(f"2 to {MOST} classes, not {len(listed)}")
    # A figure's name has '_' for a space.
    for what, things in (("name", [each.name.replace(" ", "_") for each in every]),
                         ("value", [value for each in every for value in each.values])):
        twice = next((thing for thing in things if things.count(thing) > 1), None)
        if twice is not None:
            raise ValueError(f"{what} {twice} stands there twice")
    return found


def _parse_class(values: Any) -> Class:
    if not isinstance(values, dict) or not {"name", "colour"} <= values.keys():
        raise ValueError(f"a class has a name and a colour, and {values} does not")
    unknown = set(values) - {"name", "colour", "values", "colours"}
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]}")
    numbers, colours = values.get("values", []), values.get("colours", [])
    if not _are_bytes(numbers):
        raise ValueError(f"{values['name']}: values are a list of numbers from 0 to 255, not {numbers}")
    if not isinstance(colours, list):
        raise ValueError(f"{values['name']}: colours are a list of colours, not {colours}")
    return Class(str(values["name"]), _colour(values["colour"]), tuple(numbers), tuple(map(_colour, colours)))


def _colour(values: Any) -> Colour:
    if not _are_bytes(values) or len(values) != 3:
        raise ValueError(f"a colour is three numbers from 0 to 255, not {values}")
    return tuple(values)


def _are_bytes(values: Any) -> bool:
    """Whether it is a list of whole numbers from 0 to 255."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 256 for value in values)
