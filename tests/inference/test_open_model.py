"""Models opened by their files' names."""

from pathlib import Path

import numpy as np
import pytest

from dlinknet import config
from dlinknet.commands.prediction import open_trained
from dlinknet.data.preprocess import DLINKNET
from dlinknet.devices import runtime
from dlinknet.devices.context import ComputeOptions
from dlinknet.errors import RunFailed
from dlinknet.inference.description import Shape
from dlinknet.inference.engines import ExportedEngine


def test_mindspore_is_started_once_for_all_models(spread_checkpoint, monkeypatch):
    file = str(spread_checkpoint("linknet34"))
    starts = []
    monkeypatch.setattr(
        runtime, "start", lambda *arguments: starts.append(arguments) or "device: CPU"
    )
    settings = config.load(
        [f"--trained_ckpt={file}", "--device_target=CPU", "--device_id=1", "--seed=2"], ""
    )
    opened = [open_trained(settings, file) for _ in range(2)]
    assert (
        starts == [("CPU", 1, 2, ComputeOptions(settings.tf32, "auto"))]
        and [model.device for model in opened] == ["device: CPU"] * 2
    )
    assert opened[0].engine is not opened[1].engine


@pytest.mark.parametrize(
    "found, expected",
    [
        ((1, 1, 32, 32), None),
        ((1, 3, 32, 32), "(1, 3, 32, 32) in place of (1, 1, 32, 32)"),
        ((1, 1, 16, 32), "(1, 1, 16, 32) in place"),
        ((32, 32), "(32, 32) in place of (1, 1, 32, 32)"),
        ((2, 1, 32, 32), "(2, 1, 32, 32)"),
    ],
)
def test_a_model_that_gives_another_shape_fails_in_one_line(found, expected):
    engine = ExportedEngine(Path("m.onnx"), Shape(1, (32, 32)), DLINKNET, 1)
    engine._probabilities = lambda inputs: np.zeros(found, np.float32)
    inputs = np.zeros((1, 3, 32, 32), np.float32)
    if expected is None:
        assert engine(inputs).shape == (1, 32, 32)
        return
    with pytest.raises(RunFailed) as caught:
        engine(inputs)
    assert "m.onnx" in str(caught.value) and expected in str(caught.value)
