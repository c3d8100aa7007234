"""Read a checkpoint file of any kind: its tensors, and what our training wrote about them. Pure NumPy."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlinknet.checkpoints.ckpt_files import BadCkptFile, read_ckpt
from dlinknet.checkpoints.torch_files import BadTorchFile, is_torch_file, read_torch
from dlinknet.errors import InputError, RunFailed, clipped, shown
from dlinknet.files.fields import BadFields, Fields
from dlinknet.files.foreign import foreign_file
from dlinknet.files.places import need_file
from dlinknet.files.texts import BadText, parse_json

META = "dlinknet_meta"  # the tensor of our checkpoints that holds a JSON text as uint8
FORMAT = 1  # of that text; a reader refuses a later one


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it lies on disk: tensors by name, and what our training wrote about them (empty in others' files)."""

    file: Path
    tensors: dict[str, np.ndarray]
    meta: dict[str, Any]


def read_checkpoint(file: str) -> Checkpoint:
    """Reads a MindSpore checkpoint, a PyTorch file or safetensors; what the file begins with decides, not its name.

    Args:
        file: its path.

    Raises:
        UserError: it is missing or none of these, or not whole.
        RunFailed: the machine could not read it.
    """
    need_file(file)
    path = Path(file)
    try:
        tensors = _read_tensors(path)
    except (OSError, MemoryError) as error:  # the file may be whole
        reason = getattr(error, "strerror", None) or str(error) or "out of memory"
        raise RunFailed(f"cannot read {path}: {reason}") from None
    try:
        meta = _read_meta(tensors.pop(META)) if META in tensors else {}
        written, version = meta.pop("crc32", None), Fields(meta).whole("format", FORMAT, least=1)
    except (BadText, BadFields) as error:
        raise InputError(path, f"is damaged: the text in it cannot be read: {error}") from None
    if version > FORMAT:
        raise InputError(path, "is from a later dlinknet, which this one does not know")
    if written is not None and written != checksum(tensors, meta):
        raise InputError(path, "is damaged: it does not hold what was written")
    return Checkpoint(path, tensors, meta)


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    what = foreign_file(path)
    if what:
        raise InputError(path, f"{what}")
    if is_torch_file(path):
        try:
            return read_torch(path)
        except BadTorchFile as error:
            raise InputError(path, f"is a PyTorch file that cannot be taken: {error}") from None
    if _is_safetensors(path):
        return _read_safetensors(path)
    try:
        return read_ckpt(path)
    except BadCkptFile as error:
        raise InputError(
            path, f"is not a whole MindSpore checkpoint, PyTorch file or safetensors file: {error}"
        ) from None


def _read_meta(text: np.ndarray) -> dict[str, Any]:
    """What the tensor META holds. BadText says what is wrong."""
    meta = parse_json(text.tobytes(), finite=False)
    if not isinstance(meta, dict):
        raise BadText(f"it is {shown(meta)}, not a dict")
    return meta


def _is_safetensors(path: Path) -> bool:
    """The format begins with the length of a JSON text, in 8 bytes, and the text."""
    with open(path, "rb") as file:
        start = file.read(9)
    return (
        len(start) == 9
        and start[8:] == b"{"
        and int.from_bytes(start[:8], "little") < path.stat().st_size
    )


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise InputError(
            path, "is a safetensors file, which takes: pip install safetensors"
        ) from None
    try:
        return {
            name: value.astype(np.float32) if value.dtype == np.float16 else value
            for name, value in load_file(path).items()
        }
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (the library's own kinds, and KeyError for a type that NumPy lacks)
        raise InputError(
            path, f"is not a whole safetensors file: {clipped(str(error), 120)}"
        ) from None


def checksum(tensors: dict[str, np.ndarray], meta: dict[str, Any]) -> int:
    """CRC-32 of a checkpoint: what it says of itself, as JSON, then names and values in the order of the names."""
    value = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(tensors):
        value = zlib.crc32(
            np.ascontiguousarray(tensors[name]).data, zlib.crc32(name.encode(), value)
        )
    return value
