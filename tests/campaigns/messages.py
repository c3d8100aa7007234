"""Changes to protobuf messages of any type, such as checkpoints, MINDIR and ONNX files."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.campaigns.damage import LARGE, damaged

WORDS = (
    "",
    "x",
    "Conv",
    "Add",
    "NotAnOperator",
    "image",
    "../../etc/passwd",
    "/dev/zero",
    "a\0b",
    "\x1b[31m",
    "x" * 3000,
    "é",
    "-1",
    "Loop",
    "If",
    "Cast",
    "Float32",
)


def _messages(message: Any) -> list[Any]:
    """Return a message and all messages inside it."""
    found = [message]
    for field, value in message.ListFields():
        if field.message_type is not None:
            values = value if _repeated(value) else [value]
            for each in values if not hasattr(values, "items") else ():
                found += _messages(each)
    return found


def _repeated(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes))


def operated(rng: Random, message: Any) -> str:
    """Change one field of a message or of one inside it; return the change in words.

    If the field's type rejects the new value, the field keeps its value.
    """
    fields: list[Any] = []
    for _ in range(20):
        chosen = rng.choice(_messages(message))
        fields = chosen.ListFields()
        if fields:
            break
    else:
        return "nothing"
    field, value = rng.choice(fields)
    said = f"{chosen.DESCRIPTOR.name}.{field.name}"
    try:
        if rng.random() < 0.15:
            chosen.ClearField(field.name)
            return f"{said} cleared"
        if _repeated(value):
            place = rng.randrange(len(value))
            if rng.random() < 0.3:
                del value[place]
                return f"{said}[{place}] removed"
            if field.message_type is not None:
                value.add().CopyFrom(value[place])
                return f"{said}[{place}] doubled"
            value[place] = _other(rng, value[place])
            return f"{said}[{place}] is {ascii(value[place])[:40]}"
        if field.message_type is not None:
            chosen.ClearField(field.name)
            return f"{said} cleared"
        setattr(chosen, field.name, _other(rng, value))
        return f"{said} is {ascii(getattr(chosen, field.name))[:40]}"
    except (ValueError, TypeError):
        return f"{said} as it is"


def _other(rng: Random, value: Any) -> Any:
    if isinstance(value, str):
        return rng.choice(WORDS)
    if isinstance(value, bytes):
        return damaged(rng, value)[0]
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e30))
    return rng.choice(
        (0, 1, 2, -1, value + 1, -value, *(number % 2**31 for number in LARGE), *LARGE)
    )
