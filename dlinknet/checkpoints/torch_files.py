"""Reads the tensors of a PyTorch file (.pth, .th) without PyTorch and without running anything that the file asks for.

A PyTorch file is a pickle, and unpickling calls whatever functions the file names. Here the only ones that it gets are those
below, which note what a tensor is made of; any other name ends the reading. Both layouts are known: a ZIP archive (PyTorch
1.6 and later) and four pickles followed by the numbers (before).
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from dlinknet.checkpoints.pickles import BadPickle, Bounded, PlainUnpickler, checked_name
from dlinknet.errors import OneLineError, clipped

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = pickle.dumps(LEGACY_MAGIC, 2)[:4]
TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
DIMENSIONS = 16  # axes of a tensor; NumPy accepts 32
NESTED = (
    "state_dict",
    "model",
    "model_state_dict",
    "net",
)  # where training scripts keep the weights in a larger dict


class BadTorchFile(OneLineError):
    """The text says in words what is wrong."""


@dataclass
class _Storage:
    """The numbers behind one or more tensors; `values` comes last in the older layout."""

    key: str
    type: str  # a value of TYPES
    count: int
    values: np.ndarray | None = None

    @property
    def size(self) -> int:
        """How many bytes the numbers have in the file."""
        return self.count * (2 if self.type == "bfloat16" else np.dtype(self.type).itemsize)

    def fill(self, data: bytes) -> None:
        if len(data) != self.size:
            raise BadTorchFile("it ends early")
        if self.type == "bfloat16":  # the upper half of a float32
            self.values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            self.values = np.frombuffer(data, self.type)


@dataclass
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        values, numbers = self.storage.values, (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or not all(
            type(number) is int and number >= 0 for number in numbers
        ):
            raise BadTorchFile("a tensor is not one")
        last = self.offset + sum(
            (length - 1) * stride for length, stride in zip(self.shape, self.strides)
        )
        count = prod(self.shape)
        if (
            not isinstance(values, np.ndarray)
            or values.ndim != 1
            or count > len(values)
            or (count and last >= len(values))
        ):
            raise BadTorchFile("a tensor reaches beyond its numbers")
        steps = tuple(stride * values.itemsize for stride in self.strides)
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps).copy()


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise BadTorchFile("a tensor is not one")
    return _Tensor(storage, offset, _size(shape), _size(strides))


def _size(numbers: Any) -> tuple[int, ...]:
    if (
        not isinstance(numbers, (tuple, list))
        or len(numbers) > DIMENSIONS
        or any(type(number) is not int for number in numbers)
    ):
        raise BadTorchFile("a tensor is not one")
    return tuple(numbers)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _ordered_dict(pairs: Any = None) -> dict[Any, Any]:
    """An OrderedDict: empty from Python 3, from the pairs of a list from Python 2."""
    found: dict[Any, Any] = {}
    if pairs is not None:
        if not isinstance(pairs, list):
            raise BadTorchFile("an OrderedDict is not one")
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise BadTorchFile("an OrderedDict is not one")
            found[checked_name(pair[0])] = pair[1]
        pairs.clear()  # so that a pickle cannot have one long list copied many times
    return found


GIVEN = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): TYPES[name] for name in TYPES},
}


class _Reader(PlainUnpickler):
    """Unpickles dicts of tensors, and nothing else."""

    def __init__(self, file: Bounded, size: int):
        super().__init__(file)
        self.left = size  # bytes of the whole file that no storage has claimed
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in GIVEN:
            asked = clipped(f"{module}.{name}", 60)
            raise BadTorchFile(
                f"it asks for {asked}, which weights do not need; save the network's state_dict() alone"
            )
        return GIVEN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        if (
            not isinstance(pid, tuple)
            or len(pid) not in (5, 6)
            or pid[0] != "storage"
            or pid[1] not in TYPES.values()
            or (
                pid[5:] not in ((), (None,))
                or not isinstance(pid[2], (str, int))
                or type(pid[4]) is not int
            )
        ):
            raise BadTorchFile("it holds something else than numbers")
        key = str(pid[2])
        if key not in self.storages:
            storage = self.storages[key] = _Storage(key, pid[1], pid[4])
            self.left -= storage.size
            if storage.count < 0 or self.left < 0:
                raise BadTorchFile("it ends early")
        return self.storages[key]


def is_torch_file(file: Path) -> bool:
    """Whether a file starts as PyTorch's do."""
    with open(file, "rb") as data:
        start = data.read(4)
    return start == b"PK\x03\x04" or start == LEGACY_START


def read_torch(file: Path) -> dict[str, np.ndarray]:
    """The tensors of a PyTorch file by name; float16 and bfloat16 become float32.

    Raises:
        BadTorchFile: it is damaged, holds no tensors, or asks for more than tensors.
        MemoryError: its tensors do not fit in memory.
    """
    try:
        found = _weights(_read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file))
        if sum(prod(tensor.shape) for tensor in found.values()) > file.stat().st_size:
            raise BadTorchFile("its tensors are larger than itself")
        arrays = {name: tensor.array() for name, tensor in found.items()}
    except (BadTorchFile, MemoryError):
        raise
    except BadPickle as error:
        raise BadTorchFile(str(error)) from None
    except Exception as error:  # noqa: BLE001  (pickle and zipfile raise many kinds on a damaged file)
        raise BadTorchFile(f"it is not whole ({type(error).__name__})") from None
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in arrays.items()
    }


def _weights(found: Any) -> dict[str, _Tensor]:
    """The tensors of a dict, or of one that it holds under a name of NESTED."""
    for _ in range(len(NESTED)):  # so deep at most: a dict may hold itself
        if not isinstance(found, dict):
            break
        tensors = {str(name): value for name, value in found.items() if isinstance(value, _Tensor)}
        if tensors:
            return tensors
        found = next((found[key] for key in NESTED if key in found), None)
    raise BadTorchFile("it holds no tensors")


def _read_zip(file: Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        names, size = (
            [name for name in archive.namelist() if name.endswith("/data.pkl")],
            file.stat().st_size,
        )
        # A stored member has the bytes that it claims: a claim beyond the file would be allocated first.
        if len(names) != 1 or any(
            info.compress_type or not info.file_size == info.compress_size <= size
            for info in archive.infolist()
        ):
            raise BadTorchFile("it is a ZIP archive, but not PyTorch's")
        folder = names[0][: -len("data.pkl")]
        with archive.open(names[0]) as data:
            reader = _Reader(Bounded(data), size)
            found = reader.load()
        for storage in reader.storages.values():
            member = archive.getinfo(f"{folder}data/{storage.key}")
            if member.file_size != storage.size:
                raise BadTorchFile("it ends early")
            storage.fill(archive.read(member))
    return found


def _read_legacy(file: Path) -> Any:
    size = file.stat().st_size
    with open(file, "rb") as data:
        pickles = Bounded(data)
        if _Reader(pickles, size).load() != LEGACY_MAGIC:
            raise BadTorchFile("it is a pickle, but not PyTorch's")
        for _ in range(
            2
        ):  # the layout's version, and the sizes of numbers on the machine that wrote it
            _Reader(pickles, size).load()
        reader = _Reader(pickles, size)
        found, keys = reader.load(), _Reader(pickles, size).load()
        if not isinstance(keys, list) or len(keys) > len(reader.storages):
            raise BadTorchFile("it lists other numbers than it has")
        for key in keys:
            storage = reader.storages[str(checked_name(key))]
            (count,) = struct.unpack("<q", data.read(8))
            if count != storage.count:
                raise BadTorchFile("a tensor has another length than its numbers")
            storage.fill(data.read(storage.size))
    return found
