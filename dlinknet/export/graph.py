"""A trained network -> the graph that is exported: pixels or planes in, probabilities out, BatchNorm in the convolutions."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from dlinknet.checkpoints.load import set_value
from dlinknet.data.preprocess import DLINKNET, Preprocessing
from dlinknet.models.probability import Probability


class FromPixels(nn.Cell):
    """A graph with the preprocessing in front: N x H x W x 3 uint8 BGR -> what the graph makes of pixel / 255 * scale + shift."""

    def __init__(self, graph: nn.Cell, preprocessing: Preprocessing = DLINKNET):
        super().__init__(auto_prefix=False)
        self.graph = graph
        shift = preprocessing.to_dict()["shift"]
        # A multiplication: the division by 255 is an operator that no version of MindSpore reads from another's files.
        self.scale = Tensor(preprocessing.scale / 255, ms.float32)
        self.shift = Tensor(
            np.reshape(shift, (1, 3, 1, 1)) if isinstance(shift, list) else shift, ms.float32
        )

    def construct(self, image):
        planes = ops.transpose(ops.cast(image, ms.float32), (0, 3, 1, 2))
        return self.graph(planes * self.scale + self.shift)


def exported_graph(
    network: nn.Cell, pixels: bool, preprocessing: Preprocessing = DLINKNET
) -> nn.Cell:
    """What is exported of a network: probabilities N x C x H x W out of planes (or of pixels), in inference mode."""
    graph = Probability(network, network.classes)
    return (FromPixels(graph, preprocessing) if pixels else graph).set_train(False)


def fold_batch_norm(network: nn.Cell) -> nn.Cell:
    """Puts every BatchNorm that directly follows a convolution into it, in place, and returns the network.

    In inference BatchNorm is y = (x - mean) * gamma / sqrt(variance + eps) + beta, which the convolution before it can do with
    its weights times gamma / sqrt(variance + eps), a factor for each output channel, and a bias.

    In all cells of ours a BatchNorm is the child that stands right after the convolution whose output it normalises.
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
    # The axis of the output channels; a transposed convolution of each channel by itself has one axis for both.
    outputs = 1 if isinstance(conv, nn.Conv2dTranspose) and conv.group == 1 else 0
    # A sub-pixel convolution has the channels that BatchNorm sees four times, one after the other.
    factor, beta, mean = (
        np.tile(value, weight.shape[outputs] // len(value)) for value in (factor, beta, mean)
    )
    set_value(
        conv.weight,
        (weight * np.expand_dims(factor, [axis for axis in range(4) if axis != outputs])).astype(
            np.float32
        ),
    )
    shifted = ((bias - mean) * factor + beta).astype(np.float32)
    if conv.has_bias:
        set_value(conv.bias, shifted)
    else:
        conv.bias = Parameter(Tensor(shifted), name=conv.weight.name[: -len("weight")] + "bias")
        conv.has_bias = True
