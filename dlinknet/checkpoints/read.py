"""Read a checkpoint file of any kind: its tensors, and dlinknet's text in it. Pure NumPy."""

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

META = "dlinknet_meta"  # the tensor that holds a JSON text as uint8; save.py lists its keys
HALVES = ("float16", "bfloat16")
FORMAT = 1  # version of the text; a reader rejects later ones


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file.

    tensors: by name. meta: the dict that the text of dlinknet's checkpoints holds (save.py); empty
    in files of other programs.
    """

    file: Path
    tensors: dict[str, np.ndarray]
    meta: dict[str, Any]


def read_checkpoint(file: str) -> Checkpoint:
    """Read a MindSpore checkpoint, a PyTorch file or a safetensors file.

    The first bytes of the file decide its format, not its name.

    Raises:
        InputError: the file is missing, of another format, not whole, or from a later dlinknet.
        RunFailed: the machine cannot read the file.
    """
    need_file(file)
    path = Path(file)
    try:
        tensors = _read_tensors(path)
    except (OSError, MemoryError) as error:  # the file itself may be whole
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
        raise InputError(path, "is damaged: its checksum is wrong")
    return Checkpoint(path, tensors, meta)


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    foreign = foreign_file(path)
    if foreign:
        raise InputError(path, foreign)
    if is_torch_file(path):
        try:
            return read_torch(path)
        except BadTorchFile as error:
            raise InputError(path, f"is a PyTorch file that cannot be read: {error}") from None
    if _is_safetensors(path):
        return _read_safetensors(path)
    try:
        return read_ckpt(path)
    except BadCkptFile as error:
        raise InputError(
            path, f"is not a whole MindSpore checkpoint, PyTorch file or safetensors file: {error}"
        ) from None


def _read_meta(text: np.ndarray) -> dict[str, Any]:
    """Return the dict in the tensor META.

    Raises:
        BadText: it is not the JSON text of a dict.
    """
    meta = parse_json(text.tobytes(), finite=False)
    if not isinstance(meta, dict):
        raise BadText(f"it is {shown(meta)}, not a dict")
    return meta


def _is_safetensors(path: Path) -> bool:
    """Return whether a file begins as safetensors: 8 bytes with a JSON text's length, the text."""
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
            path, "is a safetensors file; reading it requires: pip install safetensors"
        ) from None
    try:
        # Later MindSpore versions teach NumPy bfloat16.
        return {
            name: value.astype(np.float32) if value.dtype.name in HALVES else value
            for name, value in load_file(path).items()
        }
    except (OSError, MemoryError):
        raise
    # The versions of the library raise these for a type that NumPy lacks.
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            path,
            "is a safetensors file with a type of numbers that NumPy lacks "
            f"({clipped(str(error), 120)}); save its tensors as float32",
        ) from None
    except Exception as error:  # noqa: BLE001  (kinds of the library, for a damaged file)
        raise InputError(
            path, f"is not a whole safetensors file: {clipped(str(error), 120)}"
        ) from None


def checksum(tensors: dict[str, np.ndarray], meta: dict[str, Any]) -> int:
    """Return the CRC-32 of a checkpoint: of its dict as JSON, then of each name and its tensor.

    Both are sorted by name, so that their order in the file does not matter.
    """
    value = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(tensors):
        value = zlib.crc32(
            np.ascontiguousarray(tensors[name]).data, zlib.crc32(name.encode(), value)
        )
    return value
