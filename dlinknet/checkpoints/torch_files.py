"""Read the tensors of a PyTorch file (.pth, .th) without PyTorch, and without running its code.

A PyTorch file is a pickle, and unpickling calls the functions that the file names. This module maps
the few names in ALLOWED to functions that only note the parts of a tensor. Any other name ends the
reading. It knows both layouts: a ZIP archive (PyTorch 1.6 and later), and four pickles followed by
the numbers (earlier versions).
"""

from __future__ import annotations

import errno
import pickle
import struct
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from dlinknet.checkpoints.pickles import BadPickle, BoundedFile, PlainUnpickler, checked_name
from dlinknet.errors import OneLineError, clipped

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = pickle.dumps(LEGACY_MAGIC, 2)[:4]
# PyTorch's class of a storage -> NumPy's type. NumPy lacks bfloat16: `_Storage` converts its bits.
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
# Keys under which training scripts keep the weights in a larger dict.
NESTED = ("state_dict", "model", "model_state_dict", "net")


class BadTorchFile(OneLineError):
    """A PyTorch file cannot be used; the text says what is wrong, without the file's name."""


@dataclass
class _Storage:
    """The numbers of one or more tensors.

    name: its key in the file. type: a value of TYPES. count: how many numbers it has. values: the
    numbers; None until `fill` has read them, because in the older layout they follow the pickles.
    """

    name: str
    type: str
    count: int
    values: np.ndarray | None = None

    @property
    def size(self) -> int:
        """The size of the numbers in the file, in bytes."""
        return self.count * (2 if self.type == "bfloat16" else np.dtype(self.type).itemsize)

    def fill(self, data: bytes) -> None:
        """Set the values from their bytes; bfloat16 becomes float32."""
        if len(data) != self.size:
            raise BadTorchFile("it ends early")
        if self.type == "bfloat16":  # its bits are the upper half of a float32
            self.values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            self.values = np.frombuffer(data, self.type)


@dataclass
class _Tensor:
    """A tensor: a view of a storage. `offset` and `strides` count values, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """Return the tensor as an array of its own.

        Raises:
            BadTorchFile: a number is negative or no whole number, or the view exceeds the storage.
        """
        values, numbers = self.storage.values, (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or not all(
            type(number) is int and number >= 0 for number in numbers
        ):
            raise BadTorchFile("a tensor is malformed")
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
        raise BadTorchFile("a tensor is malformed")
    return _Tensor(storage, offset, _size(shape), _size(strides))


def _size(numbers: Any) -> tuple[int, ...]:
    if (
        not isinstance(numbers, (tuple, list))
        or len(numbers) > DIMENSIONS
        or any(type(number) is not int for number in numbers)
    ):
        raise BadTorchFile("a tensor is malformed")
    return tuple(numbers)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _ordered_dict(pairs: Any = None) -> dict[Any, Any]:
    """Make an OrderedDict: empty (pickled by Python 3), or from a list of pairs (by Python 2)."""
    found: dict[Any, Any] = {}
    if pairs is not None:
        if not isinstance(pairs, list):
            raise BadTorchFile("an OrderedDict is malformed")
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise BadTorchFile("an OrderedDict is malformed")
            found[checked_name(pair[0])] = pair[1]
        pairs.clear()  # else a pickle could have one long list copied many times
    return found


ALLOWED = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): TYPES[name] for name in TYPES},
}


class _Reader(PlainUnpickler):
    """An unpickler of dicts of tensors.

    Args:
        size: the whole file's size in bytes.
    """

    def __init__(self, file: BoundedFile, size: int):
        super().__init__(file)
        self.unclaimed = size  # bytes of the file that no storage has claimed
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name that the pickle imports, or raise BadTorchFile."""
        if (module, name) not in ALLOWED:
            asked = clipped(f"{module}.{name}", 60)
            raise BadTorchFile(
                f"it asks for {asked}, which weights do not need; "
                "save the network's state_dict() alone"
            )
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage of ("storage", type, key, device, count), or raise BadTorchFile."""
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
        name = str(pid[2])
        if name not in self.storages:
            storage = self.storages[name] = _Storage(name, pid[1], pid[4])
            self.unclaimed -= storage.size
            if storage.count < 0 or self.unclaimed < 0:
                raise BadTorchFile("it ends early")
        return self.storages[name]


def is_torch_file(file: Path) -> bool:
    """Return whether a file begins as PyTorch's files do."""
    with open(file, "rb") as data:
        start = data.read(4)
    return start == b"PK\x03\x04" or start == LEGACY_START


def read_torch(file: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a PyTorch file by name; float16 and bfloat16 become float32.

    Raises:
        BadTorchFile: the file is damaged, holds no tensors, or names other functions than tensors
            need.
        OSError, MemoryError: the machine cannot read the file, which may be whole.
    """
    try:
        found = _weights(_read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file))
        if sum(prod(tensor.shape) for tensor in found.values()) > file.stat().st_size:
            raise BadTorchFile("its tensors are larger than the file")
        arrays = {name: tensor.array() for name, tensor in found.items()}
    except (BadTorchFile, MemoryError):
        raise
    except BadPickle as error:
        raise BadTorchFile(str(error)) from None
    # pickle and zipfile raise many kinds for a damaged file. EINVAL comes from a seek to a place
    # before its start; other errors of the system say nothing about the file.
    except Exception as error:  # noqa: BLE001
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise BadTorchFile(f"it is not whole ({type(error).__name__})") from None
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in arrays.items()
    }


def _weights(found: Any) -> dict[str, _Tensor]:
    """Return the tensors of the innermost dict under keys of NESTED that holds any.

    A dict around it may hold other tensors, for example the best accuracy.

    Raises:
        BadTorchFile: there are none.
    """
    dicts = [found] if isinstance(found, dict) else []
    for _ in NESTED if dicts else ():  # bounded, because a dict may hold itself
        inner = [dicts[-1][key] for key in NESTED if isinstance(dicts[-1].get(key), dict)]
        dicts += inner[:1]
    for each in reversed(dicts):
        tensors = {str(name): value for name, value in each.items() if isinstance(value, _Tensor)}
        if tensors:
            return tensors
    raise BadTorchFile("it holds no tensors")


def _read_zip(file: Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        size = file.stat().st_size
        # PyTorch compresses nothing. A claimed size beyond the file's would be allocated first.
        if len(names) != 1 or any(
            info.compress_type or not info.file_size == info.compress_size <= size
            for info in archive.infolist()
        ):
            raise BadTorchFile("it is a ZIP archive, but not PyTorch's")
        folder = names[0][: -len("data.pkl")]
        with archive.open(names[0]) as data:
            reader = _Reader(BoundedFile(data), size)
            found = reader.load()
        for storage in reader.storages.values():
            member = archive.getinfo(f"{folder}data/{storage.name}")
            if member.file_size != storage.size:
                raise BadTorchFile("it ends early")
            storage.fill(archive.read(member))
    return found


def _read_legacy(file: Path) -> Any:
    size = file.stat().st_size
    with open(file, "rb") as data:
        pickles = BoundedFile(data)
        if _Reader(pickles, size).load() != LEGACY_MAGIC:
            raise BadTorchFile("it is a pickle, but not PyTorch's")
        for _ in range(2):  # the layout's version, and the sizes of numbers on the writer's machine
            _Reader(pickles, size).load()
        reader = _Reader(pickles, size)
        found, keys = reader.load(), _Reader(pickles, size).load()
        if not isinstance(keys, list) or len(keys) > len(reader.storages):
            raise BadTorchFile("it lists numbers that it does not hold")
        for key in keys:
            storage = reader.storages[str(checked_name(key))]
            (count,) = struct.unpack("<q", data.read(8))
            if count != storage.count:
                raise BadTorchFile("a tensor has another length than its numbers")
            storage.fill(data.read(storage.size))
    return found
