"""What CANN's documents ask of an ONNX file that atc converts. A static check without CANN.

Sources: the guide to ATC (opset 8 to 18, fixed shapes) and the list of ONNX operators (Conv,
ConvTranspose).
"""

from __future__ import annotations

from typing import Any

OPSETS = range(8, 19)


def violations(model: Any) -> list[str]:
    """Return the rules that an onnx.ModelProto breaks, one text each."""
    found = [f"opset {each.version}" for each in model.opset_import if each.version not in OPSETS]
    found += [
        f"domain {each.domain}" for each in model.opset_import if each.domain not in ("", "ai.onnx")
    ]
    for value in (*model.graph.input, *model.graph.output):
        if not all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim):
            found.append(f"{value.name} has no fixed shape")
    for node in model.graph.node:
        found += [f"{node.op_type} {node.name}: {fault}" for fault in _faults(node)]
    return found


def _faults(node: Any) -> list[str]:
    from onnx import helper

    values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    found = []
    if node.op_type in ("Conv", "ConvTranspose"):
        if values.get("auto_pad", b"NOTSET") not in (b"NOTSET", b""):
            found.append("auto_pad")
        if len(values["pads"]) != 4 or min(values["pads"]) < 0:
            found.append(f"pads {values['pads']}")
    if node.op_type == "ConvTranspose":
        top, left, bottom, right = values["pads"]
        if (top, left) != (bottom, right):
            found.append(f"pads {values['pads']} are not symmetric")
        if set(values.get("dilations", [1])) != {1}:
            found.append(f"dilations {values['dilations']}")
        if "output_shape" in values:
            found.append("output_shape")
        padding, strides = values.get("output_padding", [0, 0]), values["strides"]
        if not all(0 <= extra < stride for extra, stride in zip(padding, strides)):
            found.append(f"output_padding {padding} of strides {strides}")
    return found
