"""convert.py as a user runs it, and a training that starts from the result."""

import numpy as np
import pytest

from dlinknet.checkpoints.load import load_trained
from dlinknet.checkpoints.read import read_checkpoint
from tests.checkpoints.test_load import save
from tests.checkpoints.test_origins import whole_names, wider_eps
from tests.conftest import call, refused


@pytest.fixture(scope="module")
def files(networks, tmp_path_factory):
    """Write an encoder with mindcv's names and a whole network with the model zoo's names.

    Return their folder and the whole network's tensors, by this project's names.
    """
    folder = tmp_path_factory.mktemp("files of others")
    ours = {p.name: p.asnumpy() for p in networks("linknet18").get_parameters()}
    mindcv = {
        name[len("encoder.") :].replace(".downsample.", ".down_sample."): value
        for name, value in ours.items()
        if name.startswith("encoder.")
    }
    save(folder / "mindcv.ckpt", {**mindcv, "classifier.bias": np.ones(2, np.float32)})
    save(
        folder / "theirs.ckpt",
        whole_names(wider_eps(ours, False), "deconv3", "down_sample_layer", True, True),
    )
    return folder, ours


def test_a_whole_network(files):
    folder, ours = files
    result = call("convert", "--trained_ckpt=theirs.ckpt", "--file_name=mine/net", cwd=folder)
    assert (
        result.returncode == 0
        and "linknet18 from theirs.ckpt; written to mine/net.ckpt" in result.stdout
    ), result.stderr
    found = read_checkpoint(str(folder / "mine" / "net.ckpt"))
    assert {key: found.meta[key] for key in ("model", "classes", "padding")} == {
        "model": "linknet18",
        "classes": 1,
        "padding": "explicit",
    }
    assert found.tensors.keys() == ours.keys()
    assert all(np.allclose(found.tensors[name], ours[name], rtol=0, atol=1e-7) for name in ours)
    assert load_trained(str(folder / "mine" / "net.ckpt"), "dlinknet34").card.model == "linknet18"
    refused(
        call("convert", "--trained_ckpt=theirs.ckpt", "--file_name=mine/net.ckpt", cwd=folder),
        "mine/net.ckpt exists",
    )
    refused(
        call("convert", "--trained_ckpt=mindcv.ckpt", "--file_name=n", cwd=folder),
        "is an encoder alone (mindcv's ResNet)",
    )
    (folder / "text.pth").write_text("hello")
    refused(
        call("convert", "--trained_ckpt=text.pth", "--file_name=n", cwd=folder),
        "text.pth is not a whole MindSpore checkpoint",
    )
    assert not (folder / "n.ckpt").exists()


@pytest.mark.long
def test_an_encoder_and_a_training_that_pads_as_it_does(files, stripe_data):
    folder, ours = files
    result = call(
        "convert",
        "--pretrained_ckpt=mindcv.ckpt",
        "--model_name=linknet18",
        "--file_name=encoder.ckpt",
        cwd=folder,
    )
    assert (
        result.returncode == 0
        and "(mindcv's ResNet, which pads as same_pool does); not needed: classifier.bias"
        in result.stdout
    )
    found = read_checkpoint(str(folder / "encoder.ckpt"))
    assert found.meta["padding"] == "same_pool" and "model" not in found.meta
    assert (
        all(np.array_equal(value, ours[name]) for name, value in found.tensors.items())
        and len(found.tensors) == 100
    )
    result = call(
        "train.py",
        f"--data_path={stripe_data}",
        "--output_path=out",
        "--pretrained_ckpt=encoder.ckpt",
        "--epoch_num=1",
        "--model_name=linknet18",
        "--train_size=32",
        "--device_target=CPU",
        "--learning_rate=1e-9",
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    best = str(folder / "out" / "weight01_dink34_best.ckpt")
    assert read_checkpoint(best).meta["padding"] == "same_pool"
    network = load_trained(best, "dlinknet34").network
    assert network.padding == "same_pool" and np.allclose(
        network.encoder.conv1.weight.asnumpy(), ours["encoder.conv1.weight"], atol=1e-6
    )
    result = call("train.py", "--output_path=out", "--resume", "--epoch_num=2", cwd=folder)
    assert result.returncode == 0 and read_checkpoint(best).meta["padding"] == "same_pool", (
        result.stderr
    )
