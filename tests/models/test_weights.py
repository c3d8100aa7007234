"""Checkpoints in: what is taken, what is refused."""
import json

import numpy as np
import pytest

from dlinknet.errors import RunFailed, UserError


@pytest.fixture
def encoder(mindspore):
    """A small encoder, one block a stage, with random weights."""
    from dlinknet.models.resnet import BasicBlock, ResNet
    return ResNet(BasicBlock, (1, 1, 1, 1))


def save(mindspore, path, tensors):
    mindspore.save_checkpoint([{"name": n, "data": mindspore.Tensor(v)} for n, v in tensors.items()], str(path))
    return str(path)


def zoo_names(encoder, seed=0):
    """The encoder's tensors with random values under the model zoo's names, and a classifier."""
    rng = np.random.default_rng(seed)
    tensors = {"end_point.weight": rng.random((10, 512)).astype(np.float32), "moments.conv1.weight": np.ones(1, np.float32)}
    for p in encoder.get_parameters():
        name = p.name.replace("downsample", "down_sample_layer")
        name = name.replace(".bn1.", ".bn1d.").replace(".bn2.", ".bn2d.") if name.startswith("layer") else name
        tensors[name] = rng.random(p.shape).astype(np.float32)
    return tensors


def test_the_zoos_resnet_becomes_an_encoder(mindspore, encoder, tmp_path):
    from dlinknet.models.weights import load_encoder, read_checkpoint
    tensors = zoo_names(encoder)
    line = load_encoder(read_checkpoint(save(mindspore, tmp_path / "zoo.ckpt", tensors), "k"), encoder, "k")
    got = {p.name: p.asnumpy() for p in encoder.get_parameters()}
    assert np.array_equal(got["conv1.weight"], tensors["conv1.weight"])
    assert np.array_equal(got["layer2.0.bn2.gamma"], tensors["layer2.0.bn2d.gamma"])
    assert np.array_equal(got["layer3.0.downsample.0.weight"], tensors["layer3.0.down_sample_layer.0.weight"])
    # The zoo's blocks use eps 1e-4, its stem and shortcuts 1e-5 as ours do.
    assert np.allclose(got["layer1.0.bn1.moving_variance"] - tensors["layer1.0.bn1d.moving_variance"], 9e-5, atol=1e-7)
    assert np.array_equal(got["bn1.moving_variance"], tensors["bn1.moving_variance"])
    assert np.array_equal(got["layer2.0.downsample.1.moving_variance"], tensors["layer2.0.down_sample_layer.1.moving_variance"])
    assert f"{len(got)} of {len(got)} tensors" in line and line.endswith("not needed: end_point.weight")


def test_a_file_without_an_encoder_is_refused(mindspore, encoder, tmp_path):
    from dlinknet.models.weights import load_encoder, read_checkpoint
    with pytest.raises(UserError, match="holds no weights that are known here: .*it has conv1.weight"):
        load_encoder(read_checkpoint(save(mindspore, tmp_path / "e.ckpt", {"conv1.weight": np.ones(1)}), "k"), encoder, "k")


@pytest.mark.parametrize("meta", [{"model": "linknet152"}, {"model": "linknet34", "classes": 0}, {"decoder": "nearest"}, {"format": 2}])
def test_a_checkpoint_of_a_later_kind_is_one_line(mindspore, encoder, tmp_path, meta):
    from dlinknet.models.weights import load_trained
    from dlinknet.training.checkpoint import save as save_ours
    save_ours(tmp_path / "later.ckpt", encoder.get_parameters(), meta)
    with pytest.raises(UserError, match="later.ckpt .*from a later "):
        load_trained(str(tmp_path / "later.ckpt"), "trained_ckpt", "dlinknet34")


def test_a_missing_tensor_is_named_and_nothing_changes(mindspore, encoder, tmp_path):
    from dlinknet.models.weights import load_encoder, read_checkpoint
    tensors = zoo_names(encoder)
    del tensors["layer4.0.conv2.weight"]
    before = encoder.conv1.weight.asnumpy().copy()
    with pytest.raises(UserError, match="lacks 1 of .*layer4.0.conv2.weight"):
        load_encoder(read_checkpoint(save(mindspore, tmp_path / "zoo.ckpt", tensors), "k"), encoder, "k")
    assert np.array_equal(encoder.conv1.weight.asnumpy(), before)


def test_a_tensor_of_another_shape_is_named(mindspore, encoder, tmp_path):
    from dlinknet.models.weights import load_encoder, read_checkpoint
    tensors = {**zoo_names(encoder), "conv1.weight": np.ones((64, 4, 7, 7), np.float32)}
    with pytest.raises(UserError, match=r"conv1.weight \(64, 4, 7, 7\) for \(64, 3, 7, 7\)"):
        load_encoder(read_checkpoint(save(mindspore, tmp_path / "zoo.ckpt", tensors), "k"), encoder, "k")


def test_our_checkpoint_round_trips_with_its_meta(mindspore, encoder, tmp_path):
    from dlinknet.models.weights import META, load_network, read_checkpoint, set_value
    from dlinknet.training.checkpoint import save as save_ours
    values = {p.name: p.asnumpy().copy() for p in encoder.get_parameters()}
    file = tmp_path / "ours.ckpt"
    save_ours(file, encoder.get_parameters(), {"model": "dlinknet34", "epoch": 3})
    checkpoint = read_checkpoint(str(file), "k")
    assert checkpoint.meta == {"format": 1, "model": "dlinknet34", "epoch": 3}
    for p in encoder.get_parameters():
        set_value(p, np.zeros(p.shape, np.float32))
    load_network(checkpoint, encoder, "k")
    assert all(np.array_equal(p.asnumpy(), values[p.name]) for p in encoder.get_parameters())
    # MindSpore's own loader reads it too.
    assert json.loads(bytes(mindspore.load_checkpoint(str(file))[META].asnumpy()))["epoch"] == 3


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "folder"])
def test_a_damaged_file_is_one_line(mindspore, encoder, tmp_path, damage, capfd):
    from dlinknet.models.weights import read_checkpoint
    file = tmp_path / "bad.ckpt"
    if damage == "folder":
        file.mkdir()
    elif damage == "truncated":
        save(mindspore, file, zoo_names(encoder))
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:-1000])
    elif damage != "missing":
        file.write_text("" if damage == "empty" else "not a checkpoint")
    with pytest.raises(UserError, match="bad.ckpt"):
        read_checkpoint(str(file), "trained_ckpt")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("error, words", [(OSError(5, "Input/output error"), "Input/output error"), (MemoryError(), "out of memory")])
def test_what_the_machine_cannot_read_is_not_called_damaged(mindspore, tmp_path, monkeypatch, error, words):
    from dlinknet.models import weights
    save(mindspore, tmp_path / "a.ckpt", {"x": np.ones(3, np.float32)})

    def fail(*_):
        raise error

    monkeypatch.setattr(weights, "read_ckpt", fail)
    with pytest.raises(RunFailed, match=f"k: cannot read .*a.ckpt: {words}"):
        weights.read_checkpoint(str(tmp_path / "a.ckpt"), "k")
