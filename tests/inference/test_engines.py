"""Engines: the shape of their maps, and the error for a probability that is no finite number."""

import numpy as np
import pytest

from dlinknet.checkpoints.load import set_value
from dlinknet.data.preprocess import DLINKNET
from dlinknet.errors import RunFailed
from dlinknet.inference.description import Shape
from dlinknet.inference.engines import ExportedEngine, NetworkEngine, checked_maps
from dlinknet.models.encoders.resnet import BasicBlock, ResNet
from dlinknet.models.linknet import LinkNet


def test_one_map_has_no_axis_of_its_own():
    assert checked_maps(np.zeros((2, 1, 4, 5)), "m").shape == (2, 4, 5)
    assert checked_maps(np.zeros((2, 3, 4, 5)), "m").shape == (2, 3, 4, 5)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(number):
    values = np.zeros((1, 1, 4, 4), np.float32)
    values[0, 0, 3, 3] = number
    with pytest.raises(
        RunFailed, match="^a.onnx computes probabilities that are not finite numbers"
    ):
        checked_maps(values, "a.onnx")


def test_a_network_of_nan_draws_no_mask():
    network = LinkNet(ResNet(BasicBlock, (1, 1, 1, 1)), 1)
    engine = NetworkEngine(network)
    image = engine.prepare(np.zeros((32, 32, 3), np.uint8))[None]
    assert engine(image).shape == (1, 32, 32)
    set_value(network.head.conv2.bias, np.array([np.nan], np.float32))
    with pytest.raises(RunFailed, match="the network computes probabilities that are not finite"):
        engine(image)


def test_an_exported_model_is_named_by_its_file():
    from pathlib import Path

    class Broken(ExportedEngine):
        def _probabilities(self, inputs):
            return np.full((1, 1, 32, 32), np.nan, np.float32)

    with pytest.raises(RunFailed, match="^net.mindir computes probabilities that are not finite"):
        Broken(Path("net.mindir"), Shape(1, (32, 32)), DLINKNET)(
            np.zeros((1, 3, 32, 32), np.float32)
        )
