"""Tables of all encoders and networks, and the contract of an encoder. Pure Python.

An encoder maps N x 3 x H x W, H and W multiples of 32, to five feature maps. For an input of
N x 3 x 256 x 320, with e the expansion of its block:

    stem      N x  64       x 128 x 160    stride  2, before the max-pool
    stage 1   N x  64 * e   x  64 x  80    stride  4
    stage 2   N x 128 * e   x  32 x  40    stride  8
    stage 3   N x 256 * e   x  16 x  20    stride 16
    stage 4   N x 512 * e   x   8 x  10    stride 32
"""

from __future__ import annotations

from dataclasses import dataclass

EXPANSIONS = {"basic": 1, "bottleneck": 4}  # a block's output channels over its width
WIDTHS = (64, 128, 256, 512)  # of the blocks in the four stages
# How an encoder pads: whether (its strided convolutions, its max-pool) pad as 'same' does in
# MindSpore and TensorFlow. At stride 2 'same' pads one pixel less on the top and left than PyTorch,
# and one more at the bottom and right. Weights fit only the padding with which they were trained.
PADDINGS = {"explicit": (False, False), "same": (True, True), "same_pool": (False, True)}
DECODERS = ("full", "depthwise", "subpixel")  # how a decoder upsamples; blocks.py has the layers


@dataclass(frozen=True)
class EncoderSpec:
    """A ResNet (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016).

    block: 'basic' or 'bottleneck'. layers: the number of blocks in each of the four stages.
    """

    block: str
    layers: tuple[int, int, int, int]

    @property
    def channels(self) -> tuple[int, ...]:
        """The number of output channels of each of the four stages, shallow to deep."""
        return tuple(width * EXPANSIONS[self.block] for width in WIDTHS)


ENCODERS = {
    "resnet18": EncoderSpec("basic", (2, 2, 2, 2)),
    "resnet34": EncoderSpec("basic", (3, 4, 6, 3)),
    "resnet50": EncoderSpec("bottleneck", (3, 4, 6, 3)),
    "resnet101": EncoderSpec("bottleneck", (3, 4, 23, 3)),
    "resnet152": EncoderSpec("bottleneck", (3, 8, 36, 3)),
}


@dataclass(frozen=True)
class NetworkSpec:
    """A network.

    encoder: a key of ENCODERS. dilations: those of the centre's convolutions; empty for LinkNet,
    which has no centre.
    """

    encoder: str
    dilations: tuple[int, ...] = ()


DILATIONS_BASIC, DILATIONS_BOTTLENECK = (1, 2, 4, 8), (1, 2, 4, 8, 16)
# D-LinkNet: Zhou et al., CVPR workshops 2018. LinkNet: Chaurasia and Culurciello, 2017.
NETWORKS = {
    "dlinknet34": NetworkSpec("resnet34", DILATIONS_BASIC),
    "dlinknet50": NetworkSpec("resnet50", DILATIONS_BOTTLENECK),
    "dlinknet101": NetworkSpec("resnet101", DILATIONS_BOTTLENECK),
    "linknet18": NetworkSpec("resnet18"),
    "linknet34": NetworkSpec("resnet34"),
    "linknet50": NetworkSpec("resnet50"),
}


def encoder_name(bottleneck: bool, layers: tuple[int, ...]) -> str:
    """Return the key in ENCODERS of a ResNet, for example 'resnet34'; '' if it has none.

    Args:
        bottleneck: True for bottleneck blocks, False for basic blocks.
        layers: the number of blocks in each of the four stages.
    """
    block = "bottleneck" if bottleneck else "basic"
    found = (
        name for name, spec in ENCODERS.items() if (spec.block, spec.layers) == (block, layers)
    )
    return next(found, "")
