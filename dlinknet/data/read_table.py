"""Read class tables from YAML files and checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Class, Colour
from dlinknet.errors import InputError, clipped, shown
from dlinknet.files.texts import BadText, read_yaml

MOST = 250  # classes of a table
NAME = 60  # letters of a class's name


def read_table(file: Path, count_void: bool) -> ClassTable:
    """Return the table in a YAML file.

    Args:
        count_void: True if void counts as a class like the others.

    Raises:
        InputError: the file cannot be read, or is no class table.
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


def parse_classes(values: Any) -> ClassTable:
    """Return the table that ClassTable.to_dict or a YAML file describes.

    Raises:
        ValueError: the values are no table. The text is the fault, in a short line.
    """
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        raise ValueError("it needs a list of classes")
    _refuse_keys(values, {"classes", "void", "void_counted"})
    if not 2 <= len(values["classes"]) <= MOST:
        raise ValueError(f"2 to {MOST} classes, not {len(values['classes'])}")
    void, counted = values.get("void"), values.get("void_counted", False)
    if not isinstance(counted, bool):
        raise ValueError(f"void_counted is true or false, not {shown(counted)}")
    found = ClassTable(
        tuple(map(_parse_class, values["classes"])),
        None if void is None else _parse_class(void),
        counted,
    )
    every = [*found.listed, *([found.void] if found.void else [])]
    # Names of figures have '_' for a space, so 'a b' and 'a_b' would be equal there.
    names: list[Any] = [each.name.replace(" ", "_") for each in every]
    values_of_all: list[Any] = [value for each in every for value in each.values]
    for what, things in (("name", names), ("value", values_of_all)):
        twice = next((thing for thing in things if things.count(thing) > 1), None)
        if twice is not None:
            raise ValueError(f"the {what} {shown(twice)} is there twice")
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
    """Return whether `values` is a list of whole numbers from 0 to 255."""
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 256 for value in values
    )
