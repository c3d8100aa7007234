"""The layers behind an encoder: D-LinkNet's centre, decoder blocks, heads.

Sources: Zhou et al., "D-LinkNet" (CVPR workshops 2018); Chaurasia and Culurciello, "LinkNet"
(2017); Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network" (CVPR 2016). Convolutions have biases, as in the authors' code. Only
in the kind 'depthwise' a convolution before a BatchNorm has none, as in the LinkNet notebook.
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.common.initializer import HeUniform, Uniform

from dlinknet.devices import runtime
from dlinknet.models.encoders.resnet import batch_norm


def uniform_init(fan_in: int, bias: bool = True) -> dict:
    """Return PyTorch's initial values for a convolution, uniform in +-1 / sqrt(fan_in).

    MindSpore's own initial values differ between its versions.

    Args:
        fan_in: PyTorch's count of inputs, the size of the weight without its first axis. For a
            transposed convolution this counts its output channels.
        bias: whether the convolution has a bias.

    Returns:
        Keyword arguments of nn.Conv2d and nn.Conv2dTranspose.
    """
    return {
        "has_bias": bias,
        "weight_init": HeUniform(math.sqrt(5)),
        "bias_init": Uniform(1 / math.sqrt(fan_in)),
    }


def plain_conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    padding: int = 0,
    dilation: int = 1,
    bias: bool = True,
) -> nn.Conv2d:
    """Return a convolution of stride 1 with `padding` zeros on every side."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        pad_mode="pad",
        padding=padding,
        dilation=dilation,
        **uniform_init(in_channels * kernel**2, bias),
    )


def up_conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    padding: int | tuple[int, ...],
    bias: bool = True,
) -> nn.Conv2dTranspose:
    """Return a transposed convolution of stride 2.

    Args:
        padding: rows and columns to remove at the edges of the result, either one number for all
            sides or (top, bottom, left, right).
    """
    return nn.Conv2dTranspose(
        in_channels,
        out_channels,
        kernel,
        stride=2,
        pad_mode="pad",
        padding=padding,
        **uniform_init(out_channels * kernel**2, bias),
    )


def double_transposed(in_channels: int, out_channels: int) -> nn.Conv2dTranspose:
    """Return a 3x3 transposed convolution, N x in x H x W -> N x out x 2H x 2W.

    It equals PyTorch's ConvTranspose2d(3, stride=2, padding=1, output_padding=1).
    """
    # MindSpore's output_padding fills the last row and column with zeros. They are computed if they
    # are not removed: top 1, bottom 0, left 1, right 0.
    return up_conv(in_channels, out_channels, 3, (1, 0, 1, 0))


def double_depthwise(channels: int) -> nn.Conv2dTranspose:
    """Return a 4x4 transposed convolution of each channel, N x C x H x W -> N x C x 2H x 2W.

    It has no bias, as in the LinkNet notebook.
    """
    return nn.Conv2dTranspose(
        channels,
        channels,
        4,
        stride=2,
        pad_mode="pad",
        padding=1,
        group=channels,
        **uniform_init(16, bias=False),
    )


class SubPixel(nn.Conv2d):
    """Sub-pixel convolution: N x in x H x W -> N x out x 2H x 2W.

    A 3x3 convolution with padding 1 gives 4 * out channels. The pixel (y, x) of its channel
    (2 * i + j) * out + c becomes the pixel (2y + i, 2x + j) of channel c. Every transposed
    convolution of stride 2 and padding 1 with a 3x3 or 4x4 kernel can be written in this form; some
    of the nine taps are then 0.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            in_channels,
            4 * out_channels,
            3,
            pad_mode="pad",
            padding=1,
            **uniform_init(in_channels * 9),
        )
        self.to_pixels = ops.DepthToSpace(2)

    def construct(self, x):
        return self.to_pixels(super().construct(x))  # N x 4*out x H x W -> N x out x 2H x 2W


# Layers that double H and W inside a decoder block: name in specs.DECODERS -> layer of C channels.
UPSAMPLERS: dict[str, Callable[[int], nn.Cell]] = {
    "full": lambda channels: double_transposed(channels, channels),
    "depthwise": double_depthwise,
    "subpixel": lambda channels: SubPixel(channels, channels),
}


class DilatedCentre(nn.Cell):
    """D-LinkNet's centre: a chain of 3x3 convolutions of growing dilation; their outputs are added.

    N x C x H x W -> N x C x H x W: x + d1(x) + d2(d1(x)) + ..., d being a convolution and a ReLU.

    Args:
        channels: C.
        dilations: 1, 2, 4, 8 in D-LinkNet34; 1, 2, 4, 8, 16 behind the bottleneck encoders.
    """

    def __init__(self, channels: int, dilations: tuple[int, ...]):
        super().__init__()
        self.dilate = nn.CellList(
            [plain_conv(channels, channels, 3, padding=d, dilation=d) for d in dilations]
        )
        self.relu = nn.ReLU()

    def construct(self, x):
        total = x
        for dilate in self.dilate:
            x = self.relu(dilate(x))
            total = total + x
        return total


class DecoderBlock(nn.Cell):
    """LinkNet's decoder block: 1x1 convolution, upsampling, 1x1 convolution.

    N x in x H x W -> N x out x 2H x 2W, with in / 4 channels inside.

    Args:
        kind: how it upsamples, one of specs.DECODERS.
    """

    def __init__(self, in_channels: int, out_channels: int, kind: str = "full"):
        super().__init__()
        inner, bias = in_channels // 4, kind != "depthwise"
        self.conv1 = plain_conv(in_channels, inner, 1, bias=bias)
        self.norm1 = batch_norm(inner)
        self.up = UPSAMPLERS[kind](inner)
        self.norm2 = batch_norm(inner)
        self.conv3 = plain_conv(inner, out_channels, 1, bias=bias)
        self.norm3 = batch_norm(out_channels)
        self.relu = nn.ReLU()

    def construct(self, x):
        x = self.relu(self.norm1(self.conv1(x)))  # N x in/4 x H x W
        x = self.relu(self.norm2(self.up(x)))  # N x in/4 x 2H x 2W
        return self.relu(self.norm3(self.conv3(x)))  # N x out x 2H x 2W


class ToOneMap(nn.Conv2d):
    """A 3x3 convolution with bias and padding 1 to one channel: N x in x H x W -> N x 1 x H x W.

    In training on a CPU it is computed tap by tap, with the same result up to rounding: a 1x1
    convolution computes the product of each tap with each pixel, and a 3x3 convolution with a fixed
    kernel of ones and zeros adds the nine products of each output pixel. This needs a quarter of
    the time: the usual form writes nine copies of its large input for each gradient there.
    """

    def __init__(self, in_channels: int):
        super().__init__(
            in_channels, 1, 3, pad_mode="pad", padding=1, **uniform_init(in_channels * 9)
        )
        self.by_taps = runtime.computes_on("CPU")
        self.products = ops.Conv2D(9, 1, pad_mode="valid")
        self.gather = ops.Conv2D(1, 3, pad_mode="pad", pad=1)
        # The kernel of channel k is 1 at tap k, else 0.
        self.ones = Tensor(np.eye(9, dtype=np.float32).reshape(1, 9, 3, 3))

    def construct(self, x):
        if not (self.training and self.by_taps):
            return super().construct(x)
        # Mixed precision casts a cell's input, but not the parameters that operators get here.
        weight, bias, ones = (
            ops.cast(self.weight, x.dtype),
            ops.cast(self.bias, x.dtype),
            ops.cast(self.ones, x.dtype),
        )
        taps = weight.reshape(-1, 9).T.reshape(9, -1, 1, 1)  # 1 x in x 3 x 3 -> 9 x in x 1 x 1
        products = self.products(x, taps)  # N x 9 x H x W
        return ops.bias_add(self.gather(products, ones), bias)  # N x 1 x H x W


class Head(nn.Cell):
    """The last upsampling and two convolutions: N x in x H x W -> logits N x classes x 2H x 2W.

    'dlinknet' and 'linknet' are the heads of the repository of D-LinkNet's authors; 'depthwise' is
    the LinkNet notebook's; 'subpixel' is 'dlinknet' with a sub-pixel convolution:

        form         upsampling              conv1        conv2        BatchNorm after the first two
        'dlinknet'   4x4, stride 2, pad 1    3x3, pad 1   3x3, pad 1   no
        'linknet'    3x3, stride 2, pad 0    3x3, pad 0   2x2, pad 1   no
        'depthwise'  3x3, stride 2, pad 0    3x3, pad 1   2x2, pad 0   yes; they have no biases
        'subpixel'   sub-pixel               3x3, pad 1   3x3, pad 1   no

    For H = 128 the heights are 257, 255, 256 in 'linknet' and 257, 257, 256 in 'depthwise'.
    """

    def __init__(self, in_channels: int, classes: int, form: str):
        super().__init__()
        if form in ("dlinknet", "subpixel"):
            self.up = (
                SubPixel(in_channels, 32) if form == "subpixel" else up_conv(in_channels, 32, 4, 1)
            )
            self.norm1 = nn.Identity()
            self.conv1 = plain_conv(32, 32, 3, padding=1)
            self.norm2 = nn.Identity()
            self.conv2 = ToOneMap(32) if classes == 1 else plain_conv(32, classes, 3, padding=1)
        else:
            has_norms = form == "depthwise"
            self.up = up_conv(in_channels, 32, 3, 0, bias=not has_norms)
            self.norm1 = batch_norm(32) if has_norms else nn.Identity()
            self.conv1 = plain_conv(32, 32, 3, padding=int(has_norms), bias=not has_norms)
            self.norm2 = batch_norm(32) if has_norms else nn.Identity()
            self.conv2 = plain_conv(32, classes, 2, padding=int(not has_norms))
        self.relu = nn.ReLU()

    def construct(self, x):
        x = self.relu(self.norm1(self.up(x)))
        return self.conv2(self.relu(self.norm2(self.conv1(x))))
