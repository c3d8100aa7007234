"""PyTorch's files, read without PyTorch.

PyTorch writes them if it is installed. Hostile files are written by hand.
"""

import collections
import io
import pickle
import re
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from dlinknet.checkpoints.torch_files import (
    LEGACY_MAGIC,
    BadTorchFile,
    is_torch_file,
    read_torch,
)
from tests.conftest import ROOT


class Pid:
    """Pickled as a persistent id."""

    def __init__(self, *pid):
        self.pid = pid


class Named:
    """Pickled as a call of the function module.name."""

    def __init__(self, module, name, *arguments):
        self.call = (module, name), arguments


class Global:
    """Pickled as the name module.name to import, without importing it."""

    def __init__(self, module, name):
        self.module, self.name = module, name


def pickled(thing, protocol=2):
    """Return the bytes of a pickle, which may name functions that do not exist here."""
    out = io.BytesIO()

    class Plain(pickle._Pickler):
        def persistent_id(self, found):
            return found.pid if isinstance(found, Pid) else None

        def save(self, found, save_persistent_id=True):
            if isinstance(found, Global):
                self.write(pickle.GLOBAL + f"{found.module}\n{found.name}\n".encode())
            elif isinstance(found, Named):
                (module, name), arguments = found.call
                self.save(Global(module, name))
                self.save(arguments)
                self.write(pickle.REDUCE)
            elif isinstance(found, Changed):
                self.save(found.thing)
                self.save(found.state)
                self.write(pickle.BUILD)
            else:
                super().save(found, save_persistent_id)

    Plain(out, protocol).dump(thing)
    return out.getvalue()


def tensor(key, values, kind="FloatStorage", shape=None, strides=None, offset=0, count=None):
    """Return a tensor as PyTorch pickles it."""
    shape = values.shape if shape is None else shape
    strides = (
        tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        if strides is None
        else strides
    )
    storage = Pid(
        "storage", Global("torch", kind), key, "cpu", values.size if count is None else count
    )
    return Named(
        "torch._utils",
        "_rebuild_tensor_v2",
        storage,
        offset,
        shape,
        strides,
        False,
        collections.OrderedDict(),
    )


def write_zip(file, thing, storages, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(thing))
        for key, values in storages.items():
            archive.writestr(f"archive/data/{key}", values.tobytes())
    return file


def write_legacy(file, thing, storages):
    parts = [
        pickled(LEGACY_MAGIC),
        pickled(1001),
        pickled({"protocol_version": 1001, "little_endian": True}),
        pickled(thing),
        pickled(list(storages)),
    ]
    parts += [struct.pack("<q", values.size) + values.tobytes() for values in storages.values()]
    file.write_bytes(b"".join(parts))
    return file


A = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_tensors_of_a_file_written_by_hand(tmp_path, layout):
    weights = {
        "a": tensor("0", A),
        "turned": tensor("0", A, shape=(4, 3), strides=(1, 4)),
        "part": tensor("0", A, shape=(2,), offset=5),
        "count": tensor("1", np.array([7], np.int64), "LongStorage", shape=()),
    }
    if layout == "legacy":  # with the sixth part of an id that this layout has
        for name in weights:
            (call, (storage, *rest)) = weights[name].call
            weights[name] = Named(*call, Pid(*storage.pid, None), *rest)
    write = {"zip": write_zip, "legacy": write_legacy}[layout]
    file = write(
        tmp_path / "w.pth",
        {"epoch": 3, "state_dict": weights},
        {"0": A, "1": np.array([7], np.int64)},
    )
    assert is_torch_file(file)
    found = read_torch(file)
    assert (
        found.keys() == weights.keys()
        and np.array_equal(found["a"], A)
        and np.array_equal(found["turned"], A.T)
    )
    assert found["part"].tolist() == [5, 6] and found["count"] == 7 and found["count"].shape == ()


def test_a_tensor_beside_the_weights_does_not_hide_them(tmp_path):
    """PyTorch's ImageNet example keeps its best accuracy, a tensor, beside the state_dict."""
    best = np.array([76.1], np.float32)
    content = {"best_acc1": tensor("1", best, shape=()), "state_dict": {"a": tensor("0", A)}}
    found = read_torch(write_zip(tmp_path / "w.pth.tar", content, {"0": A, "1": best}))
    assert found.keys() == {"a"} and np.array_equal(found["a"], A)
    flat = {"a": tensor("0", A), "model": {"name": "resnet34"}}
    assert read_torch(write_zip(tmp_path / "flat.pth", flat, {"0": A})).keys() == {"a"}


@pytest.mark.parametrize("legacy", [False, True])
def test_what_pytorch_writes(tmp_path, legacy):
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install torch==2.13.0"
    )
    rng = np.random.default_rng(0)
    weights = collections.OrderedDict(
        a=torch.tensor(rng.random((2, 3, 5))),
        b=torch.tensor(rng.random((4, 4)).astype(np.float32)).t(),
        half=torch.tensor([1.5, -2.25], dtype=torch.float16),
        brain=torch.tensor([1.5, -3.0e38], dtype=torch.bfloat16),
        count=torch.tensor(12),
        none=torch.zeros(0, 3),
        learnt=torch.nn.Parameter(torch.ones(3)),
        whole=torch.arange(10)[2:5],
    )
    file = tmp_path / "w.th"
    torch.save(weights, file, _use_new_zipfile_serialization=not legacy)
    assert is_torch_file(file)
    found = read_torch(file)
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        expected = (
            value.detach().float().numpy()
            if value.dtype in (torch.float16, torch.bfloat16)
            else value.detach().numpy()
        )
        assert np.array_equal(found[name], expected) and found[name].dtype == expected.dtype, name


HOSTILE = {
    "a command": {"a": Named("os", "system", "touch hacked")},
    "a builtin": {"a": Named("builtins", "eval", "open('hacked', 'w')")},
    "a network": {"a": Named("networks.dinknet", "DinkNet34")},
    "by another way": {"a": Named("torch.storage", "_load_from_bytes", b"x")},
}


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_asks_for_a_function_is_refused_and_nothing_runs(
    tmp_path, monkeypatch, name, layout
):
    monkeypatch.chdir(tmp_path)
    file = {"zip": write_zip, "legacy": write_legacy}[layout](
        tmp_path / "w.pth", {"b": tensor("0", A), **HOSTILE[name]}, {"0": A}
    )
    with pytest.raises(
        BadTorchFile,
        match="it asks for .*, which weights do not need; save the network's state_dict",
    ):
        read_torch(file)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    "weights, words",
    [
        ({"a": tensor("0", A, shape=(3, 5))}, "reaches beyond"),
        ({"a": tensor("0", A, shape=(100, 100), strides=(0, 0))}, "larger than the file"),
        ({"a": tensor("0", A, shape=(4, 4), strides=(0, 1))}, "reaches beyond"),
        ({"a": tensor("0", A, shape=(3, 4), strides=(5, 1))}, "reaches beyond"),
        ({"a": tensor("0", A, offset=-1)}, "is malformed"),
        ({"a": tensor("0", A, offset=5)}, "reaches beyond"),
        ({"a": tensor("0", A, count=10**12)}, "ends early"),
        ({"a": tensor("0", A, count=13)}, "ends early"),
        ({"a": tensor("0", A, count=-1)}, "ends early"),
        ({"a": tensor("9", A)}, "not whole"),
        ({"a": 3}, "no tensors"),
        ([1, 2], "no tensors"),
        ({}, "no tensors"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, weights, words):
    with pytest.raises(BadTorchFile, match=words):
        read_torch(write_zip(tmp_path / "w.pth", weights, {"0": A}))


class Changed:
    """Pickled as a thing that is changed after it was made."""

    def __init__(self, thing, **state):
        self.thing, self.state = thing, state


@pytest.mark.parametrize(
    "change",
    [
        {"offset": -100},
        {"strides": (-4, 1)},
        {"shape": (10**6, 10**6), "strides": (0, 0)},
        {"offset": 10**6},
        {"shape": ("3", 4)},
        {"storage": None},
    ],
)
def test_a_tensor_that_is_changed_after_it_was_made_is_refused(tmp_path, change):
    with pytest.raises(BadTorchFile):
        read_torch(
            write_zip(tmp_path / "w.pth", {"a": Changed(tensor("0", A), **change)}, {"0": A})
        )


def test_many_names_for_the_same_numbers_are_refused(tmp_path):
    big = np.ones(10_000, np.float32)
    with pytest.raises(BadTorchFile, match="larger than the file"):
        read_torch(
            write_zip(
                tmp_path / "w.pth", {f"a{i}": tensor("0", big) for i in range(1000)}, {"0": big}
            )
        )


def test_a_dict_that_holds_itself_is_refused(tmp_path):
    endless = {}
    endless["state_dict"] = endless
    with pytest.raises(BadTorchFile, match="no tensors"):
        read_torch(write_zip(tmp_path / "w.pth", endless, {}))


def test_an_archive_that_is_none_of_pytorchs_is_refused(tmp_path):
    with pytest.raises(BadTorchFile, match="but not PyTorch's"):
        read_torch(
            write_zip(tmp_path / "bomb.pth", {"a": tensor("0", A)}, {"0": A}, zipfile.ZIP_DEFLATED)
        )
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(BadTorchFile, match="but not PyTorch's"):
        read_torch(tmp_path / "other.zip")


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_a_truncated_file_is_refused(tmp_path, layout):
    big = np.ones((100, 100), np.float32)
    file = {"zip": write_zip, "legacy": write_legacy}[layout](
        tmp_path / "w.pth", {"a": tensor("0", big)}, {"0": big}
    )
    whole = file.read_bytes()
    for length in (len(whole) // 2, 200, 20):
        file.write_bytes(whole[:length])
        with pytest.raises(BadTorchFile):
            read_torch(file)


def read_limited(file):
    """Read a file in a process limited to 1 GB more than it starts with.

    Return the seconds and the output.
    """
    code = (
        "import resource, sys, time; from pathlib import Path; "
        "from dlinknet.checkpoints.torch_files import BadTorchFile, read_torch\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "resource.setrlimit("
        "resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30),) * 2)\n"
        "start = time.monotonic()\n"
        "try:\n    said = ' '.join(sorted(read_torch(Path(sys.argv[1]))))\n"
        "except BadTorchFile as error:\n    said = str(error)\n"
        "print(time.monotonic() - start, said)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    seconds, _, said = done.stdout.strip().partition(" ")
    return float(seconds), said


def as_zip(file, content, members=()):
    """Write a file as PyTorch does, with `content` as its data.pkl."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for name, data in members:
            archive.writestr(name, data)
    return file


# Nested tuples of two equal items: 60 levels in 250 bytes. Their hash and text have 2^60 parts.
DEEP = b"(t" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
START = b"\x80\x02"
BOMBS = {
    "a memo index": (
        START + b"Nr" + struct.pack("<I", 0x30000000) + b".",
        "numbers 805306368 things, more than it has bytes",
    ),
    "bytes": (START + b"\x8e" + struct.pack("<Q", 1 << 40) + b"abc.", "not whole"),
    "a bytearray": (
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"abc.",
        "something else than weights",
    ),
    "a text": (START + b"\x8d" + struct.pack("<Q", 1 << 40) + b"abc.", "not whole"),
    "a frame": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.", "not whole|no tensors"),
    "a whole number": (
        START + b"\x8b" + struct.pack("<i", 1 << 30) + b"abc.",
        "something else than weights",
    ),
    "digits": (START + b"L" + b"9" * 5_000_000 + b"L\n.", "something else than weights"),
    "a hash": (START + b"}" + DEEP + b"Ns.", "a key that is neither a text nor a number"),
    "a name of numbers": (
        START
        + b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        + DEEP
        + b"X\x03\x00\x00\x00cpuK\x01tQ.",
        "something else than numbers",
    ),
    "an OrderedDict": (
        START + b"ccollections\nOrderedDict\n(" + DEEP + b"tR.",
        "an OrderedDict is malformed",
    ),
    "an OrderedDict's key": (
        START + b"ccollections\nOrderedDict\n(](" + b"]" + DEEP + b"aNaetR.",
        "a key that is neither",
    ),
    "many arguments": (
        START + b"ctorch\nSize\n(" + b"N" * 9 + b"tR.",
        "arguments that weights do not need",
    ),
    "dimensions": (START + b"ctorch\nSize\n((" + b"K\x01" * 17 + b"ttR.", "a tensor is malformed"),
    "empty dicts": (START + b"(" + b"}" * (5 << 20) + b"t.", "more than 4 MB"),
    "an object": (START + b"ctorch\nSize\n)\x81.", "something else than weights"),
}


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_costs_little(tmp_path, name, layout):
    content, words = BOMBS[name]
    file = tmp_path / "w.pth"
    if layout == "zip":
        as_zip(file, content)
    else:
        file.write_bytes(pickled(LEGACY_MAGIC) + pickled(1001) + pickled({}) + content)
    seconds, said = read_limited(file)
    assert re.search(words, said) and seconds < 30 and len(said) < 300


def test_one_long_list_is_not_copied_for_every_call(tmp_path):
    """A list of 200,000 pairs from which each further 6 bytes would make a dict: 400,000 times."""
    pair = b"X\x01\x00\x00\x00aN\x86q\x01"
    content = (
        START
        + b"]("
        + pair
        + b"h\x01" * 200_000
        + b"eq\x00"
        + b"ccollections\nOrderedDict\nq\x02"
        + b"h\x02h\x00\x85R0" * 400_000
        + b"."
    )
    seconds, said = read_limited(as_zip(tmp_path / "w.pth", content))
    assert said == "it holds no tensors" and seconds < 30


def test_an_archive_that_lies_about_its_members_is_refused(tmp_path):
    file = write_zip(tmp_path / "w.pth", {"a": tensor("0", A)}, {"0": A})
    content = file.read_bytes()
    # The sizes of both members stand in the central directory, 20 bytes behind its signature.
    where = content.rindex(b"PK\x01\x02") + 20
    for compressed, claimed in ((48, 1 << 31), (1 << 31, 1 << 31), (48, 47)):
        file.write_bytes(
            content[:where] + struct.pack("<II", compressed, claimed) + content[where + 8 :]
        )
        assert read_limited(file)[1] == "it is a ZIP archive, but not PyTorch's"


def test_an_old_pickle_of_python_2_is_read(tmp_path):
    """Python 2 gives an OrderedDict its pairs in a list, and has texts of bytes."""
    weights = Named(
        "collections",
        "OrderedDict",
        [["a", tensor("0", A)], ["b", tensor("0", A, shape=(2,), offset=5)]],
    )
    found = read_torch(write_legacy(tmp_path / "w.th", weights, {"0": A}))
    assert np.array_equal(found["a"], A) and found["b"].tolist() == [5, 6]
    content = b"\x80\x02}U\x05countU\x01as."
    with pytest.raises(BadTorchFile, match="it holds no tensors"):
        read_torch(as_zip(tmp_path / "t.pth", content))
