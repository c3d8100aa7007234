"""ONNX: written by MindSpore, mended, and run by engines that know nothing of MindSpore.

What MindSpore's writer (2.0 to 2.10) gets wrong, and what is made of it:

    pads of Conv and ConvTranspose are in MindSpore's order: top, bottom, left, right. ONNX: top, left, bottom, right
    ConvTranspose has an output_shape of four numbers, which fixes the image's size. ONNX: output_padding instead
    zeros beside the max-pool's input are constants of the image's size: two copies of the largest map. ONNX: pads
    no dynamic shapes
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dlinknet.errors import InputError, RunFailed, first_line
from dlinknet.export.mindir import write_graph
from dlinknet.inference.description import Shape
from dlinknet.inference.engines import EXTRA


def need_onnx() -> None:
    """Raise InputError if a package that writes or checks ONNX files is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise InputError("ONNX export", f"needs a missing package ({error}): {EXTRA}") from None


def write_onnx(graph: Any, shape: Shape, file: Path) -> dict[str, int]:
    """Writes a graph (nn.Cell) of graph.exported_graph as ONNX; returns {'opset': the version of its operators}."""
    import onnx

    # MindSpore writes fixed sizes only; mend() makes them free.
    write_graph(graph, Shape(shape.batch, shape.size, False, shape.pixels), file, "ONNX")
    model = onnx.load(str(file))
    mend(model, shape)
    onnx.save(model, str(file))
    return {"opset": model.opset_import[0].version}


def mend(model: Any, shape: Shape) -> None:
    """Mends what MindSpore writes (an onnx.ModelProto), in place, as the table at the top of this file says."""
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            _mend_pads(node)
    _mend_pool(model.graph)
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


def _mend_pads(node: Any) -> None:
    from onnx import helper

    attributes = {
        attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute
    }
    top, bottom, left, right = attributes["pads"]
    attributes["pads"] = [top, left, bottom, right]
    if node.op_type == "ConvTranspose":
        # Leaving less away at the end is computing more there: what ONNX (and PyTorch) call output_padding.
        attributes.pop("output_shape", None)
        attributes.update(pads=[top, left, top, left], output_padding=[top - bottom, left - right])
    _set_attributes(node, attributes)


def _mend_pool(graph: Any) -> None:
    """Concat(zeros, Concat(zeros, x)) -> MaxPool becomes MaxPool with pads, which is equal because x has passed a ReLU."""
    from onnx import helper, numpy_helper

    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for pool in list(graph.node):
        beside = []  # the two Concats, the last first
        below = pool.input[0]
        while pool.op_type == "MaxPool" and below in makers and makers[below].op_type == "Concat":
            beside.append(makers[below])
            below = next((name for name in beside[-1].input if name not in constants), "")
        if len(beside) != 2:
            continue
        zeros = [next(name for name in node.input if name in constants) for node in beside]
        if any(numpy_helper.to_array(constants[name]).any() for name in zeros):
            continue
        before = beside[0].input[0] in constants  # on the top and left
        attributes = {
            attribute.name: helper.get_attribute_value(attribute) for attribute in pool.attribute
        }
        attributes.pop("auto_pad", None)
        attributes["pads"] = [1, 1, 0, 0] if before else [0, 0, 1, 1]
        _set_attributes(pool, attributes)
        pool.input[0] = below
        for node in beside:
            graph.node.remove(node)
        for name in set(zeros):
            graph.initializer.remove(constants[name])


def _set_attributes(node: Any, attributes: dict[str, Any]) -> None:
    from onnx import helper

    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


def check_onnx(file: Path) -> None:
    """RunFailed where ONNX's own checker finds the file at fault."""
    import onnx

    try:
        onnx.checker.check_model(str(file), full_check=True)
    except Exception as error:  # noqa: BLE001  (a kind of its own, whose name has changed)
        raise RunFailed(f"ONNX's checker: {first_line(error)}") from None


def compute_opencv(file: Path, planes: np.ndarray) -> np.ndarray:
    """What OpenCV's dnn makes of float32 N x 3 x H x W: N x C x H x W. RunFailed where it cannot read the file."""
    try:
        network = cv2.dnn.readNetFromONNX(str(file))
        network.setInput(planes)
        return network.forward()
    except cv2.error as error:
        raise RunFailed(f"OpenCV's dnn: {first_line(error)}") from None
