"""Damage to MindSpore checkpoints: to their model card, their tensors, their checksum."""

from __future__ import annotations

import json
import zlib
from random import Random
from typing import Any

import numpy as np

from tests.campaigns import messages
from tests.campaigns.text_damage import changed, json_text

META = "dlinknet_meta"
CARELESS = (
    "Float16",
    "Float64",
    "Int32",
    "UInt8",
    "Bool",
    "Int64",
    "BFloat16",
    "String",
    "Float33",
    "",
)


def operated(rng: Random, data: bytes, kinds: tuple[str, ...]) -> tuple[bytes, str]:
    """Return (the checkpoint with its text or its tensors changed, the change in words).

    Most checkpoints get a new checksum that fits the change.

    Args:
        kinds: the parts that may change: 'meta', 'tensors' or both.
    """
    from mindspore.train.checkpoint_pb2 import Checkpoint

    message = Checkpoint()
    message.ParseFromString(data)
    values = {value.tag: value for value in message.value}
    text = before = bytes(values[META].tensor.tensor_content)
    if rng.choice(kinds) == "meta":
        repaired, meta = rng.random() < 0.8, json.loads(text)
        if rng.random() < 0.75:
            meta, said = changed(rng, {key: value for key, value in meta.items() if key != "crc32"})
            text = json.dumps(meta).encode("utf-8", "surrogatepass")
        else:
            text, said = json_text(rng, meta)
    else:
        change = _tensors_changed if rng.random() < 0.8 else messages.operated
        repaired, said = rng.random() < 0.8, change(rng, message)
    if repaired:
        text = _with_checksum(message, text)
    for value in message.value:
        if value.tag == META and text != before:
            value.tensor.tensor_content, value.tensor.dims[:] = text, [len(text)]
    return message.SerializePartialToString(), said + ("" if repaired else ", checksum as it was")


def _with_checksum(message: Any, text: bytes) -> bytes:
    """Return a checkpoint's text with the CRC-32 of text and tensors that its writer computes."""
    try:
        meta = json.loads(text)
        if not isinstance(meta, dict):
            return text
        meta.pop("crc32", None)
        crc = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
        for value in sorted(
            (value for value in message.value if value.tag != META), key=lambda value: value.tag
        ):
            crc = zlib.crc32(value.tensor.tensor_content, zlib.crc32(value.tag.encode(), crc))
        return json.dumps({**meta, "crc32": crc}).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError, TypeError):
        return text


def _tensors_changed(rng: Random, message: Any) -> str:
    """Change one tensor of a checkpoint; return the change in words."""
    places = [place for place, value in enumerate(message.value) if value.tag != META]
    place, how = rng.choice(places), rng.randrange(10)
    value = message.value[place]
    tensor, tag = value.tensor, value.tag
    if how == 0:
        del message.value[place]
        return f"{tag} missing"
    if how == 1:
        extra = message.value.add()
        extra.CopyFrom(value)
        extra.tag = rng.choice(
            (tag, tag + "x", "", "layer5.weight", "x" * 3000, "é", "head.conv2.weight", META)
        )
        return f"{extra.tag[:30]} is there too"
    if how == 2:
        sides = list(tensor.dims)
        tensor.dims[:] = rng.choice(
            (
                sides[::-1],
                sides[:-1],
                [*sides, 1],
                [*sides, 2],
                [],
                [0],
                [-1],
                [2**40],
                [2**62, 4],
                [1] * 40,
                [2, *sides],
            )
        )
        return f"{tag} of shape {list(tensor.dims)[:6]}"
    if how == 3:
        tensor.tensor_type = rng.choice(CARELESS)
        return f"{tag} of type {tensor.tensor_type}"
    if how == 4:
        content = np.frombuffer(tensor.tensor_content, np.float32).astype(
            rng.choice((np.float16, np.float64, np.int32))
        )
        tensor.tensor_content, tensor.tensor_type = (
            content.tobytes(),
            content.dtype.name.capitalize(),
        )
        return f"{tag} retyped as {content.dtype}"
    if how == 5:
        content = np.frombuffer(tensor.tensor_content, np.float32).copy()
        if content.size:
            content[rng.randrange(content.size)] = rng.choice((np.nan, np.inf, -np.inf))
        tensor.tensor_content = content.tobytes()
        return f"{tag} holds what is not finite"
    if how == 6:
        tensor.tensor_content = rng.choice(
            (
                b"",
                tensor.tensor_content[:-1],
                tensor.tensor_content * 2,
                tensor.tensor_content + b"\0",
            )
        )
        return f"{tag} of {len(tensor.tensor_content)} bytes"
    if how == 7:
        sides = list(tensor.dims)
        tensor.dims[:] = [side + 1 if number == 0 else side for number, side in enumerate(sides)]
        tensor.tensor_content = bytes(4 * int(np.prod(tensor.dims)))
        return f"{tag} resized to {list(tensor.dims)}"
    if how == 8:
        value.tag = rng.choice(("", "x", "module." + tag, tag.upper(), tag + "\n", "\x1b[31m"))
        return f"{tag} renamed to {ascii(value.tag)[:30]}"
    other = message.value[rng.choice(places)]
    other.tag, value.tag = value.tag, other.tag
    return f"{tag} and {value.tag} exchanged"
