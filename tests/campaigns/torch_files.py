"""Kinds of bad input: PyTorch files of both layouts.

Their bytes, archives or pickles are damaged, or their opcodes request more than tensors.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from pathlib import Path
from random import Random

import numpy as np

from dlinknet.errors import UserError
from tests.campaigns.damage import damaged
from tests.campaigns.forks import Case, Disagrees, Kind, must_pass

TENSORS = {
    "conv1.weight": (4, 3, 2, 2),
    "bn1.weight": (4,),
    "bn1.running_mean": (4,),
    "fc.weight": (2, 4),
}
MAGIC = 0x1950A86A20F9469CFC6C
HUGE = (2**31 - 1, 2**32 - 1)
NASTY_OPS = (
    *(b"r" + struct.pack("<I", number) for number in (0, 10**6, 10**8, *HUGE)),  # LONG_BINPUT
    *(b"j" + struct.pack("<I", number) for number in HUGE),  # LONG_BINGET
    b"p999999999\n",
    b"g5\n",  # PUT, GET
    b"\x8d" + struct.pack("<Q", 2**40),
    b"\x8e" + struct.pack("<Q", 2**40),
    b"\x96" + struct.pack("<Q", 2**40),
    b"\x8d" + struct.pack("<Q", 2**64 - 1),
    b"X" + struct.pack("<I", 2**32 - 1),
    b"T" + struct.pack("<i", -1),
    b"\x95" + struct.pack("<Q", 2**62),
    b"\x8b" + struct.pack("<i", 2**31 - 1),
    b"\x8b" + struct.pack("<i", -1),  # FRAME, LONG4
    b"cos\nsystem\nX\x0b\0\0\0touch pwned\x85R",
    b"cbuiltins\neval\nX\x15\0\0\0open('pwned','w').name\x85R",
    b"cbuiltins\nexec\n",
    b"ccollections\nOrderedDict\n)R",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n)R",
    b"(ios\nsystem\n",
    b"\x8c\x02os\x8c\x06system\x93",
    b"\x82\x01",
    b"\x83\xff\xff",
    b"\x81",
    b"\x92",
    b"b",
    b"R",
    b"Q",
    b"P0\n",
    b"0",
    b"1",
    b"2",
    b"a",
    b"e",
    b"s",
    b"u",
    b"t",
    b"l",
    b"d",
    b"o",
    b"]",
    b"}",
    b")",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x94",
    b"N",
    b"K\xff",
    b"I9" + b"9" * 5000 + b"\n",
    b"F1e999\n",
    b"]" * 3000 + b"a" * 2999,
    b"(" * 100_000,
    b"}" * 100_000,
    b"N\x85" * 100_000,
    b"\x97",
    b"\x98",
    b"\x80\xff",
    b"L" + b"9" * 5000 + b"L\n",
    b"]" + b"2\x86" * 40,
    b"K\x00]" + b"2a" * 3,
    b".",
)


def _words(name: str) -> bytes:
    return b"X" + struct.pack("<I", len(name)) + name.encode()


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"


def _pickle(legacy: bool) -> bytes:
    """Return the pickle of a state_dict as torch.save writes it."""
    parts = [b"\x80\x02}q\0("]
    for key, (name, shape) in enumerate(TENSORS.items()):
        count, strides = int(np.prod(shape)), [1]
        for side in shape[:0:-1]:
            strides.insert(0, strides[0] * side)
        parts += [
            _words(name),
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            _words("storage"),
            b"ctorch\nFloatStorage\n",
            _words(str(key)),
            _words("cpu"),
            _number(count),
            b"N" * legacy,
            b"tQ",
            _number(0),
            _numbers(shape),
            _numbers(tuple(strides)),
            b"\x89",
            b"ccollections\nOrderedDict\n)RtR",
        ]
    return b"".join([*parts, b"u."])


def _raw(shape: tuple[int, ...]) -> bytes:
    return np.arange(int(np.prod(shape)), dtype="<f4").tobytes()


def _zip(body: bytes, rng: Random, storages: int = len(TENSORS)) -> bytes:
    content = io.BytesIO()
    packing = (
        zipfile.ZIP_DEFLATED
        if storages < len(TENSORS) and rng.random() < 0.3
        else zipfile.ZIP_STORED
    )
    with zipfile.ZipFile(content, "w", packing) as archive:
        archive.writestr("archive/data.pkl", body)
        archive.writestr("archive/version", "3\n")
        for key, shape in list(enumerate(TENSORS.values()))[:storages]:
            archive.writestr(f"archive/data/{key}", _raw(shape))
    return content.getvalue()


def _legacy(body: bytes) -> bytes:
    keys = [str(key) for key in range(len(TENSORS))]
    head = [
        pickle.dumps(MAGIC, 2),
        pickle.dumps(1001, 2),
        pickle.dumps({"little_endian": True}, 2),
        body,
        pickle.dumps(keys, 2),
    ]
    return b"".join(head) + b"".join(
        struct.pack("<q", len(_raw(shape)) // 4) + _raw(shape) for shape in TENSORS.values()
    )


def _operated(rng: Random, body: bytes) -> tuple[bytes, str]:
    """Return (the pickle with some of its operations changed, the change in words)."""
    starts = [place for _, _, place in pickletools.genops(body)] + [len(body)]
    parts, said = [body[begin:end] for begin, end in zip(starts, starts[1:])], []
    for _ in range(rng.choice((1, 1, 2, 4))):
        place, how = rng.randrange(1, len(parts)), rng.randrange(6)
        if how == 0:
            said.append(f"operation {place} removed")
            del parts[place]
        elif how == 1:
            parts.insert(place, parts[rng.randrange(len(parts))])
            said.append(f"an operation doubled at {place}")
        elif how == 2 and parts[place][:1] == b"J":
            parts[place] = _number(rng.choice((-1, 0, 1, 2**31 - 1, -(2**31), 1 << 20)))
            said.append(f"number {parts[place]!r} at {place}")
        elif how == 3:
            parts[place] = damaged(rng, parts[place])[0]
            said.append(f"operation {place} is {parts[place][:20]!r}")
        else:
            new = rng.choice(NASTY_OPS)
            parts.insert(place, new)
            said.append(f"{new[:24]!r} at {place}")
    return b"".join(parts), "; ".join(said)


def drawn(rng: Random) -> tuple[bytes, str]:
    """Return (a PyTorch file, the change in words)."""
    legacy, draw = rng.random() < 0.4, rng.random()
    body, said = _pickle(legacy), "whole"
    if draw > 0.1:
        body, said = (
            _operated(rng, body) if draw < 0.7 else damaged(rng, body) if draw < 0.8 else (body, "")
        )
    data = (
        _legacy(body) if legacy else _zip(body, rng, rng.choice((4, 4, 4, 2)) if draw > 0.1 else 4)
    )
    if draw >= 0.8:
        data, said = damaged(rng, data)
    return data, f"{'four pickles' if legacy else 'ZIP'}: {said}"


def make_torch_file(rng: Random) -> Case:
    """Make a PyTorch file, for read_torch(). Its rejections are those of read_checkpoint()."""
    from dlinknet.checkpoints.torch_files import BadTorchFile, is_torch_file, read_torch

    data, said = drawn(rng)
    Path("net.pth").write_bytes(data)

    def run() -> str:
        if not is_torch_file(Path("net.pth")):
            return "no PyTorch file"
        try:
            found = read_torch(Path("net.pth"))
        except BadTorchFile as error:
            raise UserError(f"trained_ckpt: net.pth cannot be taken: {error}") from None
        finally:
            if Path("pwned").exists():
                raise Disagrees("the file's own code was run")
        if sum(value.nbytes for value in found.values()) > 8 * len(data):
            raise Disagrees(f"{len(data)} bytes became {sum(v.nbytes for v in found.values())}")
        named = all(isinstance(name, str) for name in found)
        if not named or not all(isinstance(value, np.ndarray) for value in found.values()):
            raise Disagrees("something else than tensors came out")
        return f"{len(found)} tensors"

    return Case(said, must_pass(run) if said.endswith(": whole") else run)


def _warm() -> None:
    import dlinknet.checkpoints.torch_files
    import dlinknet.images.files  # noqa: E401, F401


KINDS = (Kind("torch", 65, make_torch_file, _warm),)
