"""The networks: encoders, centre, decoders and heads; and `build`, which puts one together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlinknet.errors import InputError
from dlinknet.models.specs import DECODERS, NETWORKS, PADDINGS

if TYPE_CHECKING:
    from dlinknet.models.linknet import LinkNet


def build(
    name: str, classes: int = 1, *, padding: str = "explicit", decoder: str = "full"
) -> LinkNet:
    """Return a network with random weights, a mindspore.nn.Cell.

    It maps N x 3 x H x W (BGR, -1.6 to 1.6; H and W multiples of 32) to logits N x classes x H x W.

    Args:
        name: one of specs.NETWORKS, as in 'dlinknet34'.
        classes: how many maps of logits come out; 1 for road against the rest.
        padding: how the encoder pads, one of specs.PADDINGS.
        decoder: how the decoder doubles, one of specs.DECODERS: 'full' 3x3 transposed convolutions
            (the papers'), 'depthwise' 4x4 ones with a head of their own (the LinkNet notebook's), or
            'subpixel' convolutions.

    Raises:
        InputError: there is no such network, padding or decoder.
    """
    for value, choices, what in (
        (name, NETWORKS, "network"),
        (padding, PADDINGS, "padding"),
        (decoder, DECODERS, "decoder"),
    ):
        if value not in choices:
            raise InputError(repr(value), f"is no {what}: choose one of {', '.join(choices)}")
    from dlinknet.models.encoders.resnet import ResNet
    from dlinknet.models.linknet import LinkNet

    spec = NETWORKS[name]
    return LinkNet(ResNet.of(spec.encoder, padding), classes, spec.dilations, decoder)
