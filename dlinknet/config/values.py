"""Types and limits of settings, for values of YAML and for words of the command line."""

from __future__ import annotations

import math
import os
from typing import Any, NewType

from dlinknet.config.command_line import did_you_mean, explain_limits
from dlinknet.errors import UserError, shown

FilePath = NewType("FilePath", str)  # a path; '~' is expanded; '' means that no path is given
ResumePoint = NewType("ResumePoint", str)  # a checkpoint's path, NEWEST, or '' for a new run
CommaList = NewType("CommaList", str)  # words with commas between them: 'MINDIR,ONNX'; a YAML list

NEWEST = "newest"
LONGEST = 4096  # characters of a text; Linux accepts no longer path
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_value(key: str, value: Any, kind: Any, limit: Any, source: str) -> Any:
    """Return the value of a setting in its type.

    Args:
        key: the setting.
        value: a value of YAML, or a word of the command line.
        kind: bool, int, float, str, or one of the types above.
        limit: a list of choices, a dict of bounds (min, max, above, below, multiple_of), or None.
        source: the origin of the value, for the error's line.

    Raises:
        UserError: the value has another type or is outside its limits.
    """
    try:
        value = _convert(value, kind)
    except ValueError as error:
        raise UserError(f"{source}: {key} must be {error}, not {shown(value)}") from None
    if isinstance(limit, list):
        words = [word.strip() for word in value.split(",")] if kind is CommaList else [value]
        return ",".join(dict.fromkeys(_match_choice(key, word, limit, source) for word in words))
    if limit is not None:
        fits = {
            "min": lambda bound: value >= bound,
            "max": lambda bound: value <= bound,
            "above": lambda bound: value > bound,
            "below": lambda bound: value < bound,
            "multiple_of": lambda bound: value % bound == 0,
        }
        if not all(fits[name](bound) for name, bound in limit.items()):
            raise UserError(f"{source}: {key} must be {explain_limits(limit)}, not {shown(value)}")
    return value


def _match_choice(key: str, word: str, choices: list[str], source: str) -> str:
    """Return the choice that equals a word apart from upper and lower case.

    Raises:
        UserError: there is none.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    if word.lower() not in by_lower:
        meant = did_you_mean(word.lower(), by_lower)
        raise UserError(
            f"{source}: {key} must be {explain_limits(choices)}, not {shown(word)}{meant}"
        )
    return by_lower[word.lower()]


def _convert(value: Any, kind: Any) -> Any:
    """Return a value of YAML or a word of the command line as `kind`.

    Raises:
        ValueError: the value is not of this kind. The text names the kind: 'a number'.
    """
    if kind is bool:
        return _to_bool(value)
    if kind in (int, float):
        return _to_number(value, kind)
    return _to_text(value, kind)


def _to_bool(value: Any) -> bool:
    if str(value).lower() not in BOOLEANS:
        raise ValueError("True or False")
    return BOOLEANS[str(value).lower()]


def _to_number(value: Any, kind: type[int] | type[float]) -> int | float:
    wanted = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(wanted)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(wanted) from None
    if not math.isfinite(number) or (kind is int and number != int(number)):
        raise ValueError(wanted)
    return kind(number)


def _to_text(value: Any, kind: Any) -> str:
    if value is None:
        value = ""
    if kind is CommaList and isinstance(value, list):
        value = ",".join(map(str, value))
    if isinstance(value, (dict, list)):
        raise ValueError("text")
    text = str(value)
    if len(text) > LONGEST:
        raise ValueError(f"a text of at most {LONGEST} letters")
    if kind is ResumePoint and text.lower() == NEWEST:
        return NEWEST
    if kind is ResumePoint and text.lower() in BOOLEANS:
        return NEWEST if BOOLEANS[text.lower()] else ""
    return os.path.expanduser(text) if kind in (FilePath, ResumePoint) else text
