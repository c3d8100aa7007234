"""ResNet encoders (He et al., "Deep Residual Learning for Image Recognition", 2016).

The shapes are those of specs.py. The stride of a bottleneck sits in its 3x3 convolution, as in
torchvision. Parameters carry torchvision's names (conv1, bn1, layer1.0.conv1, downsample.0).
"""

from __future__ import annotations

from typing import Union

from mindspore import nn, ops
from mindspore.common.initializer import HeNormal

from dlinknet.models.specs import ENCODERS, EXPANSIONS, PADDINGS, WIDTHS


def conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, same: bool = False
) -> nn.Conv2d:
    """A convolution without bias: H x W -> H / stride x W / stride.

    Pads kernel // 2 on every side, or with `same` and stride 2 what MindSpore's 'same' pads at even sides.
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
    """BatchNorm as PyTorch's default: eps 1e-5, and a running mean that keeps 0.9 of itself."""
    # MindSpore's momentum is the share that is kept, PyTorch's 0.1 is the share that is replaced.
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.9)


class BasicBlock(nn.Cell):
    """Two 3x3 convolutions around a shortcut: N x in x H x W -> N x channels x H/stride x W/stride."""

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
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.downsample(x))


class Bottleneck(nn.Cell):
    """1x1, 3x3, 1x1 around a shortcut: N x in x H x W -> N x 4*channels x H/stride x W/stride."""

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
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.downsample(x))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Cell:
    """The identity where a block keeps its input's shape, else a strided 1x1 convolution and BatchNorm."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.SequentialCell([conv(in_channels, out_channels, 1, stride), batch_norm(out_channels)])


def zeros_beside(x, after: bool):
    """A row of zeros on top and a column on the left, or at the bottom and right: N x C x H x W -> N x C x (H + 1) x (W + 1).

    In front of a 3x3 'valid' pool of stride 2 the first equals PyTorch's max-pool with padding 1, because x has passed a ReLU
    and its sides are even (the padding at the bottom and on the right is then never looked at); the second equals 'same'.
    """
    # On a CPU nn.Pad takes ten times as long. MaxPool2d's own pad_mode='pad' turns into a 3-D pooling: eight times as slow
    # as this, and no ONNX export.
    row = ops.zeros_like(x[:, :, :1])
    x = ops.concat((x, row) if after else (row, x), 2)
    column = ops.zeros_like(x[:, :, :, :1])
    return ops.concat((x, column) if after else (column, x), 3)


Block = Union[BasicBlock, Bottleneck]
BLOCKS: dict[str, type[Block]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNet(nn.Cell):
    """A ResNet without its classifier: N x 3 x H x W -> five feature maps, as specs.py lists them.

    Args:
        block: BasicBlock or Bottleneck.
        layers: how many blocks each of the four stages has.
        padding: one of specs.PADDINGS.

    `channels` holds the channels of the four stages, shallow to deep.
    """

    def __init__(
        self, block: type[Block], layers: tuple[int, int, int, int], padding: str = "explicit"
    ):
        super().__init__()
        self.padding = padding
        same, self.pads_after = PADDINGS[padding]
        self.channels = tuple(width * block.expansion for width in WIDTHS)
        self.conv1 = conv(3, 64, 7, 2, same)
        self.bn1 = batch_norm(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")
        in_channels = 64
        stages = []
        for width, depth, stride in zip(WIDTHS, layers, (1, 2, 2, 2)):
            blocks = [block(in_channels, width, stride, same)]
            in_channels = width * block.expansion
            blocks += [block(in_channels, width) for _ in range(depth - 1)]
            stages.append(nn.SequentialCell(blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    @classmethod
    def of(cls, name: str, padding: str = "explicit") -> ResNet:
        """Return the encoder of a name in specs.ENCODERS."""
        spec = ENCODERS[name]
        return cls(BLOCKS[spec.block], spec.layers, padding)

    def construct(self, x):
        """Returns (stem, stage 1, stage 2, stage 3, stage 4); specs.py has the shapes."""
        stem = self.relu(self.bn1(self.conv1(x)))
        stage1 = self.layer1(self.maxpool(zeros_beside(stem, self.pads_after)))
        stage2 = self.layer2(stage1)
        stage3 = self.layer3(stage2)
        stage4 = self.layer4(stage3)
        return stem, stage1, stage2, stage3, stage4
