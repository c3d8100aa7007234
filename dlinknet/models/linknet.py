"""LinkNet and D-LinkNet: encoder -> (dilated centre) -> decoder -> head.

Sources: Chaurasia and Culurciello, "LinkNet" (2017, arXiv 1707.03718); Zhou et al., "D-LinkNet"
(CVPR workshops 2018). LinkNet34 has the form that it has in the repository of D-LinkNet's authors.
"""

from __future__ import annotations

from mindspore import nn

from dlinknet.models.blocks import DecoderBlock, DilatedCentre, Head
from dlinknet.models.encoders.resnet import ResNet


class LinkNet(nn.Cell):
    """An encoder and a decoder, joined by sums of feature maps of equal size.

    Images N x 3 x H x W (BGR, float32 from -1.6 to 1.6, H and W multiples of 32) -> logits
    N x classes x H x W.

    Args:
        encoder: an encoder that keeps the contract of specs.py.
        classes: the number of maps of logits; 1 for road against background.
        dilations: those of the centre's convolutions; empty for no centre (LinkNet).
        decoder: how the decoder upsamples, one of specs.DECODERS.

    Attributes:
        classes, decoder: the arguments.
        padding: how the encoder pads, a key of specs.PADDINGS.
    """

    def __init__(
        self,
        encoder: ResNet,
        classes: int = 1,
        dilations: tuple[int, ...] = (),
        decoder: str = "full",
    ):
        super().__init__()
        c1, c2, c3, c4 = encoder.channels
        self.encoder = encoder
        self.padding, self.classes, self.decoder = encoder.padding, classes, decoder
        self.centre = DilatedCentre(c4, dilations) if dilations else nn.Identity()
        self.decoder4 = DecoderBlock(c4, c3, decoder)
        self.decoder3 = DecoderBlock(c3, c2, decoder)
        self.decoder2 = DecoderBlock(c2, c1, decoder)
        self.decoder1 = DecoderBlock(c1, c1, decoder)
        form = "dlinknet" if dilations else "linknet"
        self.head = Head(c1, classes, form if decoder == "full" else decoder)

    def construct(self, x):
        _, stage1, stage2, stage3, stage4 = self.encoder(x)
        x = self.centre(stage4)  # N x c4 x H/32 x W/32
        x = self.decoder4(x) + stage3  # N x c3 x H/16 x W/16
        x = self.decoder3(x) + stage2  # N x c2 x H/8  x W/8
        x = self.decoder2(x) + stage1  # N x c1 x H/4  x W/4
        x = self.decoder1(x)  # N x c1 x H/2  x W/2
        return self.head(x)  # N x classes x H x W
