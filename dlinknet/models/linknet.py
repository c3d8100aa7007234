"""LinkNet and D-LinkNet: encoder -> (dilated centre) -> decoder -> head.

Sources: LinkNet, Chaurasia and Culurciello 2017 (arXiv 1707.03718); D-LinkNet, Zhou et al., CVPR workshops 2018. LinkNet34
here is the one in D-LinkNet's own repository.
"""

from __future__ import annotations

from typing import Callable

from mindspore import nn

from dlinknet.models.blocks import DecoderBlock, DilatedCentre, Head
from dlinknet.models.encoders import resnet


class LinkNet(nn.Cell):
    """Pixels to logits: N x 3 x H x W (BGR, -1.6 to 1.6; H and W multiples of 32) -> N x classes x H x W.

    Args:
        encoder: a ResNet of models.resnet.
        classes: how many maps of logits come out; 1 for road against the rest.
        dilations: the centre's dilations; none leaves the centre out (LinkNet).
        decoder: how the decoder doubles, a key of blocks.UPS: 'full' 3x3 transposed convolutions (the papers'), 'depthwise' 4x4
            ones with a head of their own (the LinkNet notebook's), or 'subpixel' convolutions.
    """

    def __init__(
        self,
        encoder: resnet.ResNet,
        classes: int = 1,
        dilations: tuple[int, ...] = (),
        decoder: str = "full",
    ):
        super().__init__()
        c1, c2, c3, c4 = encoder.channels
        self.encoder, self.padding, self.classes, self.decoder = (
            encoder,
            encoder.padding,
            classes,
            decoder,
        )
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


def dlinknet34(classes: int = 1, padding: str = "explicit", decoder: str = "full") -> LinkNet:
    """D-LinkNet34: 31 096 129 parameters with one class."""
    return LinkNet(resnet.resnet34(padding), classes, dilations=(1, 2, 4, 8), decoder=decoder)


def dlinknet50(classes: int = 1, padding: str = "explicit", decoder: str = "full") -> LinkNet:
    """D-LinkNet50: 217 645 089 parameters with one class."""
    return LinkNet(resnet.resnet50(padding), classes, dilations=(1, 2, 4, 8, 16), decoder=decoder)


def dlinknet101(classes: int = 1, padding: str = "explicit", decoder: str = "full") -> LinkNet:
    """D-LinkNet101: 236 637 217 parameters with one class."""
    return LinkNet(resnet.resnet101(padding), classes, dilations=(1, 2, 4, 8, 16), decoder=decoder)


def linknet18(classes: int = 1, padding: str = "explicit", decoder: str = "full") -> LinkNet:
    """LinkNet18, the LinkNet paper's encoder: 11 534 241 parameters with one class."""
    return LinkNet(resnet.resnet18(padding), classes, decoder=decoder)


def linknet34(classes: int = 1, padding: str = "explicit", decoder: str = "full") -> LinkNet:
    """LinkNet34: 21 642 401 parameters with one class."""
    return LinkNet(resnet.resnet34(padding), classes, decoder=decoder)


def linknet50(classes: int = 1, padding: str = "explicit", decoder: str = "full") -> LinkNet:
    """LinkNet50: 28 833 665 parameters with one class."""
    return LinkNet(resnet.resnet50(padding), classes, decoder=decoder)


# (classes, the encoder's padding: a key of resnet.PADDINGS, the decoder: a key of blocks.UPS) -> network
BUILDERS: dict[str, Callable[..., LinkNet]] = {
    "dlinknet34": dlinknet34,
    "dlinknet50": dlinknet50,
    "dlinknet101": dlinknet101,
    "linknet18": linknet18,
    "linknet34": linknet34,
    "linknet50": linknet50,
}
