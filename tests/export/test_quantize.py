"""ONNX files in int8: what is quantized, what it costs, and what is refused."""

import importlib.util

import numpy as np
import pytest

from dlinknet.errors import RunFailed
from dlinknet.export.quantize import EXAMPLES, Quantizing, Recording, quantize
from dlinknet.inference.description import Shape
from dlinknet.inference.onnx_engines import OnnxEngine

needs_nncf = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("nncf", "onnx", "onnxruntime")),
    reason="pip install nncf onnx onnxruntime",
)
SIDE = 32
LAYERS = ("first", "second", "third", "up")


@pytest.fixture
def file(tmp_path):
    """Return an ONNX file of three convolutions and a transposed one, of opset 11."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(1)
    nodes, weights, source = [], [], "image"
    for name, shape in zip(LAYERS, [(8, 3, 3, 3), (8, 8, 3, 3), (8, 8, 3, 3), (8, 1, 2, 2)]):
        weight = rng.normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[1:]))
        weights.append(numpy_helper.from_array(weight, f"{name}.weight"))
        inputs, last = [source, f"{name}.weight"], name == "up"
        options = {"strides": [2, 2]} if last else {"pads": [1, 1, 1, 1]}
        if name == "first":
            options["strides"] = [2, 2]
        kind = "ConvTranspose" if last else "Conv"
        nodes.append(helper.make_node(kind, inputs, [f"{name}.out"], name, **options))
        nodes.append(
            helper.make_node(
                "Sigmoid" if last else "Relu",
                [f"{name}.out"],
                ["probability" if last else f"{name}.relu"],
            )
        )
        source = f"{name}.relu"
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    work = tmp_path / "work"
    work.mkdir()
    onnx.save(model, str(work / "small.onnx"))
    return work / "small.onnx"


def images():
    return np.random.default_rng(2).normal(size=(8, 1, 3, SIDE, SIDE)).astype(np.float32)


def open_file(file):
    return OnnxEngine(file, Shape(1, (SIDE, SIDE)))


def int8_layers(file):
    """Return how many convolutions of a file read int8."""
    import onnx

    graph = onnx.load(str(file)).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    return sum(
        makers.get(node.input[0]) == "DequantizeLinear"
        for node in graph.node
        if node.name in LAYERS
    )


def quantizing(score, tolerance):
    return Quantizing(score, lambda engine: len(images()), "road_iou", len(images()), tolerance)


def by_layers(cost):
    """Return a score that falls by `cost` for each int8 layer; it computes the images too."""

    def score(engine):
        for image in images():
            engine(image)
        file = engine.engine.file if isinstance(engine, Recording) else engine.file
        return 0.9 - cost * int8_layers(file)

    return score


@needs_nncf
def test_an_int8_file_is_signed_symmetric_and_nearly_equal(file):
    import onnx
    from onnx import numpy_helper

    before = [open_file(file)(image) for image in images()]
    told = quantize(file, open_file, quantizing(by_layers(0.001), 0.005))["quantized"]
    assert (told["type"], told["figure"], told["images"]) == ("int8", "road_iou", 8)
    assert told["before"] == 0.9 and told["after"] == 0.9 - 0.001 * int8_layers(file)
    assert int8_layers(file) == len(LAYERS) - len(told["float_layers"]) >= 3
    model = onnx.load(str(file))
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 13
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type.endswith("QuantizeLinear")]
    nodes += [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    for node in nodes:
        zero = constants[node.input[2]]
        assert zero.dtype == np.int8 and not zero.any()
    # Of a convolution's weights each channel has a scale.
    assert any(constants[node.input[1]].size == 8 for node in nodes)
    after = [open_file(file)(image) for image in images()]
    differences = np.abs(np.array(after) - before)
    assert 0 < differences.max() < 0.1 and differences.mean() < 0.01


@needs_nncf
def test_the_layers_that_cost_too_much_stay_float32(file):
    told = quantize(file, open_file, quantizing(by_layers(0.01), 0.025))["quantized"]
    assert 1 <= int8_layers(file) <= 2
    assert len(told["float_layers"]) == len(LAYERS) - int8_layers(file)
    assert told["before"] - told["after"] <= 0.025


@needs_nncf
def test_a_loss_above_the_tolerance_is_refused(file):
    def score(engine):
        return 0.9 if isinstance(engine, Recording) else 0.8

    with pytest.raises(RunFailed) as caught:
        quantize(file, open_file, Quantizing(score, lambda engine: 1, "road_iou", 8, 0.005))
    assert "cannot quantize" in str(caught.value) or "int8 costs 0.1000 of road_iou" in str(
        caught.value
    )


class Counting:
    """An engine that counts its calls."""

    batch, size = 1, (SIDE, SIDE)

    def prepare(self, pixels):
        return pixels

    def __call__(self, inputs):
        return inputs[:, 0]


@pytest.mark.parametrize(
    "calls, kept",
    [(3, [0, 1, 2]), (EXAMPLES, list(range(EXAMPLES))), (100, list(range(0, 100, 4)))],
)
def test_the_inputs_of_the_calibration_are_evenly_spread(tmp_path, calls, kept):
    recording = Recording(Counting(), calls, tmp_path)
    for number in range(calls):
        recording(np.full((1, 3, 2, 2), number, np.float32))
    assert [np.load(file)[0, 0, 0, 0] for file in recording.inputs()] == kept
