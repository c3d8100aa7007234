"""ResNet encoders (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016).

specs.py has the contract of an encoder, with example shapes. As in torchvision, a bottleneck's
stride is that of its 3x3 convolution, and parameters are named conv1, bn1, layer1.0.conv1,
downsample.0.
"""

from __future__ import annotations

from typing import Union

from mindspore import nn, ops
from mindspore.common.initializer import HeNormal

from dlinknet.models.specs import ENCODERS, EXPANSIONS, PADDINGS, WIDTHS


def conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, same: bool = False
) -> nn.Conv2d:
    """Return a convolution without bias, N x in x H x W -> N x out x H/stride x W/stride.

    Args:
        same: at stride 2, pad as MindSpore's 'same' does for even H and W, in place of kernel // 2
            zeros on every side.
    """
    around: int | tuple[int, ...] = kernel // 2
    if same and stride == 2 and kernel > 1:
        before = (kernel - 2) // 2
        around = (before, kernel - 2 - before) * 2  # top, bottom, left, right
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride,
        pad_mode="pad",
        padding=around,
        has_bias=False,
        weight_init=HeNormal(mode="fan_out", nonlinearity="relu"),
    )


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return a BatchNorm with PyTorch's defaults.

    eps is 1e-5, and each step keeps 0.9 of the running mean and variance.
    """
    # MindSpore's momentum is the kept share; PyTorch's momentum of 0.1 is the replaced share.
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.9)


class BasicBlock(nn.Cell):
    """Two 3x3 convolutions beside a shortcut.

    N x in x H x W -> N x channels x H/stride x W/stride.
    """

    expansion = EXPANSIONS["basic"]

    def __init__(self, in_channels: int, channels: int, stride: int = 1, same: bool = False):
        super().__init__()
        self.conv1 = conv(in_channels, channels, 3, stride, same)
        self.bn1 = batch_norm(channels)
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = batch_norm(channels)
        self.relu = nn.ReLU()
        self.downsample = shortcut(in_channels, channels, stride)

    def construct(self, x):
        out = self.relu(self.bn1(self.conv1(x)))  # N x channels x H/stride x W/stride
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.downsample(x))


class Bottleneck(nn.Cell):
    """A 1x1, a 3x3 and a 1x1 convolution beside a shortcut.

    N x in x H x W -> N x 4*channels x H/stride x W/stride.
    """

    expansion = EXPANSIONS["bottleneck"]

    def __init__(self, in_channels: int, channels: int, stride: int = 1, same: bool = False):
        super().__init__()
        self.conv1 = conv(in_channels, channels, 1)
        self.bn1 = batch_norm(channels)
        self.conv2 = conv(channels, channels, 3, stride, same)
        self.bn2 = batch_norm(channels)
        self.conv3 = conv(channels, channels * self.expansion, 1)
        self.bn3 = batch_norm(channels * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = shortcut(in_channels, channels * self.expansion, stride)

    def construct(self, x):
        out = self.relu(self.bn1(self.conv1(x)))  # N x channels x H x W
        out = self.relu(self.bn2(self.conv2(out)))  # N x channels x H/stride x W/stride
        out = self.bn3(self.conv3(out))  # N x 4*channels x H/stride x W/stride
        return self.relu(out + self.downsample(x))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Cell:
    """Return a block's shortcut, N x in x H x W -> N x out x H/stride x W/stride.

    It is the identity if the shapes are equal, else a strided 1x1 convolution and BatchNorm.
    """
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.SequentialCell([conv(in_channels, out_channels, 1, stride), batch_norm(out_channels)])


def pad_for_pool(x, at_end: bool):
    """Add one row and one column of zeros, N x C x H x W -> N x C x (H+1) x (W+1).

    A 3x3 'valid' max-pool of stride 2 follows. x has passed a ReLU, so zeros never win over a
    pixel; H and W are even.

    Args:
        at_end: False adds them on the top and left. The result of the pool then equals PyTorch's
            with padding 1, whose bottom row and right column no window reaches at even sides.
            True adds them at the bottom and right, which equals 'same'.
    """
    # nn.Pad needs ten times as long on a CPU. MaxPool2d's own pad_mode='pad' becomes a 3-D pooling,
    # which is eight times as slow as this and cannot be exported to ONNX.
    row = ops.zeros_like(x[:, :, :1])  # N x C x 1 x W
    x = ops.concat((x, row) if at_end else (row, x), 2)
    column = ops.zeros_like(x[:, :, :, :1])  # N x C x (H+1) x 1
    return ops.concat((x, column) if at_end else (column, x), 3)


Block = Union[BasicBlock, Bottleneck]
BLOCKS: dict[str, type[Block]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNet(nn.Cell):
    """A ResNet without its classifier: N x 3 x H x W -> five feature maps, listed in specs.py.

    Args:
        block: BasicBlock or Bottleneck.
        layers: the number of blocks in each of the four stages.
        padding: a key of specs.PADDINGS.

    Attributes:
        channels: the number of output channels of each of the four stages, shallow to deep.
        padding: the argument.
    """

    def __init__(
        self, block: type[Block], layers: tuple[int, int, int, int], padding: str = "explicit"
    ):
        super().__init__()
        self.padding = padding
        same, self.pool_pads_at_end = PADDINGS[padding]
        self.channels = tuple(width * block.expansion for width in WIDTHS)
        self.conv1 = conv(3, 64, 7, 2, same)
        self.bn1 = batch_norm(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")
        in_channels = 64
        stages = []
        # The max-pool has halved H and W before stage 1.
        for width, depth, stride in zip(WIDTHS, layers, (1, 2, 2, 2)):
            blocks = [block(in_channels, width, stride, same)]
            in_channels = width * block.expansion
            blocks += [block(in_channels, width) for _ in range(depth - 1)]
            stages.append(nn.SequentialCell(blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def construct(self, x):
        """Return (stem, stage 1, stage 2, stage 3, stage 4)."""
        stem = self.relu(self.bn1(self.conv1(x)))  # N x 64 x H/2 x W/2
        stage1 = self.layer1(self.maxpool(pad_for_pool(stem, self.pool_pads_at_end)))  # H/4 x W/4
        stage2 = self.layer2(stage1)  # H/8 x W/8
        stage3 = self.layer3(stage2)  # H/16 x W/16
        stage4 = self.layer4(stage3)  # H/32 x W/32
        return stem, stage1, stage2, stage3, stage4


def build_encoder(name: str, padding: str = "explicit") -> ResNet:
    """Return an encoder with random weights.

    Args:
        name: a key of specs.ENCODERS.
        padding: a key of specs.PADDINGS.
    """
    spec = ENCODERS[name]
    return ResNet(BLOCKS[spec.block], spec.layers, padding)
