"""Mixed precision: which parts of a network compute in float16 or bfloat16.

Parameters, checkpoints and the loss stay float32.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

CONVOLUTIONS = (nn.Conv2d, nn.Conv2dTranspose)
BF16 = "BF16"


def set_precision(network: nn.Cell, level: str) -> nn.Cell:
    """Set the layers that compute in float16 or bfloat16, in place, and return the network.

    Args:
        level: BF16 or one of MindSpore's names:
            'O0': no layer computes in float16.
            'O1': convolutions compute in float16, all other layers in float32.
            'O2': all layers but BatchNorm compute in float16.
            'O3': all layers compute in float16. BatchNorm's statistics then have 11 bits only.
            'BF16': as O2, in bfloat16, which has float32's range and 8 bits.
    """
    # MindSpore's auto_mixed_precision rewrites the network's source code: the result depends on the
    # version, and files stay in the working folder. to_float casts a cell's inputs: that is enough.
    if level == "O0":
        return network
    half = ms.bfloat16 if level == BF16 else ms.float16
    network.to_float(ms.float32 if level == "O1" else half)
    for _, cell in network.cells_and_names():
        if level == "O1" and isinstance(cell, CONVOLUTIONS):
            cell.to_float(ms.float16)
        elif level in ("O2", BF16) and isinstance(cell, nn.BatchNorm2d):
            cell.to_float(ms.float32)
    return network
