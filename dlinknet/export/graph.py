"""Make the graph to export from a trained network.

Its input is pixels (uint8) or planes (float32), its output is probabilities. BatchNorm may be
folded into the convolutions.
"""

from __future__ import annotations

import numpy as np
from mindspore import Parameter, Tensor, nn

from dlinknet.checkpoints.load import set_value
from dlinknet.data.preprocess import DLINKNET, Preprocessing
from dlinknet.models.from_pixels import FromPixels
from dlinknet.models.probability import Probability


def exported_graph(
    network: nn.Cell, pixels: bool, preprocessing: Preprocessing = DLINKNET
) -> nn.Cell:
    """Return the graph to export, in inference mode; it gives probabilities N x C x H x W.

    Args:
        network: a network that models.build made.
        pixels: True for the input N x H x W x 3 uint8 BGR, False for N x 3 x H x W float32.
        preprocessing: the network's, which the graph applies to pixels.
    """
    graph = Probability(network, network.classes)
    if pixels:
        graph = FromPixels(graph, preprocessing.scale, preprocessing.shift)
    return graph.set_train(False)


def fold_batch_norm(network: nn.Cell) -> nn.Cell:
    """Fold every BatchNorm into the convolution directly before it, in place; return the network.

    In inference BatchNorm computes y = (x - mean) * gamma / sqrt(variance + eps) + beta. The
    convolution computes the same if its weights are multiplied by gamma / sqrt(variance + eps), one
    factor per output channel, and its bias is changed to match.

    In every cell of dlinknet a BatchNorm is the next child after its convolution.
    """
    for _, cell in network.cells_and_names():
        before = None
        for name, child in list(cell.name_cells().items()):
            if isinstance(child, nn.BatchNorm2d) and isinstance(
                before, (nn.Conv2d, nn.Conv2dTranspose)
            ):
                _fold(before, child)
                if isinstance(cell, nn.SequentialCell):
                    cell[list(cell.name_cells()).index(name)] = nn.Identity()
                else:
                    setattr(cell, name, nn.Identity())
            before = child
    return network


def _fold(conv: nn.Cell, norm: nn.BatchNorm2d) -> None:
    """Change the weight and bias of a convolution so that it includes the BatchNorm behind it."""
    weight, gamma, beta, mean, variance = (
        parameter.asnumpy().astype(np.float64)
        for parameter in (
            conv.weight,
            norm.gamma,
            norm.beta,
            norm.moving_mean,
            norm.moving_variance,
        )
    )
    factor = gamma / np.sqrt(variance + norm.eps)
    bias = conv.bias.asnumpy() if conv.has_bias else 0.0
    # The weight's axis of output channels: a convolution has out x in x k x k, a transposed one
    # in x out x k x k, and a transposed one of each channel C x 1 x k x k.
    outputs = 1 if isinstance(conv, nn.Conv2dTranspose) and conv.group == 1 else 0
    # A sub-pixel convolution has four times as many channels as the BatchNorm behind it: four times
    # all channels, one after the other.
    factor, beta, mean = (
        np.tile(value, weight.shape[outputs] // len(value)) for value in (factor, beta, mean)
    )
    other_axes = [axis for axis in range(4) if axis != outputs]
    set_value(conv.weight, (weight * np.expand_dims(factor, other_axes)).astype(np.float32))
    shifted = ((bias - mean) * factor + beta).astype(np.float32)
    if conv.has_bias:
        set_value(conv.bias, shifted)
    else:
        conv.bias = Parameter(Tensor(shifted), name=conv.weight.name[: -len("weight")] + "bias")
        conv.has_bias = True
