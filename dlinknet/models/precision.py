"""Mixed precision: which parts of a network compute in float16. Parameters, checkpoints and the loss stay float32."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

CONVOLUTIONS = (nn.Conv2d, nn.Conv2dTranspose)


def set_precision(network: nn.Cell, level: str) -> nn.Cell:
    """Sets what computes in float16, in place, and returns the network.

    Args:
        level: MindSpore's names.
            O0: nothing.
            O1: convolutions; all else in float32.
            O2: everything but BatchNorm.
            O3: everything. BatchNorm's statistics then have 11 bits only.
    """
    # MindSpore's own auto_mixed_precision rewrites the network's source, which differs between its versions and leaves files
    # in the working folder. to_float, which casts what a cell is given, does all that is needed here.
    if level == "O0":
        return network
    network.to_float(ms.float32 if level == "O1" else ms.float16)
    for _, cell in network.cells_and_names():
        if level == "O1" and isinstance(cell, CONVOLUTIONS):
            cell.to_float(ms.float16)
        elif level == "O2" and isinstance(cell, nn.BatchNorm2d):
            cell.to_float(ms.float32)
    return network
