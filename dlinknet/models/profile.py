"""What a network weighs: parameters, multiply-adds and activations of each layer, for any size of input.

Nothing is run at that size. Sides of feature maps are linear in the input's sides as long as these are multiples of 32, so two
runs on tiny inputs, layer by layer, say what they are at any size.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from mindspore import Tensor, nn

from dlinknet.console import columns

SMALL, LARGER = 32, 64  # sides of the tiny inputs
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Layer:
    """One layer, for one image.

    output: C x H x W. parameters: those that are trained. multiply_adds: of convolutions and transposed convolutions, the bias
    left out; other layers count nothing. notebook_flops: as the LinkNet notebook counts, multiply-adds of plain convolutions
    only. activation_bytes: its output in float32.
    """

    name: str
    kind: str
    output: tuple[int, int, int]
    parameters: int
    multiply_adds: int
    notebook_flops: int

    @property
    def activation_bytes(self) -> int:
        return int(np.prod(self.output)) * FLOAT_BYTES


def layers(network: nn.Cell, height: int, width: int) -> list[Layer]:
    """The layers in the order in which they compute; one that is used twice stands there twice, its parameters once.

    MindSpore runs operator by operator (runtime.run_eagerly).

    Args:
        height, width: of the input, multiples of 32.
    """
    small, larger = _shapes(network, SMALL), _shapes(network, LARGER)
    names = {id(cell): name for name, cell in network.cells_and_names()}
    found, seen = [], set()
    for (cell, before, after), (_, before_larger, after_larger) in zip(small, larger):
        taken = _at(before, before_larger, height, width)
        output = _at(after, after_larger, height, width)
        parameters = 0 if id(cell) in seen else sum(p.size for p in cell.trainable_params())
        seen.add(id(cell))
        found.append(
            Layer(
                names[id(cell)],
                type(cell).__name__,
                output,
                parameters,
                *_work(cell, taken, output),
            )
        )
    return found


def _at(
    small: tuple[int, ...], larger: tuple[int, ...], height: int, width: int
) -> tuple[int, int, int]:
    """C x H x W of a map whose shapes at the two tiny inputs are given, at an input of height x width."""
    rows, columns = (
        a + (b - a) * (side - SMALL) // (LARGER - SMALL)
        for a, b, side in zip(small[2:], larger[2:], (height, width))
    )
    return small[1], rows, columns


def _shapes(network: nn.Cell, side: int) -> list[tuple[nn.Cell, tuple[int, ...], tuple[int, ...]]]:
    """(layer, shape of its input, shape of its output) of every layer that is not made of others, as they compute."""
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


def _work(
    cell: nn.Cell, taken: tuple[int, int, int], output: tuple[int, int, int]
) -> tuple[int, int]:
    """(multiply-adds, what the notebook counts of them)."""
    if isinstance(
        cell, nn.Conv2dTranspose
    ):  # each value that comes in meets every weight of its channel
        return int(np.prod(taken)) * int(np.prod(cell.weight.shape[1:])), 0
    if isinstance(
        cell, nn.Conv2d
    ):  # each value that goes out is a sum over the weights of its channel
        both = int(np.prod(output)) * int(np.prod(cell.weight.shape[1:]))
        return both, both
    return 0, 0


def totals(found: list[Layer]) -> dict[str, int]:
    """The sums over all layers."""
    return {
        name: sum(getattr(layer, name) for layer in found)
        for name in ("parameters", "multiply_adds", "notebook_flops", "activation_bytes")
    }


def as_table(found: list[Layer]) -> str:
    """For people: a line for each layer and one for all."""
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
    """All of it for programs; for one image of height x width."""
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
