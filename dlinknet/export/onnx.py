"""Write ONNX with MindSpore, correct it, and run it without MindSpore.

Faults of MindSpore's writer (2.0 to 2.10), and their corrections:

    Conv and ConvTranspose have pads in MindSpore's order: top, bottom, left, right.
        ONNX's order is top, left, bottom, right.
    ConvTranspose has an output_shape of four numbers, which fixes the size of images.
        An output_padding replaces it.
    The zeros beside the max-pool's input are constants of the image's size: two copies of the
    largest map.
        The pads of the max-pool replace them.
    Shapes are never dynamic.
        The axes of input and output receive names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dlinknet.errors import InputError, RunFailed, first_line
from dlinknet.export.mindir import write_graph
from dlinknet.inference.description import Shape
from dlinknet.inference.onnx_engines import INSTALL


def need_onnx() -> None:
    """Raise InputError if a package that writes or checks ONNX files is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise InputError(
            "ONNX export", f"requires a missing package ({error}): {INSTALL}"
        ) from None


def write_onnx(graph: Any, shape: Shape, file: Path) -> dict[str, int]:
    """Write a graph as ONNX.

    Args:
        graph: a cell of graph.exported_graph.
        shape: the shape of its input.

    Returns:
        {'opset': the version of the operators}, for the JSON beside the file.
    """
    import onnx

    # MindSpore writes fixed sizes only; correct_model makes them dynamic.
    write_graph(graph, Shape(shape.batch, shape.size, False, shape.pixels), file, "ONNX")
    model = onnx.load(str(file))
    correct_model(model, shape)
    onnx.save(model, str(file))
    return {"opset": model.opset_import[0].version}


def correct_model(model: Any, shape: Shape) -> None:
    """Correct an onnx.ModelProto of MindSpore in place; the top of this file lists the faults."""
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            _correct_pads(node)
    _correct_pool(model.graph)
    output = model.graph.output[0]
    for node in model.graph.node:
        for number, name in enumerate(node.output):
            if name == output.name:
                node.output[number] = "probability"
    output.name = "probability"
    if shape.dynamic:
        named = {
            "batch": 0,
            **({"height": 1, "width": 2} if shape.pixels else {"height": 2, "width": 3}),
        }
        for value, axes in (
            (model.graph.input[0], named),
            (output, {"batch": 0, "height": 2, "width": 3}),
        ):
            for name, axis in axes.items():
                value.type.tensor_type.shape.dim[axis].dim_param = name


def _correct_pads(node: Any) -> None:
    from onnx import helper

    attributes = {
        attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute
    }
    top, bottom, left, right = attributes["pads"]
    attributes["pads"] = [top, left, bottom, right]
    if node.op_type == "ConvTranspose":
        # Fewer pads at the end mean more computed rows there: output_padding in ONNX and PyTorch.
        attributes.pop("output_shape", None)
        attributes.update(pads=[top, left, top, left], output_padding=[top - bottom, left - right])
    _set_attributes(node, attributes)


def _correct_pool(graph: Any) -> None:
    """Replace Concat(zeros, Concat(zeros, x)) before a MaxPool by the MaxPool's pads.

    The result is equal, because x has passed a ReLU.
    """
    from onnx import helper, numpy_helper

    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for pool in list(graph.node):
        concats = []  # the two Concats, the later one first
        source = pool.input[0]  # moves from the pool's input back to x
        while pool.op_type == "MaxPool" and source in makers and makers[source].op_type == "Concat":
            concats.append(makers[source])
            source = next((name for name in concats[-1].input if name not in constants), "")
        if len(concats) != 2:
            continue
        zeros = [next(name for name in node.input if name in constants) for node in concats]
        if any(numpy_helper.to_array(constants[name]).any() for name in zeros):
            continue
        at_start = concats[0].input[0] in constants  # zeros on the top and left
        attributes = {
            attribute.name: helper.get_attribute_value(attribute) for attribute in pool.attribute
        }
        attributes.pop("auto_pad", None)
        attributes["pads"] = [1, 1, 0, 0] if at_start else [0, 0, 1, 1]
        _set_attributes(pool, attributes)
        pool.input[0] = source
        for node in concats:
            graph.node.remove(node)
        for name in set(zeros):
            graph.initializer.remove(constants[name])


def _set_attributes(node: Any, attributes: dict[str, Any]) -> None:
    from onnx import helper

    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


def check_onnx(file: Path) -> None:
    """Raise RunFailed if ONNX's own checker finds a fault in a file."""
    import onnx

    try:
        onnx.checker.check_model(str(file), full_check=True)
    except Exception as error:  # noqa: BLE001  (its kind has another name in other versions)
        raise RunFailed(f"ONNX's checker: {first_line(error)}") from None


def compute_opencv(file: Path, planes: np.ndarray) -> np.ndarray:
    """Return the probabilities N x C x H x W that OpenCV's dnn computes with an ONNX file.

    Args:
        planes: the network's input, float32 N x 3 x H x W.

    Raises:
        RunFailed: OpenCV cannot read or run the file.
    """
    try:
        network = cv2.dnn.readNetFromONNX(str(file))
        network.setInput(planes)
        return network.forward()
    except cv2.error as error:
        raise RunFailed(f"OpenCV's dnn: {first_line(error)}") from None
