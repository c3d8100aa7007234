"""Read the tensors of a MindSpore checkpoint (.ckpt), and check every size that the file claims.

MindSpore's load_checkpoint trusts the claimed shape of a tensor: if four bytes claim to be a
million numbers, it returns a million numbers of arbitrary memory (2.10.0). A checkpoint is one
protobuf message `Checkpoint`, a sequence of records. Protobuf reads messages of at most 2 GB; this
module parses each record separately, so larger files are read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from dlinknet.errors import OneLineError, shown

# MindSpore's name of a type -> NumPy's. NumPy lacks bfloat16: `_array` converts its bits.
TYPES = {
    "Float16": "<f2",
    "Float32": "<f4",
    "Float64": "<f8",
    "BFloat16": "<u2",
    "Int8": "i1",
    "Int16": "<i2",
    "Int32": "<i4",
    "Int64": "<i8",
    "UInt8": "u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Bool": "?",
}
DIMENSIONS = 16  # axes of a tensor; NumPy accepts 32
_RECORD = b"\x0a"  # the protobuf key of Checkpoint.value: field 1, a length and bytes
_CRC = b"crc_num"  # 17 bytes at the end of files that were written with crc_check


class BadCkptFile(OneLineError):
    """A file is not a whole MindSpore checkpoint; the text says why, without the file's name."""


def read_ckpt(file: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a MindSpore checkpoint by name; bfloat16 becomes float32.

    Entries that are texts are skipped.

    Raises:
        BadCkptFile: the file is no MindSpore checkpoint or not whole.
        OSError, MemoryError: the machine cannot read the file, which may be whole.
    """
    from mindspore.train.checkpoint_pb2 import Checkpoint

    parts: dict[str, list[_Part]] = {}
    with open(file, "rb") as data:
        for content in _records(data, file.stat().st_size):
            try:
                record = Checkpoint.Value.FromString(content)
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001  (protobuf raises UnicodeDecodeError and others)
                raise BadCkptFile("a record is not whole") from None
            if record.HasField("tensor") and record.tensor.tensor_type != "str":
                part = _Part(
                    record.tensor.tensor_type,
                    tuple(record.tensor.dims),
                    record.tensor.tensor_content,
                )
                parts.setdefault(record.tag, []).append(part)
    if not parts:
        raise BadCkptFile("it holds no tensors")
    return {name: _array(name, found) for name, found in parts.items()}


class _Part(NamedTuple):
    """One record of a tensor.

    MindSpore splits a large tensor over several records. `shape` is always the whole tensor's.
    """

    kind: str
    shape: tuple[int, ...]
    content: bytes


def _records(data: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the content of each record.

    Args:
        size: the file's size in bytes.

    Raises:
        BadCkptFile: the file ends within a record, or a record does not begin with its key.
    """
    data.seek(max(0, size - 17))
    end = size - 17 if size >= 17 and data.read(7) == _CRC else size
    data.seek(0)
    while (place := data.tell()) < end:
        if data.read(1) != _RECORD:
            raise BadCkptFile(f"no record begins at byte {place}")
        length = _varint(data)
        if length > end - data.tell():
            raise BadCkptFile("it ends early")
        yield data.read(length)


def _varint(data: BinaryIO) -> int:
    """Read a protobuf varint at the file's position.

    Raises:
        BadCkptFile: the file ends within the number, or the number has more than 10 bytes.
    """
    value = 0
    for position in range(10):
        byte = data.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << 7 * position
        if byte[0] < 0x80:
            return value
    raise BadCkptFile("it ends early")


def _array(name: str, parts: list[_Part]) -> np.ndarray:
    """Return the tensor that consists of the records `parts`.

    Raises:
        BadCkptFile: the type is unknown or differs between records, or the shape does not fit the
            number of bytes.
    """
    kind, shape, content = parts[0]
    if kind not in TYPES or any(part[:2] != (kind, shape) for part in parts):
        raise BadCkptFile(
            f"the tensor {shown(name)} has the type {shown(kind)}, which is not known, "
            "or several types"
        )
    if len(parts) > 1:
        content = b"".join(part.content for part in parts)
    if shape == (0,) and content:  # how MindSpore 2.0 writes the shape of a single number
        shape = ()
    if (
        len(shape) > DIMENSIONS
        or min(shape, default=0) < 0
        or prod(shape) * np.dtype(TYPES[kind]).itemsize != len(content)
    ):
        raise BadCkptFile(
            f"the tensor {shown(name)} has {len(content)} bytes, and its shape claims another "
            "number"
        )
    values = np.frombuffer(content, TYPES[kind]).reshape(shape)
    return (
        np.asarray((values.astype(np.uint32) << 16).view(np.float32))
        if kind == "BFloat16"
        else values
    )
