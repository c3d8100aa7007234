"""PyTorch's files, read without PyTorch: written by PyTorch where it is installed, and by hand where they are hostile."""
import collections
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from dlinknet.models.torch_files import LEGACY_MAGIC, BadTorchFile, is_torch_file, read_torch


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
    """The bytes of a pickle, which may name what does not exist here."""
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
    """A tensor as PyTorch pickles it."""
    shape = values.shape if shape is None else shape
    strides = tuple(int(np.prod(shape[i + 1:])) for i in range(len(shape))) if strides is None else strides
    storage = Pid("storage", Global("torch", kind), key, "cpu", values.size if count is None else count)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, collections.OrderedDict())


def write_zip(file, thing, storages, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(thing))
        for key, values in storages.items():
            archive.writestr(f"archive/data/{key}", values.tobytes())
    return file


def write_legacy(file, thing, storages):
    parts = [pickled(LEGACY_MAGIC), pickled(1001), pickled({"protocol_version": 1001, "little_endian": True}), pickled(thing),
             pickled(list(storages))]
    parts += [struct.pack("<q", values.size) + values.tobytes() for values in storages.values()]
    file.write_bytes(b"".join(parts))
    return file


A = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_tensors_of_a_file_written_by_hand(tmp_path, layout):
    weights = {"a": tensor("0", A), "turned": tensor("0", A, shape=(4, 3), strides=(1, 4)), "part": tensor("0", A, shape=(2,), offset=5),
               "count": tensor("1", np.array([7], np.int64), "LongStorage", shape=())}
    if layout == "legacy":      # with the sixth part of an id that this layout has
        for name in weights:
            (call, (storage, *rest)) = weights[name].call
            weights[name] = Named(*call, Pid(*storage.pid, None), *rest)
    write = {"zip": write_zip, "legacy": write_legacy}[layout]
    file = write(tmp_path / "w.pth", {"epoch": 3, "state_dict": weights}, {"0": A, "1": np.array([7], np.int64)})
    assert is_torch_file(file)
    found = read_torch(file)
    assert found.keys() == weights.keys() and np.array_equal(found["a"], A) and np.array_equal(found["turned"], A.T)
    assert found["part"].tolist() == [5, 6] and found["count"] == 7 and found["count"].shape == ()


@pytest.mark.parametrize("legacy", [False, True])
def test_what_pytorch_writes(tmp_path, legacy):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
    rng = np.random.default_rng(0)
    weights = collections.OrderedDict(
        a=torch.tensor(rng.random((2, 3, 5))), b=torch.tensor(rng.random((4, 4)).astype(np.float32)).t(),
        half=torch.tensor([1.5, -2.25], dtype=torch.float16), brain=torch.tensor([1.5, -3.0e38], dtype=torch.bfloat16),
        count=torch.tensor(12), none=torch.zeros(0, 3), learnt=torch.nn.Parameter(torch.ones(3)), whole=torch.arange(10)[2:5])
    file = tmp_path / "w.th"
    torch.save(weights, file, _use_new_zipfile_serialization=not legacy)
    assert is_torch_file(file)
    found = read_torch(file)
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        expected = value.detach().float().numpy() if value.dtype in (torch.float16, torch.bfloat16) else value.detach().numpy()
        assert np.array_equal(found[name], expected) and found[name].dtype == expected.dtype, name


HOSTILE = {
    "a command": {"a": Named("os", "system", "touch hacked")},
    "a builtin": {"a": Named("builtins", "eval", "open('hacked', 'w')")},
    "a network": {"a": Named("networks.dinknet", "DinkNet34")},
    "by another way": {"a": Named("torch.storage", "_load_from_bytes", b"x")},
}


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_asks_for_a_function_is_refused_and_nothing_runs(tmp_path, monkeypatch, name, layout):
    monkeypatch.chdir(tmp_path)
    file = {"zip": write_zip, "legacy": write_legacy}[layout](tmp_path / "w.pth", {"b": tensor("0", A), **HOSTILE[name]}, {"0": A})
    with pytest.raises(BadTorchFile, match="it asks for .*, which weights do not need; save the network's state_dict"):
        read_torch(file)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("weights, words", [
    ({"a": tensor("0", A, shape=(3, 5))}, "reaches beyond"), ({"a": tensor("0", A, shape=(100, 100), strides=(0, 0))}, "larger than itself"),
    ({"a": tensor("0", A, shape=(4, 4), strides=(0, 1))}, "reaches beyond"),
    ({"a": tensor("0", A, shape=(3, 4), strides=(5, 1))}, "reaches beyond"), ({"a": tensor("0", A, offset=-1)}, "is not one"),
    ({"a": tensor("0", A, offset=5)}, "reaches beyond"), ({"a": tensor("0", A, count=10 ** 12)}, "ends early"),
    ({"a": tensor("0", A, count=13)}, "ends early"), ({"a": tensor("0", A, count=-1)}, "ends early"),
    ({"a": tensor("9", A)}, "not whole"), ({"a": 3}, "no tensors"), ([1, 2], "no tensors"), ({}, "no tensors")])
def test_a_damaged_file_is_refused(tmp_path, weights, words):
    with pytest.raises(BadTorchFile, match=words):
        read_torch(write_zip(tmp_path / "w.pth", weights, {"0": A}))


class Changed:
    """Pickled as a thing that is changed after it was made."""

    def __init__(self, thing, **state):
        self.thing, self.state = thing, state


@pytest.mark.parametrize("change", [{"offset": -100}, {"strides": (-4, 1)}, {"shape": (10 ** 6, 10 ** 6), "strides": (0, 0)},
                                    {"offset": 10 ** 6}, {"shape": ("3", 4)}, {"storage": None}])
def test_a_tensor_that_is_changed_after_it_was_made_is_refused(tmp_path, change):
    with pytest.raises(BadTorchFile):
        read_torch(write_zip(tmp_path / "w.pth", {"a": Changed(tensor("0", A), **change)}, {"0": A}))


def test_many_names_for_the_same_numbers_are_refused(tmp_path):
    big = np.ones(10_000, np.float32)
    with pytest.raises(BadTorchFile, match="larger than itself"):
        read_torch(write_zip(tmp_path / "w.pth", {f"a{i}": tensor("0", big) for i in range(1000)}, {"0": big}))


def test_a_dict_that_holds_itself_is_refused(tmp_path):
    endless = {}
    endless["state_dict"] = endless
    with pytest.raises(BadTorchFile, match="no tensors"):
        read_torch(write_zip(tmp_path / "w.pth", endless, {}))


def test_an_archive_that_is_none_of_pytorchs_is_refused(tmp_path):
    with pytest.raises(BadTorchFile, match="but not PyTorch's"):
        read_torch(write_zip(tmp_path / "bomb.pth", {"a": tensor("0", A)}, {"0": A}, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(BadTorchFile, match="but not PyTorch's"):
        read_torch(tmp_path / "other.zip")


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_a_truncated_file_is_refused(tmp_path, layout):
    big = np.ones((100, 100), np.float32)
    file = {"zip": write_zip, "legacy": write_legacy}[layout](tmp_path / "w.pth", {"a": tensor("0", big)}, {"0": big})
    whole = file.read_bytes()
    for length in (len(whole) // 2, 200, 20):
        file.write_bytes(whole[:length])
        with pytest.raises(BadTorchFile):
            read_torch(file)
