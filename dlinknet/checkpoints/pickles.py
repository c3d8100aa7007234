"""Unpickle plain data from an untrusted file.

Plain data are dicts, lists, tuples, texts, numbers, and classes that the caller allows. Python's C
unpickler allocates the memory that a pickle claims: 139 bytes with a high memo index cost 13 GB.
The standard library's unpickler in Python keeps its memo in a dict. Here it reads a bounded number
of bytes, and knows only the opcodes that weights need. Each of these costs a small multiple of its
own bytes.
"""

from __future__ import annotations

import pickle
import struct
from typing import IO, Any, Callable, ClassVar

# The pickle of ResNet101 has 0.07 MB, with an optimizer 0.3 MB; the numbers are stored outside it.
PICKLE_BYTES = 4 << 20
ARGUMENTS = 8  # most arguments of one call; PyTorch's longest call has 7
OPCODES = [
    "PROTO",
    "STOP",
    "MARK",
    "POP",
    "POP_MARK",
    "DUP",
    "FRAME",
    "MEMOIZE",
    "BINPUT",
    "BINGET",
    "LONG_BINGET",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINFLOAT",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "EMPTY_LIST",
    "APPEND",
    "APPENDS",
    "EMPTY_TUPLE",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "EMPTY_DICT",
    "GLOBAL",
    "STACK_GLOBAL",
    "BINPERSID",
]


class BadPickle(Exception):
    """A pickle is not whole or holds more than plain data; the text says what is wrong."""


class BoundedFile:
    """A file from which pickles may read PICKLE_BYTES bytes in all.

    Raises (on `read` and `readline`):
        BadPickle: the pickles are longer.
    """

    def __init__(self, file: IO[bytes]):
        self._file, self._left = file, PICKLE_BYTES

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer at the end of the file."""
        return self._counted(self._file.read(min(count, self._left + 1)))

    def readline(self) -> bytes:
        """Return the bytes up to and with the next line end."""
        return self._counted(self._file.readline(self._left + 1))

    def _counted(self, content: bytes) -> bytes:
        self._left -= len(content)
        if self._left < 0:
            raise BadPickle(
                f"its pickle has more than {PICKLE_BYTES >> 20} MB, which weights do not need"
            )
        return content


class PlainUnpickler(pickle._Unpickler):  # noqa: SLF001  (the C one has no dispatch table)
    """An unpickler of plain data; subclasses implement `find_class` and `persistent_load`.

    Raises (on `load`):
        BadPickle: the pickle has an opcode, a key or a call that weights do not need.
        Exception: the pickle is not whole; the standard library raises many kinds.
    """

    # The base class has these attributes, but its type stubs do not.
    memo: dict[int, Any]
    stack: list[Any]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, file: BoundedFile):
        super().__init__(file, encoding="utf-8")

    def load_long_binput(self) -> None:
        (index,) = struct.unpack("<I", self.read(4))
        if index > PICKLE_BYTES:
            raise BadPickle(f"its pickle numbers {index} things, more than it has bytes")
        self.memo[index] = self.stack[-1]

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        if not isinstance(arguments, tuple) or len(arguments) > ARGUMENTS:
            raise BadPickle("it calls a function with arguments that weights do not need")
        self.stack[-1] = self.stack[-1](*arguments)

    def load_build(self) -> None:
        self.stack.pop()
        # PyTorch attaches versions to a dict; they are dropped.
        if not isinstance(self.stack[-1], dict):
            raise BadPickle("it changes a tensor after it was made")

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        self._set(self.stack[-1], items)

    @staticmethod
    def _set(target: Any, items: list[Any]) -> None:
        if not isinstance(target, dict) or len(items) % 2:
            raise BadPickle("it is not whole")
        for key, value in zip(items[::2], items[1::2]):
            target[checked_name(key)] = value

    def _reject(self) -> None:
        raise BadPickle(
            "it holds something else than weights; save the network's state_dict() alone"
        )

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **dict.fromkeys(range(256), _reject),
        **{
            getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]]
            for name in OPCODES
        },
        pickle.LONG_BINPUT[0]: load_long_binput,
        pickle.REDUCE[0]: load_reduce,
        pickle.BUILD[0]: load_build,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
    }


def checked_name(value: Any) -> Any:
    """Return a dict's key.

    Raises:
        BadPickle: the key is neither a text nor a number. A tuple of shared tuples would be hashed
            for ever.
    """
    if not isinstance(value, (str, bytes, int, float, type(None))):
        raise BadPickle("a dict has a key that is neither a text nor a number")
    return value
