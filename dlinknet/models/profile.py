"""Count the parameters, multiply-adds and activations of each layer, for any size of input.

The network is not run at that size. The sides of feature maps are linear in the sides of the input
as long as these are multiples of 32. So the shapes at two tiny inputs give the shapes at any size.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from mindspore import Tensor, nn

from dlinknet.console import columns

SMALL, LARGER = 32, 64  # pixels: sides of the two tiny inputs
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Layer:
    """A layer and its counts for one image.

    name: its place in the network. kind: its class. output: the output's shape, C x H x W.
    parameters: the number of trained values. multiply_adds: those of convolutions and transposed
    convolutions without their biases; 0 for all other layers. notebook_flops: multiply-adds of
    convolutions only, which is the count of the LinkNet notebook.
    """

    name: str
    kind: str
    output: tuple[int, int, int]
    parameters: int
    multiply_adds: int
    notebook_flops: int

    @property
    def activation_bytes(self) -> int:
        """The size of the output in float32, in bytes."""
        return int(np.prod(self.output)) * FLOAT_BYTES


def layers(network: nn.Cell, height: int, width: int) -> list[Layer]:
    """Return the layers of a network in the order of their computation.

    A layer that is used twice is listed twice, with 0 parameters the second time. MindSpore must
    run operator by operator (runtime.run_eagerly). The network is left in inference mode.

    Args:
        height, width: the input's sides in pixels, multiples of 32.
    """
    small, larger = _shapes(network, SMALL), _shapes(network, LARGER)
    names = {id(cell): name for name, cell in network.cells_and_names()}
    found, seen = [], set()
    for (cell, before, after), (_, before_larger, after_larger) in zip(small, larger):
        inputs = _shape_at(before, before_larger, height, width)
        output = _shape_at(after, after_larger, height, width)
        parameters = 0 if id(cell) in seen else sum(p.size for p in cell.trainable_params())
        seen.add(id(cell))
        found.append(
            Layer(
                names[id(cell)],
                type(cell).__name__,
                output,
                parameters,
                *_count_multiply_adds(cell, inputs, output),
            )
        )
    return found


def _shape_at(
    small: tuple[int, ...], larger: tuple[int, ...], height: int, width: int
) -> tuple[int, int, int]:
    """Return the shape C x H x W of a map for an input of height x width.

    Args:
        small, larger: the map's shapes, 1 x C x H x W, for the two tiny inputs.
    """
    rows, columns = (
        a + (b - a) * (side - SMALL) // (LARGER - SMALL)
        for a, b, side in zip(small[2:], larger[2:], (height, width))
    )
    return small[1], rows, columns


def _shapes(network: nn.Cell, side: int) -> list[tuple[nn.Cell, tuple[int, ...], tuple[int, ...]]]:
    """Return (layer, input's shape, output's shape) for each layer without inner layers.

    The order is that of their computation. Shapes are 1 x C x H x W for an input of side x side.
    """
    found = []

    def note(cell):
        def hook(_, inputs, output):
            found.append((cell, inputs[0].shape, output.shape))

        return hook

    leaves = [
        cell
        for _, cell in network.cells_and_names()
        if not list(cell.cells()) and not isinstance(cell, nn.Identity)
    ]
    handles = [cell.register_forward_hook(note(cell)) for cell in leaves]
    network.set_train(False)
    network(Tensor(np.zeros((1, 3, side, side), np.float32)))
    for handle in handles:
        handle.remove()
    return found


def _count_multiply_adds(
    cell: nn.Cell, inputs: tuple[int, int, int], output: tuple[int, int, int]
) -> tuple[int, int]:
    """Return (a layer's multiply-adds, the multiply-adds that the LinkNet notebook counts)."""
    if isinstance(cell, nn.Conv2dTranspose):
        # Each input value is multiplied by every weight of its channel (weight: in x out x k x k).
        return int(np.prod(inputs)) * int(np.prod(cell.weight.shape[1:])), 0
    if isinstance(cell, nn.Conv2d):
        # Each output value is a sum over the weights of its channel (weight: out x in x k x k).
        count = int(np.prod(output)) * int(np.prod(cell.weight.shape[1:]))
        return count, count
    return 0, 0


def totals(found: list[Layer]) -> dict[str, int]:
    """Return the sum of each count over all layers."""
    return {
        name: sum(getattr(layer, name) for layer in found)
        for name in ("parameters", "multiply_adds", "notebook_flops", "activation_bytes")
    }


def as_table(found: list[Layer]) -> str:
    """Return a table for people: one line per layer, and a last line with the sums."""
    lines = [["layer", "kind", "output C x H x W", "parameters", "multiply-adds", "activations MB"]]
    for layer in found:
        lines.append(
            [
                layer.name,
                layer.kind,
                " x ".join(map(str, layer.output)),
                f"{layer.parameters:,}",
                f"{layer.multiply_adds:,}",
                f"{layer.activation_bytes / 1e6:.2f}",
            ]
        )
    sums = totals(found)
    lines.append(
        [
            "all",
            f"{len(found)} layers",
            "",
            f"{sums['parameters']:,}",
            f"{sums['multiply_adds']:,}",
            f"{sums['activation_bytes'] / 1e6:.2f}",
        ]
    )
    return columns(lines, right=3)


def as_json(model: str, found: list[Layer], height: int, width: int) -> str:
    """Return a JSON text for programs: the sums and all layers, for one image of height x width."""
    return json.dumps(
        {
            "model": model,
            "height": height,
            "width": width,
            **totals(found),
            "layers": [
                {**asdict(layer), "activation_bytes": layer.activation_bytes} for layer in found
            ],
        },
        indent=1,
    )
