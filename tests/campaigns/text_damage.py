"""Damage to texts: JSON and YAML with unusual values in nested data."""

from __future__ import annotations

import copy
import functools
import json
from random import Random
from typing import Any

import yaml

from tests.campaigns.damage import damaged

NASTY: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    10**12,
    10**18,
    -(10**30),
    2**31,
    2**63,
    2**64,
    int("9" * 400),
    0.5,
    -0.0,
    1e308,
    1e-320,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "x",
    "0",
    "010",
    "1e5",
    "1_000",
    "0x10",
    "0o17",
    "12:30:45",
    "~",
    "null",
    "yes",
    "2020-01-01",
    "nan",
    ".inf",
    "\0",
    "a\0b",
    "\ud800",
    "\x1b[31m",
    "a\nb",
    "x" * 300,
    "x" * 70000,
    "..",
    "/",
    "../../x",
    "/dev/zero",
    "/proc/self/mem",
    "-",
    "*",
    "%s",
    "{}",
    "${HOME}",
    "obs://b/k",
    "é" * 200,
    "\u202e",
    [],
    {},
    [[]],
    [None],
    [0] * 3,
    [255] * 3,
    [-1, 0, 0],
    [1.5, 2, 3],
    ["a"],
    {"a": 1},
    {"": {}},
    [{}],
    [[0, 0, 0]] * 2,
    list(range(300)),
    {str(n): n for n in range(300)},
)
YAML_TEXTS = (
    "{key}: 010",
    "{key}: !!binary aGVsbG8=",
    "{key}: !!python/object/apply:os.getcwd []",
    "{key}: !!set {{a, b}}",
    "{key}: 2020-01-01",
    "{key}: !!timestamp 2020-99-99",
    "{key}: &a [*a]",
    "<<: {key}",
    "{key}: <<",
    "? [1, 2]\n: 3",
    "? {{a: 1}}\n: 3",
    "{key}: !unknown 1",
    "{key}: 'a\\0b'",
    '{key}: "\\ud800"',
    '{key}: "\\x1b[31m"',
    "{key}: 1:2:3:4:5",
    "{key}: 0b11",
    "{key}: .nan",
    "{key}: 1e400",
    "%YAML 9.9\n---\n{key}: 1",
    "{key}: |\n  " + "x" * 500,
    "{key}: 1\n{key}: 2",
    "\t{key}: 1",
    "{key}: {key}: 1",
    "[" * 5000,
    "{{" * 500,
    "{key}: " + "9" * 5000,
    "{key}: !!int " + "x",
    "{key}: !!float x",
    "{key}: !!bool x",
    "{key}: !!null x",
    "{key}: !!omap [1]",
    "{key}: !!pairs [1]",
    "--- 1\n--- 2",
    "{key}: *missing",
    "{key}: \x00",
    "\ufeff{key}: 1",
    "{key}: !!merge 1",
    "{key}: =",
    "=: 1",
    "{key}: 0x",
    "{key}: 1__0",
    "{key}: 190:20:30.15",
    "{key}: +.inf",
    "12: 3",
    "null: 3",
    "1.5: x",
    "true: x",
    "{key}:\n" + "  - - - - - - - - - -\n" * 200,
)
Text = tuple  # (bytes, how it was changed)


def _laughs(levels: int) -> str:
    """Return a short YAML text whose aliases expand to 9 ** levels entries."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all keys and entries below a value."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    found = []
    for key, each in inner:
        found += [(*path, key), *_places(each, (*path, key))]
    return found


def changed(rng: Random, values: Any) -> tuple[Any, str]:
    """Return (a copy of nested values with one or two changes, the changes in words)."""
    values, said = copy.deepcopy(values), []
    for _ in range(rng.choice((1, 1, 1, 2))):
        places = _places(values)
        if not places:
            return copy.deepcopy(rng.choice(NASTY)), "all of it"
        path = rng.choice(places)
        holder = functools.reduce(lambda inner, key: inner[key], path[:-1], values)
        how, key = rng.randrange(8), path[-1]
        if how == 0:
            del holder[key]
            said.append(f"{path} removed")
        elif how == 1 and isinstance(holder, dict):
            holder[
                rng.choice(("x", "", "a\0", "é", key.upper() if isinstance(key, str) else "y"))
            ] = holder.pop(key)
            said.append(f"{path} renamed")
        elif how == 2 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
            said.append(f"{path} doubled")
        elif how == 3:
            deep: Any = holder[key]
            for _ in range(rng.choice((1, 3, 200, 900))):
                deep = [deep]
            holder[key] = deep
            said.append(f"{path} nested")
        elif (
            how == 4 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool)
        ):
            holder[key] = rng.choice(
                (
                    -holder[key],
                    holder[key] + 1,
                    holder[key] * 10**9,
                    float(holder[key]),
                    str(holder[key]),
                )
            )
            said.append(f"{path} is {short(holder[key])}")
        else:
            # A copy: the next change may put a list of NASTY into itself.
            holder[key] = copy.deepcopy(rng.choice(NASTY))
            said.append(f"{path} is {short(holder[key])}")
    return values, "; ".join(said)


def short(value: Any) -> str:
    return ascii(value)[:40]


def json_text(rng: Random, values: Any, **options: Any) -> Text:
    """Return (JSON of the values with a change in the values or in the bytes, the change)."""
    draw = rng.random()
    if draw < 0.65:
        values, said = changed(rng, values)
        try:
            return json.dumps(values, **options).encode("utf-8", "surrogatepass"), said
        except RecursionError:
            return b"[" * 5000 + b"]" * 5000, f"{said}, too deep to be written"
    data = json.dumps(values, **options).encode()
    if draw < 0.85:
        return damaged(rng, data)
    return rng.choice(
        (
            (b"", "empty"),
            (b"null", "null"),
            (b"[" * 100_000, "nested lists"),
            (b'{"a":' * 100_000, "nested dicts"),
            (b"9" * 5000, "5000 digits"),
            (data.decode().encode("utf-16"), "UTF-16"),
            (b"\xef\xbb\xbf" + data, "a BOM"),
            (b"[1, NaN, Infinity]", "NaN"),
            (data + b"\0", "a NUL byte"),
            (data * 2, "twice"),
            (b'"text"', "text"),
            (b"[" + b"0," * 3_000_000 + b"0]", "three million numbers"),
            (b"\xff\xfe", "no text"),
        )
    )


def yaml_text(rng: Random, values: Any) -> Text:
    """Return (YAML of the values with a change in the values, the text or the bytes, the
    change)."""
    draw, keys = rng.random(), [key for key in values if isinstance(key, str)]
    if draw < 0.4:
        values, said = changed(rng, values)
        try:
            text = yaml.safe_dump(
                values, allow_unicode=rng.random() < 0.5, default_flow_style=rng.random() < 0.3
            )
        except (yaml.YAMLError, RecursionError):
            text = repr(values)
        return text.encode("utf-8", "surrogatepass"), said
    data = yaml.safe_dump(values).encode()
    if draw < 0.6:
        return damaged(rng, data)
    if draw < 0.9:
        line = rng.choice(YAML_TEXTS)
        line = line.format(key=rng.choice(keys)) if "{{" in line or "{key}" in line else line
        return data * rng.randrange(2) + line.encode(
            "utf-8", "surrogatepass"
        ) + b"\n", f"the line {short(line)}"
    levels = rng.choice((3, 7, 9, 30))
    return rng.choice(
        (
            (_laughs(levels).encode(), f"{levels} levels of aliases"),
            (b"", "empty"),
            (b"null", "null"),
            (data.decode().encode("utf-16"), "UTF-16"),
            (b"\xef\xbb\xbf" + data, "a BOM"),
            (b"- a\n" * 300_000, "a long list"),
            (b"a: b\n" * 200_000, "200,000 keys"),
            (b"\xff\xfe\xfa", "no text"),
            (data + b"...\n---\n" * 50_000, "50,000 documents"),
            (b"a: " + b"x" * 3_000_000, "three million letters"),
            (b"k%d: &a v\n" * 3, "anchors"),
        )
    )
