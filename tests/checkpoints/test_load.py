"""Checkpoint files that a network loads, and files that are rejected."""

import json

import mindspore
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from dlinknet.checkpoints import read
from dlinknet.checkpoints.load import (
    load_encoder,
    load_network,
    load_state,
    load_trained,
    set_value,
)
from dlinknet.checkpoints.read import META, read_checkpoint
from dlinknet.checkpoints.save import save as save_ours
from dlinknet.errors import RunFailed, UserError
from dlinknet.models.encoders.resnet import BasicBlock, ResNet


@pytest.fixture
def encoder():
    """Return a small encoder, one block per stage, with random weights."""

    return ResNet(BasicBlock, (1, 1, 1, 1))


def save(path, tensors):
    mindspore.save_checkpoint(
        [{"name": n, "data": mindspore.Tensor(v)} for n, v in tensors.items()], str(path)
    )
    return str(path)


def zoo_names(encoder, seed=0):
    """Return the encoder's tensors with random values under the model zoo's names.

    A classifier and a part of an optimizer's state are beside them.
    """
    rng = np.random.default_rng(seed)
    tensors = {
        "end_point.weight": rng.random((10, 512)).astype(np.float32),
        "moments.conv1.weight": np.ones(1, np.float32),
    }
    for p in encoder.get_parameters():
        name = p.name.replace("downsample", "down_sample_layer")
        name = (
            name.replace(".bn1.", ".bn1d.").replace(".bn2.", ".bn2d.")
            if name.startswith("layer")
            else name
        )
        tensors[name] = rng.random(p.shape).astype(np.float32)
    return tensors


def test_the_zoos_resnet_becomes_an_encoder(encoder, tmp_path):
    tensors = zoo_names(encoder)
    line = load_encoder(read_checkpoint(save(tmp_path / "zoo.ckpt", tensors)), encoder)
    got = {p.name: p.asnumpy() for p in encoder.get_parameters()}
    assert np.array_equal(got["conv1.weight"], tensors["conv1.weight"])
    assert np.array_equal(got["layer2.0.bn2.gamma"], tensors["layer2.0.bn2d.gamma"])
    assert np.array_equal(
        got["layer3.0.downsample.0.weight"], tensors["layer3.0.down_sample_layer.0.weight"]
    )
    # The model zoo's blocks use eps 1e-4, its stem and shortcuts 1e-5 as dlinknet does.
    assert np.allclose(
        got["layer1.0.bn1.moving_variance"] - tensors["layer1.0.bn1d.moving_variance"],
        9e-5,
        atol=1e-7,
    )
    assert np.array_equal(got["bn1.moving_variance"], tensors["bn1.moving_variance"])
    assert np.array_equal(
        got["layer2.0.downsample.1.moving_variance"],
        tensors["layer2.0.down_sample_layer.1.moving_variance"],
    )
    assert f"{len(got)} of {len(got)} tensors" in line and line.endswith(
        "not needed: end_point.weight"
    )


def test_a_file_without_an_encoder_is_refused(encoder, tmp_path):
    with pytest.raises(
        UserError, match="holds no weights that dlinknet knows: .*it has conv1.weight"
    ):
        load_encoder(
            read_checkpoint(save(tmp_path / "e.ckpt", {"conv1.weight": np.ones(1)})),
            encoder,
        )


@pytest.mark.parametrize(
    "meta",
    [
        {"model": "linknet152"},
        {"model": "linknet34", "classes": 0},
        {"decoder": "nearest"},
        {"format": 2},
    ],
)
def test_a_checkpoint_of_a_later_kind_is_one_line(encoder, tmp_path, meta):
    save_ours(tmp_path / "later.ckpt", encoder.get_parameters(), meta)
    with pytest.raises(UserError, match="later.ckpt .*from a later "):
        load_trained(str(tmp_path / "later.ckpt"), "dlinknet34")


def test_a_missing_tensor_is_named_and_nothing_changes(encoder, tmp_path):
    tensors = zoo_names(encoder)
    del tensors["layer4.0.conv2.weight"]
    before = encoder.conv1.weight.asnumpy().copy()
    with pytest.raises(UserError, match="lacks 1 of .*layer4.0.conv2.weight"):
        load_encoder(read_checkpoint(save(tmp_path / "zoo.ckpt", tensors)), encoder)
    assert np.array_equal(encoder.conv1.weight.asnumpy(), before)


def test_a_tensor_of_another_shape_is_named(encoder, tmp_path):
    tensors = {**zoo_names(encoder), "conv1.weight": np.ones((64, 4, 7, 7), np.float32)}
    with pytest.raises(UserError, match=r"conv1.weight \(64, 4, 7, 7\) for \(64, 3, 7, 7\)"):
        load_encoder(read_checkpoint(save(tmp_path / "zoo.ckpt", tensors)), encoder)


def test_our_checkpoint_round_trips_with_its_meta(encoder, tmp_path):
    values = {p.name: p.asnumpy().copy() for p in encoder.get_parameters()}
    file = tmp_path / "ours.ckpt"
    save_ours(file, encoder.get_parameters(), {"model": "dlinknet34", "epoch": 3})
    checkpoint = read_checkpoint(str(file))
    assert checkpoint.meta == {"format": 1, "model": "dlinknet34", "epoch": 3}
    for p in encoder.get_parameters():
        set_value(p, np.zeros(p.shape, np.float32))
    load_network(checkpoint, encoder)
    assert all(np.array_equal(p.asnumpy(), values[p.name]) for p in encoder.get_parameters())
    # MindSpore's own loader reads it too.
    assert json.loads(bytes(mindspore.load_checkpoint(str(file))[META].asnumpy()))["epoch"] == 3


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "folder"])
def test_a_damaged_file_is_one_line(encoder, tmp_path, damage, capfd):
    file = tmp_path / "bad.ckpt"
    if damage == "folder":
        file.mkdir()
    elif damage == "truncated":
        save(file, zoo_names(encoder))
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:-1000])
    elif damage != "missing":
        file.write_text("" if damage == "empty" else "not a checkpoint")
    with pytest.raises(UserError, match="bad.ckpt"):
        read_checkpoint(str(file))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "start, reader",
    [
        (b"\x0a", "dlinknet.checkpoints.read.read_ckpt"),
        (b"PK\x03\x04", "dlinknet.checkpoints.torch_files._read_legacy"),
        (b"\x02" + bytes(7) + b"{}", "safetensors.numpy.load_file"),
    ],
)
@pytest.mark.parametrize(
    "error, words",
    [(OSError(5, "Input/output error"), "Input/output error"), (MemoryError(), "out of memory")],
)
def test_what_the_machine_cannot_read_is_not_called_damaged(
    tmp_path, monkeypatch, start, reader, error, words
):
    if reader.startswith("safetensors"):
        pytest.importorskip(
            "safetensors", reason="safetensors is not installed: pip install safetensors"
        )

    def fail(*_):
        raise error

    (tmp_path / "a.ckpt").write_bytes(start)
    monkeypatch.setattr(reader, fail)
    with pytest.raises(RunFailed, match=f"cannot read .*a.ckpt: {words}"):
        read.read_checkpoint(str(tmp_path / "a.ckpt"))


def spoiled(encoder, name, change):
    """Return the encoder's tensors with the prefix 'encoder.', one of them changed."""
    tensors = {f"encoder.{p.name}": p.asnumpy().copy() for p in encoder.get_parameters()}
    tensors[name] = change(tensors[name])
    return tensors


def with_last(number):
    def change(value):
        value.flat[-1] = number
        return value

    return change


@pytest.mark.parametrize(
    "name, change, words",
    [
        (
            "encoder.conv1.weight",
            with_last(np.nan),
            r"has NaN or infinity in 1 of \d+ tensors \(encoder.conv1.weight\): the training that",
        ),
        (
            "encoder.bn1.beta",
            with_last(-np.inf),
            r"has NaN or infinity in 1 of \d+ tensors \(encoder.bn1.beta\)",
        ),
        (
            "encoder.conv1.weight",
            lambda value: value.astype(np.float64) + 1e300,
            "has NaN or infinity in 1 of",
        ),
        (
            "encoder.layer1.0.bn2.moving_variance",
            with_last(-1e-3),
            "has variances below 0 in 1 tensors .encoder.layer1.0.bn2.moving_variance.",
        ),
        *(
            (
                "encoder.conv1.weight",
                lambda value, kind=kind: value.astype(kind),
                f"has 1 tensors of a type that is not accepted .encoder.conv1.weight {kind}.",
            )
            for kind in ("int32", "int64", "uint8", "bool")
        ),
        ("encoder.bn1.gamma", lambda value: np.float32(1), r"encoder.bn1.gamma \(\) for \(64,\)"),
        (
            "encoder.bn1.gamma",
            lambda value: value[None],
            r"encoder.bn1.gamma \(1, 64\) for \(64,\)",
        ),
    ],
)
def test_weights_that_are_not_numbers_are_refused_and_nothing_changes(
    encoder, tmp_path, name, change, words
):
    before = {p.name: p.asnumpy().copy() for p in encoder.get_parameters()}
    checkpoint = read_checkpoint(save(tmp_path / "a.ckpt", spoiled(encoder, name, change)))
    with pytest.raises(UserError, match=words) as error:
        load_encoder(checkpoint, encoder)
    assert len(str(error.value)) - len(str(tmp_path)) <= 300
    assert all(np.array_equal(p.asnumpy(), before[p.name]) for p in encoder.get_parameters())


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_weights_in_other_types_of_floats_are_converted(encoder, tmp_path, kind):
    values = spoiled(encoder, "encoder.conv1.weight", lambda value: value.astype(kind))
    expected = values["encoder.conv1.weight"].astype(np.float32)
    set_value(encoder.conv1.weight, np.zeros(expected.shape, np.float32))
    load_encoder(read_checkpoint(save(tmp_path / "a.ckpt", values)), encoder)
    assert (
        np.array_equal(encoder.conv1.weight.asnumpy(), expected)
        and encoder.conv1.weight.dtype == mindspore.float32
    )


def test_an_optimizers_state_is_checked_too(tmp_path):
    count, moment = (
        Parameter(Tensor(3, mindspore.int32), name="global_step"),
        Parameter(Tensor(np.ones(2, np.float32)), name="moment1.a"),
    )
    for step, values, words in (
        (5, [1, np.nan], "has NaN or infinity in 1 of 2 tensors .moment1.a."),
        (5.5, [1, 2], "global_step float32"),
        (2**40, [1, 2], "global_step int64"),
        (5, [1, 2], ""),
    ):
        kind = np.float32 if isinstance(step, float) else np.int64
        (tmp_path / "a.ckpt").unlink(missing_ok=True)
        file = save(
            tmp_path / "a.ckpt",
            {"global_step": np.array(step, kind), "moment1.a": np.array(values, np.float32)},
        )
        if words:
            with pytest.raises(UserError, match=words):
                load_state(read_checkpoint(file), [count, moment])
        else:
            load_state(read_checkpoint(file), [count, moment])
    assert count.asnumpy() == 5 and moment.asnumpy().tolist() == [1, 2]


@pytest.mark.parametrize("name", ["a.ckpt", "a.pth", "a.safetensors"])
@pytest.mark.parametrize(
    "content, words",
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 46192855\n",
            "is a Git LFS pointer, not the file itself; run: git lfs pull",
        ),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page, not the file itself"),
        (b"\n  <HTML>", "is a web page"),
        (b"", "is empty; download or copy it again"),
    ],
)
def test_what_is_downloaded_in_place_of_a_checkpoint_is_called_by_name(
    tmp_path, name, content, words
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"^.*{name} {words}"):
        read_checkpoint(str(tmp_path / name))


@pytest.fixture
def bfloat16_file(tmp_path):
    """Return a safetensors file whose tensor x is [1, -2.5] in bfloat16."""
    pytest.importorskip(
        "safetensors", reason="safetensors is not installed: pip install safetensors"
    )
    head = b'{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(head).to_bytes(8, "little") + head + b"\x80\x3f\x20\xc0")
    return str(file)


def test_bfloat16_in_a_safetensors_file_becomes_float32(bfloat16_file):
    try:
        np.dtype("bfloat16")
    except TypeError:
        pytest.skip("this MindSpore does not teach NumPy bfloat16")
    found = read_checkpoint(bfloat16_file).tensors["x"]
    assert found.dtype == np.float32 and found.tolist() == [1, -2.5]


def test_a_type_that_numpy_lacks_is_not_called_damage(bfloat16_file, monkeypatch):
    def fail(_):
        raise TypeError("data type 'bfloat16' not understood")

    monkeypatch.setattr("safetensors.numpy.load_file", fail)
    with pytest.raises(UserError, match="a type of numbers that NumPy lacks .*as float32$"):
        read_checkpoint(bfloat16_file)


def in_text(file, text):
    """Write a checkpoint of one tensor and this text, and return its path."""
    return save(
        file,
        {"a": np.ones(1, np.float32), "dlinknet_meta": np.frombuffer(text, np.uint8).copy()},
    )


@pytest.mark.parametrize(
    "text, words",
    [
        (b"[1]", r"it is \[1\], not a dict"),
        (b"null", "it is None"),
        (b"{", "line 1: not JSON"),
        (b"[" * 5000 + b"]" * 5000, "more than 20 levels"),
        (b"\xff", "not a UTF-8"),
        (b'{"format": true}', "format is True"),
        (b'{"format": -1}', "format is -1"),
        (b'{"a": "\\u0000"}', "NUL byte"),
        (b'{"a": ' + b"9" * 50 + b"}", "digits"),
    ],
)
def test_a_text_that_is_not_one_is_one_line(tmp_path, text, words):
    with pytest.raises(
        UserError, match=f"a.ckpt is damaged: the text in it cannot be read: .*{words}"
    ) as error:
        read_checkpoint(in_text(tmp_path / "a.ckpt", text))
    assert len(str(error.value)) - len(str(tmp_path)) <= 300


def test_numbers_that_are_not_finite_stand_in_a_text(tmp_path):
    meta = read_checkpoint(in_text(tmp_path / "a.ckpt", b'{"x": NaN, "y": Infinity}')).meta
    assert meta["x"] != meta["x"] and meta["y"] == float("inf")


def test_names_of_any_length_do_not_make_an_errors_line_long(encoder, tmp_path):
    file = save(
        tmp_path / "a.ckpt",
        {"x" * 5000: np.ones(1, np.float32), "a\nb": np.ones(1, np.float32)},
    )
    with pytest.raises(UserError, match="holds no weights that dlinknet knows") as error:
        load_encoder(read_checkpoint(file), encoder)
    assert len(str(error.value)) - len(str(tmp_path)) <= 300 and "\n" not in str(error.value)
