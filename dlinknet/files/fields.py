"""Dicts from untrusted files: every field is checked for type and range. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from dlinknet.errors import clipped, shown

_REQUIRED: Any = object()
_EXACT = 2**53  # every JSON reader keeps whole numbers up to this one exactly


class BadFields(Exception):
    """A dict has a missing or wrong field.

    The message names the field, but not the file, in at most 160 characters.
    """

    def __init__(self, reason: str):
        super().__init__(clipped(reason, 160))


class Fields:
    """One dict from a file.

    The methods return the value of a field, or `default` if the dict lacks the field and a default
    is given.

    Args:
        values: the value of the file, which should be a dict.
        name: the name of the dict, which precedes the names of its fields in messages; '' for the
            outermost dict.

    Raises:
        BadFields: `values` is not a dict. The methods: the field is missing, has another type, or
            is outside its range.
    """

    def __init__(self, values: Any, name: str = ""):
        if not isinstance(values, dict):
            raise BadFields(f"{name or 'the text'} is {shown(values)}, not a dict")
        self._values, self._name = values, name

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def names(self) -> Iterator[str]:
        """Yield the names of all fields."""
        for name in self._values:
            if not isinstance(name, str):
                raise self.wrong(f"has the field {shown(name)}, whose name is not a text")
            yield name

    def value(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return a value of any type."""
        if name in self._values:
            return self._values[name]
        if default is _REQUIRED:
            raise BadFields(f"{self._path(name)} is missing")
        return default

    def text(self, name: str, default: Any = _REQUIRED, most: int = 200) -> str:
        """Return a text of at most `most` characters."""
        value = self.value(name, default)
        if not isinstance(value, str) or len(value) > most:
            raise self._unlike(name, value, f"a text of at most {most} characters")
        return value

    def whole(self, name: str, default: Any = _REQUIRED, least: int = 0, most: int = _EXACT) -> int:
        """Return a whole number from `least` to `most`. True and False are not numbers."""
        value = self.value(name, default)
        if type(value) is not int or not least <= value <= most:
            limits = f"from {least} on" if most == _EXACT else f"from {least} to {most}"
            raise self._unlike(name, value, f"a whole number {limits}")
        return value

    def number(
        self,
        name: str,
        default: Any = _REQUIRED,
        least: float = -math.inf,
        above: float = -math.inf,
        finite: bool = True,
    ) -> float:
        """Return a number of at least `least` and greater than `above`.

        Args:
            finite: False accepts NaN and infinity too.
        """
        value = self.value(name, default)
        if type(value) not in (int, float):
            raise self._unlike(name, value, "a number")
        if finite and not math.isfinite(value):
            raise self._unlike(name, value, "a finite number")
        if value < least or value <= above and above > -math.inf:
            raise self._unlike(
                name, value, f"at least {least:g}" if value < least else f"above {above:g}"
            )
        return float(value)

    def sequence(self, name: str, default: Any = _REQUIRED) -> list[Any]:
        """Return a list with items of any type."""
        value = self.value(name, default)
        if not isinstance(value, list):
            raise self._unlike(name, value, "a list")
        return value

    def texts(self, name: str, default: Any = _REQUIRED) -> list[str]:
        """Return a list of texts."""
        values = self.sequence(name, default)
        for value in values:
            if not isinstance(value, str):
                raise BadFields(f"{self._path(name)} holds {shown(value)}, not a text")
        return values

    def wholes(self, name: str, count: int, least: int, most: int) -> list[int]:
        """Return a list of `count` whole numbers from `least` to `most`."""
        values = self.sequence(name)
        if len(values) != count or not all(
            type(value) is int and least <= value <= most for value in values
        ):
            raise self._unlike(name, values, f"{count} whole numbers from {least} to {most}")
        return values

    def inner(self, name: str, default: Any = _REQUIRED) -> Fields:
        """Return a dict."""
        return Fields(self.value(name, default), self._path(name))

    def inners(self, name: str, default: Any = _REQUIRED) -> list[Fields]:
        """Return a list of dicts."""
        return [
            Fields(value, f"{self._path(name)} {place + 1}")
            for place, value in enumerate(self.sequence(name, default))
        ]

    def wrong(self, reason: str) -> BadFields:
        """Return an error whose message begins with the name of this dict."""
        return BadFields(f"{self._name or 'the text'} {reason}")

    def _path(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def _unlike(self, name: str, value: Any, expected: str) -> BadFields:
        return BadFields(f"{self._path(name)} is {shown(value)}, not {expected}")
