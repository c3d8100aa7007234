"""The weights that a training starts from.

If the command line names a whole network, it is fine-tuned. For other classes, its last layer
starts from random weights.
"""

import numpy as np
import pytest

from dlinknet import config
from dlinknet.checkpoints.read import read_checkpoint
from dlinknet.commands.resuming import starts_from
from dlinknet.commands.training import starting_network
from dlinknet.data.read_table import parse_classes
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError


def table(names):
    """Return a class table with these classes."""
    return parse_classes(
        {
            "classes": [
                {"name": name, "colour": [number, 0, 0], "values": [number]}
                for number, name in enumerate(names)
            ]
        }
    )


def settings(*arguments):
    return config.load(["--model_name=linknet18", *arguments], "", command="train")


@pytest.fixture
def start():
    return lambda settings, classes: starting_network(settings, classes, None)


def values(network):
    return {p.name: p.asnumpy() for p in network.get_parameters()}


def test_a_network_of_the_same_classes_keeps_every_weight(start, spread_checkpoint):
    file = spread_checkpoint("linknet18")

    network, line = start(settings(f"--trained_ckpt={file}"), ROADS)
    tensors, found = read_checkpoint(str(file)).tensors, values(network)
    assert found.keys() == tensors.keys() and all(
        np.array_equal(found[name], tensors[name]) for name in tensors
    )
    assert (
        f"encoder, decoder and head: {len(tensors)} of {len(tensors)} tensors "
        f"from {file} (linknet18)" == line
    )


@pytest.mark.parametrize(
    "names", [("sky", "wood", "road"), pytest.param(("background", "road"), id="those of roads")]
)
def test_the_last_layer_starts_from_random_weights_for_other_classes(
    start, spread_checkpoint, names
):
    file = spread_checkpoint("linknet18")

    network, line = start(settings(f"--trained_ckpt={file}"), table(names))
    tensors, found = read_checkpoint(str(file)).tensors, values(network)
    assert {name for name in tensors if not np.array_equal(found[name], tensors[name])} == {
        "head.conv2.weight",
        "head.conv2.bias",
    }
    assert found["head.conv2.weight"].shape[0] == len(names)
    assert line.endswith(
        "its last layer starts from random weights, "
        f"for its classes were 1 (road) and are {len(names)} ({', '.join(names)})"
    )


def test_another_network_or_preprocessing_is_refused_with_what_to_give(start, spread_checkpoint):
    file = spread_checkpoint("linknet18")
    for arguments, words in (
        (
            ["--model_name=linknet34"],
            "has the model linknet18, not linknet34; fine-tune it with model linknet18",
        ),
        (
            ["--decoder=subpixel"],
            "has the decoder full, not subpixel; fine-tune it with decoder full",
        ),
        (["--preprocessing=imagenet_mean"], "fine-tune it with its own preprocessing"),
    ):
        with pytest.raises(UserError, match=words):
            start(settings(f"--trained_ckpt={file}", *arguments), ROADS)


def test_one_thing_alone_is_started_from(tmp_path):
    asked = settings("--trained_ckpt=a.ckpt")
    assert starts_from(asked, False) == ["trained_ckpt"] and starts_from(
        settings("--pretrained_ckpt=b.ckpt"), False
    ) == ["pretrained_ckpt"]
    assert (
        starts_from(settings(), False)
        == starts_from(settings("--pretrained_ckpt=b.ckpt"), True)
        == []
    )
    with pytest.raises(UserError, match="a run that goes on has its own weights"):
        starts_from(asked, True)
    with pytest.raises(UserError, match="trained_ckpt and pretrained_ckpt both name"):
        starts_from(settings("--trained_ckpt=a.ckpt", "--pretrained_ckpt=b.ckpt"), False)
    (tmp_path / "all.yaml").write_text("pretrained_ckpt: b.ckpt\n")
    assert starts_from(
        settings("--trained_ckpt=a.ckpt", f"--config_path={tmp_path / 'all.yaml'}"), False
    ) == ["trained_ckpt"], "a file's is passed over"


def test_a_yaml_file_that_serves_evaluation_too_starts_nothing(tmp_path, monkeypatch):
    """The model zoo's README says to write trained_ckpt into the file that training also reads."""
    said = []
    monkeypatch.setattr(
        "dlinknet.commands.resuming.LOG.info", lambda text, *words: said.append(text)
    )
    (tmp_path / "all.yaml").write_text("trained_ckpt: a.ckpt\n")
    assert starts_from(settings(f"--config_path={tmp_path / 'all.yaml'}"), False) == []
    assert len(said) == 1 and "--trained_ckpt=FILE on the command line fine-tunes" in said[0]
