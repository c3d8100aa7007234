"""Networks made of encoder, centre, decoder and head; `build` makes one by its name."""

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

    The network maps images N x 3 x H x W (BGR, float32 from -1.6 to 1.6, H and W multiples of 32)
    to logits N x classes x H x W.

    Args:
        name: a key of specs.NETWORKS, for example 'dlinknet34'.
        classes: the number of maps of logits; 1 for road against background.
        padding: how the encoder pads, a key of specs.PADDINGS.
        decoder: how the decoder upsamples, one of specs.DECODERS: 'full' for 3x3 transposed
            convolutions (as in both papers), 'depthwise' for 4x4 transposed convolutions of each
            channel with a head to match (as in the LinkNet notebook), 'subpixel' for sub-pixel
            convolutions.

    Raises:
        InputError: no network, padding or decoder has this name.
    """
    for value, choices, kind in (
        (name, NETWORKS, "network"),
        (padding, PADDINGS, "padding"),
        (decoder, DECODERS, "decoder"),
    ):
        if value not in choices:
            raise InputError(repr(value), f"is no {kind}: choose one of {', '.join(choices)}")
    from dlinknet.models.encoders.resnet import build_encoder
    from dlinknet.models.linknet import LinkNet

    spec = NETWORKS[name]
    return LinkNet(build_encoder(spec.encoder, padding), classes, spec.dilations, decoder)
