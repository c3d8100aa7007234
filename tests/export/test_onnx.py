"""MindSpore's ONNX writer, operator by operator: wrong without the correction, right with it."""

import importlib.util

import numpy as np
import pytest
from mindspore import Tensor, nn

from dlinknet.errors import RunFailed
from dlinknet.export import onnx as ours
from dlinknet.export.mindir import write_graph
from dlinknet.export.onnx import check_onnx, compute_opencv
from dlinknet.inference.description import Shape
from dlinknet.models.blocks import Head, double_transposed, plain_conv
from dlinknet.models.encoders.resnet import conv, pad_for_pool

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="pip install -r requirements-onnx.txt",
)


@pytest.fixture
def onnx():
    """Return the package, imported after MindSpore: 2.0.0 configures protobuf, which onnx uses."""
    import onnx

    return onnx


def cells(nn):
    return {
        "double": double_transposed(3, 4),
        "same 3": conv(3, 4, 3, 2, same=True),
        "same 7": conv(3, 4, 7, 2, same=True),
        "plain": plain_conv(3, 4, 3, padding=2, dilation=2),
        "4x4": Head(3, 1, "dlinknet").up,
        "3x3": Head(3, 1, "linknet").up,
    }


def run(file, image):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("double", False),
        ("same 3", True),
        ("same 7", True),
        ("plain", False),
        ("4x4", False),
        ("3x3", False),
    ],
)
def test_pads(onnx, tmp_path, name, wrong):
    cell = cells(nn)[name]
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 12)).astype(np.float32)
    expected = cell(Tensor(image)).asnumpy()
    shape, file = Shape(1, (8, 12)), tmp_path / "a.onnx"
    write_graph(cell, shape, file, "ONNX")
    if wrong:
        found = run(file, image)
        assert found.shape != expected.shape or np.abs(found - expected).max() > 0.1, (
            "MindSpore writes it rightly: no correction needed"
        )
    model = onnx.load(str(file))
    ours.correct_model(model, shape)
    onnx.save(model, str(file))
    ours.check_onnx(file)
    assert np.abs(run(file, image) - expected).max() < 1e-6
    if name in (
        "double",
        "4x4",
        "3x3",
    ):  # older engines forgive an output_shape of four numbers, newer ones do not load it
        attributes = {each.name: list(each.ints) for each in model.graph.node[0].attribute}
        assert "output_shape" not in attributes and attributes["output_padding"] == (
            [1, 1] if name == "double" else [0, 0]
        )


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_zeros_beside_the_max_pool_become_its_pads(onnx, tmp_path, after, dynamic):
    class Pool(nn.Cell):
        def __init__(self):
            super().__init__()
            self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(3, 2, pad_mode="valid")

        def construct(self, image):
            return self.pool(pad_for_pool(self.relu(image), after))

    rng = np.random.default_rng(0)
    shape, file = Shape(1, (8, 12), dynamic), tmp_path / "a.onnx"
    write_graph(Pool(), Shape(1, (8, 12)), file, "ONNX")
    model = onnx.load(str(file))
    ours.correct_model(model, shape)
    assert (
        sorted(node.op_type for node in model.graph.node) == ["MaxPool", "Relu"]
        and not model.graph.initializer
    )
    onnx.save(model, str(file))
    for sides in [(1, 3, 8, 12), *([(2, 3, 16, 4)] if dynamic else [])]:
        image = rng.normal(size=sides).astype(np.float32)
        assert np.array_equal(run(file, image), Pool()(Tensor(image)).asnumpy())


def test_the_checker_and_opencv_say_what_is_wrong_in_one_line(onnx, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no model")
    for attempt in (
        lambda: check_onnx(tmp_path / "a.onnx"),
        lambda: compute_opencv(tmp_path / "a.onnx", np.zeros((1, 3, 8, 8), np.float32)),
    ):
        with pytest.raises(RunFailed) as error:
            attempt()
        assert "\n" not in str(error.value)
