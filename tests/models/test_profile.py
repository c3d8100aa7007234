"""Counts of parameters and multiply-adds: worked out by hand, and published by others."""

import json

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn

from dlinknet.devices import runtime
from dlinknet.models import build
from dlinknet.models import profile as room
from dlinknet.models.encoders.resnet import build_encoder


@pytest.fixture
def eagerly():
    """Run operator by operator, as the command profile does; the other tests compile."""

    runtime.run_eagerly()
    yield
    mindspore.set_context(mode=mindspore.GRAPH_MODE)


def test_a_small_network_by_hand(eagerly):
    class Small(nn.Cell):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2, pad_mode="pad", padding=1, has_bias=True)
            self.norm = nn.BatchNorm2d(4)
            self.relu = nn.ReLU()
            self.up = nn.Conv2dTranspose(
                4, 2, 3, stride=2, pad_mode="pad", padding=0, has_bias=True
            )

        def construct(self, x):
            return self.up(self.relu(self.relu(self.norm(self.conv(x)))))

    found = room.layers(Small(), 96, 160)
    assert [(layer.name, layer.kind, layer.output) for layer in found] == [
        ("conv", "Conv2d", (4, 48, 80)),
        ("norm", "BatchNorm2d", (4, 48, 80)),
        ("relu", "ReLU", (4, 48, 80)),
        ("relu", "ReLU", (4, 48, 80)),
        ("up", "Conv2dTranspose", (2, 97, 161)),
    ]
    assert [layer.parameters for layer in found] == [3 * 4 * 9 + 4, 8, 0, 0, 4 * 2 * 9 + 2]
    assert [layer.multiply_adds for layer in found] == [4 * 48 * 80 * 27, 0, 0, 0, 4 * 48 * 80 * 18]
    assert [layer.notebook_flops for layer in found] == [4 * 48 * 80 * 27, 0, 0, 0, 0]
    assert [layer.activation_bytes for layer in found] == [4 * 4 * 48 * 80] * 4 + [4 * 2 * 97 * 161]
    assert room.totals(found) == {
        "parameters": 112 + 8 + 74,
        "multiply_adds": 4 * 48 * 80 * 45,
        "notebook_flops": 4 * 48 * 80 * 27,
        "activation_bytes": 16 * (4 * 48 * 80) + 8 * 97 * 161,
    }


def test_resnet34_at_224_as_published(eagerly):
    """He et al., table 1: 3.6 G multiply-adds.

    torchvision says 3.664 with the classifier's 512 x 1000.
    """

    found = room.layers(build_encoder("resnet34"), 224, 224)
    assert room.totals(found)["multiply_adds"] == pytest.approx(3.664e9 - 512e3, abs=1e6)
    assert room.totals(found)["notebook_flops"] == room.totals(found)["multiply_adds"]


@pytest.mark.parametrize(
    "model, parameters",
    [
        ("linknet34", 21_642_401),
        ("dlinknet34", 31_096_129),
        pytest.param("dlinknet50", 217_645_089, marks=pytest.mark.slow),
    ],
)
def test_a_network_runs_at_the_size_that_was_worked_out(eagerly, networks, model, parameters):
    network = networks(model)
    found = room.layers(network, 96, 160)
    assert room.totals(found)["parameters"] == parameters
    assert (
        found[-1].output
        == (1, 96, 160)
        == network(Tensor(np.zeros((1, 3, 96, 160), np.float32))).shape[1:]
    )
    if model == "linknet34":  # 48 x 80 goes 97 x 161, 95 x 159, 96 x 160
        assert [
            layer.output[1:]
            for layer in found
            if layer.name.startswith("head.") and layer.kind != "ReLU"
        ] == [(97, 161), (95, 159), (96, 160)]
    table, values = room.as_table(found), json.loads(room.as_json(model, found, 96, 160))
    assert len(table.splitlines()) == len(found) + 2 and f"{parameters:,}" in table.splitlines()[-1]
    assert values["parameters"] == parameters and len(values["layers"]) == len(found)
    assert values["layers"][0] == {
        "name": "encoder.conv1",
        "kind": "Conv2d",
        "output": [64, 48, 80],
        "parameters": 9408,
        "multiply_adds": 64 * 48 * 80 * 147,
        "notebook_flops": 64 * 48 * 80 * 147,
        "activation_bytes": 4 * 64 * 48 * 80,
    }


def test_the_notebooks_figures_by_the_notebooks_counting(eagerly):
    """The notebook prints 11.341829 M parameters and 9.613157376 GFLOPs at 640 x 320.

    It counts 320 x 320 out of 320 x 320.
    """

    network = build("linknet18", 5, decoder="depthwise")
    found = room.layers(network, 640, 320)
    assert (
        room.totals(found)["parameters"] == 11_341_829
        and room.totals(found)["notebook_flops"] == 9_613_157_376
    )
    assert found[-1].output == (5, 640, 320)
    assert network(mindspore.Tensor(np.zeros((1, 3, 320, 320), np.float32))).shape == (
        1,
        5,
        320,
        320,
    )
