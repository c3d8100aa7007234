"""What stands between an encoder and its logits: the dilated centre, the decoder block in its kinds, and the heads.

Sources: Zhou et al., "D-LinkNet" (CVPR workshops 2018); Chaurasia and Culurciello, "LinkNet" (2017); Shi et al., "Real-Time
Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network" (2016). Convolutions here have
biases, as in the authors' code, but for those that a BatchNorm follows in the kind 'depthwise', as in the LinkNet notebook.
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.common.initializer import HeUniform, Uniform

from dlinknet.models.encoders.resnet import batch_norm


def random_start(fan_in: int, bias: bool = True) -> dict:
    """Initial values uniform in +-1 / sqrt(fan_in), PyTorch's; MindSpore's own differ between its versions."""
    return {
        "has_bias": bias,
        "weight_init": HeUniform(math.sqrt(5)),
        "bias_init": Uniform(1 / math.sqrt(fan_in)),
    }


def plain_conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    padding: int = 0,
    dilation: int = 1,
    bias: bool = True,
) -> nn.Conv2d:
    """A convolution of stride 1 with `padding` zeros on every side."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        pad_mode="pad",
        padding=padding,
        dilation=dilation,
        **random_start(in_channels * kernel**2, bias),
    )


def up_conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    padding: int | tuple[int, ...],
    bias: bool = True,
) -> nn.Conv2dTranspose:
    """A transposed convolution of stride 2; `padding` is how much of its result is left away on each side."""
    return nn.Conv2dTranspose(
        in_channels,
        out_channels,
        kernel,
        stride=2,
        pad_mode="pad",
        padding=padding,
        **random_start(out_channels * kernel**2, bias),
    )


def double_transposed(in_channels: int, out_channels: int) -> nn.Conv2dTranspose:
    """The 3x3 transposed convolution that doubles: N x in x H x W -> N x out x 2H x 2W.

    It equals PyTorch's ConvTranspose2d(3, stride=2, padding=1, output_padding=1). MindSpore's own output_padding pads
    the smaller output with zeros instead of computing it; leaving one row and column less away (top 1, bottom 0, left 1,
    right 0) computes it.
    """
    return up_conv(in_channels, out_channels, 3, (1, 0, 1, 0))


def double_depthwise(channels: int) -> nn.Conv2dTranspose:
    """The notebook's 4x4 transposed convolution of each channel by itself, without a bias: N x C x H x W -> N x C x 2H x 2W."""
    return nn.Conv2dTranspose(
        channels,
        channels,
        4,
        stride=2,
        pad_mode="pad",
        padding=1,
        group=channels,
        **random_start(16, bias=False),
    )


class SubPixel(nn.Conv2d):
    """Sub-pixel convolution: N x in x H x W -> N x out x 2H x 2W.

    A 3x3 convolution with padding 1 makes 4 * out channels, and channel (2 * i + j) * out + c becomes the pixels (2y + i, 2x + j)
    of map c. Any transposed convolution of stride 2 whose kernel is 3x3 or 4x4, with padding 1, is one with these nine taps, some
    of them 0.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            in_channels,
            4 * out_channels,
            3,
            pad_mode="pad",
            padding=1,
            **random_start(in_channels * 9),
        )
        self.to_pixels = ops.DepthToSpace(2)

    def construct(self, x):
        return self.to_pixels(super().construct(x))


# How a decoder block doubles its inner channels: the setting `decoder`.
UPSAMPLERS: dict[str, Callable[[int], nn.Cell]] = {
    "full": lambda channels: double_transposed(channels, channels),
    "depthwise": double_depthwise,
    "subpixel": lambda channels: SubPixel(channels, channels),
}


class DilatedCentre(nn.Cell):
    """D-LinkNet's centre: 3x3 convolutions of growing dilation in a chain, and the sum of all their outputs.

    N x C x H x W -> the same shape: x + d1(x) + d2(d1(x)) + ..., each d followed by a ReLU.

    Args:
        channels: C.
        dilations: 1, 2, 4, 8 for D-LinkNet34; 1, 2, 4, 8, 16 for the bottleneck encoders.
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
    """LinkNet's decoder block, 1x1 -> up-convolution -> 1x1: N x in x H x W -> N x out x 2H x 2W, in / 4 channels inside.

    Args:
        kind: one of specs.DECODERS.
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
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.up(x)))
        return self.relu(self.norm3(self.conv3(x)))


class ToOneMap(nn.Conv2d):
    """A 3x3 convolution with a bias to one channel, padding 1: N x in x H x W -> N x 1 x H x W.

    In training it is computed tap by tap: a 1x1 convolution makes the nine products of each pixel, and a 3x3 convolution with
    a fixed kernel of ones and zeros adds each where it belongs. The result is the same up to rounding. On a CPU the plain form
    writes nine copies of its large input for each gradient; this takes a quarter of its time.
    """

    def __init__(self, in_channels: int):
        super().__init__(
            in_channels, 1, 3, pad_mode="pad", padding=1, **random_start(in_channels * 9)
        )
        self.products = ops.Conv2D(9, 1, pad_mode="valid")
        self.gather = ops.Conv2D(1, 3, pad_mode="pad", pad=1)
        self.ones = Tensor(np.eye(9, dtype=np.float32).reshape(1, 9, 3, 3))

    def construct(self, x):
        if not self.training:
            return super().construct(x)
        # Casts for mixed precision, which converts a cell's input, but not the parameters that its operators take here.
        weight, bias, ones = (
            ops.cast(self.weight, x.dtype),
            ops.cast(self.bias, x.dtype),
            ops.cast(self.ones, x.dtype),
        )
        taps = weight.reshape(-1, 9).T.reshape(9, -1, 1, 1)  # 9 x in x 1 x 1
        return ops.bias_add(self.gather(self.products(x, taps), ones), bias)


class Head(nn.Cell):
    """The last doubling and two convolutions: N x C x H x W -> logits N x classes x 2H x 2W.

    The first two forms are those of D-LinkNet's own repository, 'depthwise' is the LinkNet notebook's, and 'subpixel' is the first
    with a sub-pixel convolution in place of the transposed one:

        form         up-convolution          conv1        conv2        BatchNorm behind the first two
        'dlinknet'   4x4, stride 2, pad 1    3x3, pad 1   3x3, pad 1   no
        'linknet'    3x3, stride 2, pad 0    3x3, pad 0   2x2, pad 1   no
        'depthwise'  3x3, stride 2, pad 0    3x3, pad 1   2x2, pad 0   yes, and no biases there
        'subpixel'   sub-pixel               3x3, pad 1   3x3, pad 1   no

    Through the second H = 128 goes 257, 255, 256; through the third 257, 257, 256.
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
            normed = form == "depthwise"
            self.up = up_conv(in_channels, 32, 3, 0, bias=not normed)
            self.norm1 = batch_norm(32) if normed else nn.Identity()
            self.conv1 = plain_conv(32, 32, 3, padding=int(normed), bias=not normed)
            self.norm2 = batch_norm(32) if normed else nn.Identity()
            self.conv2 = plain_conv(32, classes, 2, padding=int(not normed))
        self.relu = nn.ReLU()

    def construct(self, x):
        x = self.relu(self.norm1(self.up(x)))
        return self.conv2(self.relu(self.norm2(self.conv1(x))))
