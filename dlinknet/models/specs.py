"""Which encoders and networks there are. Pure Python.

An encoder maps N x 3 x H x W to five feature maps, H and W multiples of 32. With e the expansion of
its block and N x 3 x 256 x 320 given:

    stem      N x  64       x 128 x 160    stride  2, before the max-pool
    stage 1   N x  64 * e   x  64 x  80    stride  4
    stage 2   N x 128 * e   x  32 x  40    stride  8
    stage 3   N x 256 * e   x  16 x  20    stride 16
    stage 4   N x 512 * e   x   8 x  10    stride 32
"""

from __future__ import annotations

from dataclasses import dataclass

EXPANSIONS = {"basic": 1, "bottleneck": 4}
WIDTHS = (64, 128, 256, 512)
# Where an encoder's strided convolutions and its max-pool pad: (convolutions, max-pool) are 'same'.
# That differs between those that trained weights: on the top and left (PyTorch's way), or, as the
# 'same' of MindSpore and TensorFlow does, one pixel less there and one at the bottom and right.
PADDINGS = {"explicit": (False, False), "same": (True, True), "same_pool": (False, True)}
DECODERS = ("full", "depthwise", "subpixel")  # how a decoder doubles; blocks.py has the layers


@dataclass(frozen=True)
class EncoderSpec:
    """A ResNet (He et al., "Deep Residual Learning for Image Recognition", 2016).

    block: 'basic' or 'bottleneck'. layers: how many blocks each of the four stages has.
    """

    block: str
    layers: tuple[int, int, int, int]

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of the four stages, shallow to deep."""
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
    """A network: its encoder, a name in ENCODERS, and the dilations of its centre.

    LinkNet has no centre, and so no dilations.
    """

    encoder: str
    dilations: tuple[int, ...] = ()


FOUR, FIVE = (1, 2, 4, 8), (1, 2, 4, 8, 16)
# D-LinkNet: Zhou et al., CVPR workshops 2018. LinkNet: Chaurasia and Culurciello, 2017.
NETWORKS = {
    "dlinknet34": NetworkSpec("resnet34", FOUR),
    "dlinknet50": NetworkSpec("resnet50", FIVE),
    "dlinknet101": NetworkSpec("resnet101", FIVE),
    "linknet18": NetworkSpec("resnet18"),
    "linknet34": NetworkSpec("resnet34"),
    "linknet50": NetworkSpec("resnet50"),
}


def encoder_name(bottleneck: bool, layers: tuple[int, ...]) -> str:
    """Return the name of the encoder with these blocks, as in 'resnet34'; '' if there is none."""
    block = "bottleneck" if bottleneck else "basic"
    found = (
        name for name, spec in ENCODERS.items() if (spec.block, spec.layers) == (block, layers)
    )
    return next(found, "")
