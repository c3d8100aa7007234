"""Mutations of a JSON value: a part is dropped, retyped, nested, negated, made huge or NaN."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator
from typing import Any

INSTEAD = (
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    -0.5,
    math.nan,
    math.inf,
    -math.inf,
    10**30,
    -(10**30),
    1e308,
    "",
    "x",
    "路" * 500,
    [],
    {},
    [1],
    [None],
    ["a", "b"],
    {"a": 1},
    {"": []},
    [[[[]]]],
    [1, 2, 3],
    "1",
    {"classes": []},
    {"classes": [1, 2]},
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (dict or list, key) of everything in a value."""
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            yield from places(inner)


def mutant(value: Any, seed: int) -> Any:
    """Return a copy of a dict with one change, or two."""
    draw, changed = random.Random(seed), copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 1, 2))):
        owner, key = draw.choice(list(places(changed)))
        how = draw.randrange(6)
        if how == 0:
            del owner[key]
        elif how == 1:
            owner[key] = {"x": owner[key]} if draw.random() < 0.5 else [owner[key]]
        elif how == 2 and isinstance(owner, dict):
            owner[draw.choice(("x", "路", "classes", "epoch", "extra"))] = draw.choice(INSTEAD)
        elif how == 3 and isinstance(owner[key], (int, float)):
            owner[key] = draw.choice(
                (
                    -owner[key],
                    owner[key] * 10**12,
                    str(owner[key]),
                    float(owner[key]),
                    owner[key] + 1,
                )
            )
        else:
            owner[key] = draw.choice(INSTEAD)
    return changed
