"""One setting's value: its kind and its limits. YAML's values and the command line's words go the same way."""

from __future__ import annotations

import os
from typing import Any, NewType

from dlinknet.config.command_line import describe, nearest
from dlinknet.errors import UserError, shown

FilePath = NewType("FilePath", str)  # a path: '~' is expanded; empty means not given
Resume = NewType("Resume", str)  # a checkpoint's path, NEWEST, or empty: start anew
Several = NewType("Several", str)  # words with commas between them: 'MINDIR,ONNX'; a list in YAML

NEWEST = "newest"
LONGEST = 4096  # letters of a text; no path is longer


def checked(key: str, value: Any, kind: Any, limit: Any, source: str) -> Any:
    """A value as its kind.

    Args:
        kind: bool, int, float, str, or one of the above.
        limit: the choices, bounds (min, max, above, below, multiple_of), or None.
        source: where it was given, for the error's line.

    Raises:
        UserError: it is of another kind, or beyond its limits.
    """
    try:
        value = _typed(value, kind)
    except ValueError as error:
        raise UserError(f"{source}: {key} must be {error}, not {shown(value)}") from None
    if isinstance(limit, list):
        words = [word.strip() for word in value.split(",")] if kind is Several else [value]
        return ",".join(dict.fromkeys(_chosen(key, word, limit, source) for word in words))
    if limit is not None:
        fits = {
            "min": lambda bound: value >= bound,
            "max": lambda bound: value <= bound,
            "above": lambda bound: value > bound,
            "below": lambda bound: value < bound,
            "multiple_of": lambda bound: value % bound == 0,
        }
        if not all(fits[name](bound) for name, bound in limit.items()):
            raise UserError(f"{source}: {key} must be {describe(limit)}, not {shown(value)}")
    return value


def _chosen(key: str, word: str, choices: list[str], source: str) -> str:
    """The choice that a word means, whatever its capitals."""
    by_lower = {choice.lower(): choice for choice in choices}
    if word.lower() not in by_lower:
        raise UserError(
            f"{source}: {key} must be {describe(choices)}, not {shown(word)}{nearest(word.lower(), by_lower)}"
        )
    return by_lower[word.lower()]


def _typed(value: Any, kind: Any) -> Any:
    """A YAML value or a word of the command line as `kind`; ValueError('what it must be') where it is not one."""
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(value).lower() not in words:
            raise ValueError("True or False")
        return words[str(value).lower()]
    if kind in (int, float):
        wanted = "a whole number" if kind is int else "a number"
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(wanted)
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise ValueError(wanted) from None
        if (
            number != number
            or number in (float("inf"), float("-inf"))
            or (kind is int and number != int(number))
        ):
            raise ValueError(wanted)
        return kind(number)
    if value is None:
        value = ""
    if kind is Several and isinstance(value, list):
        value = ",".join(map(str, value))
    if isinstance(value, (dict, list)):
        raise ValueError("text")
    if len(str(value)) > LONGEST:
        raise ValueError(f"a text of at most {LONGEST} letters")
    if kind is Resume:
        meanings = {
            "true": NEWEST,
            "yes": NEWEST,
            "1": NEWEST,
            NEWEST: NEWEST,
            "false": "",
            "no": "",
            "0": "",
        }
        return meanings.get(str(value).lower(), os.path.expanduser(str(value)))
    return os.path.expanduser(str(value)) if kind is FilePath else str(value)
