"""PyramidNet: every unit returns a few more maps than the one before it, where ResNet doubles them at each stage.

D. Han, J. Kim, J. Kim, "Deep Pyramidal Residual Networks", CVPR 2017 (arXiv 2016).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from archzoo.layers import (
    Linear,
    Net,
    Padded,
    ResidualSum,
    at_least,
    conv1x1,
    conv3x3,
    he_normal_fan_out,
    imagenet_stem,
    probability,
    repeats,
    sequence,
)

# Units in the four groups for ImageNet, as in the ResNets of these depths.
BLOCKS = {101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}

Growth = Literal["additive", "multiplicative"]
BlockType = Literal["basic", "bottleneck"]


def widths(start: int, alpha: float, units: int, growth: Growth) -> Iterator[int]:
    """The width of each unit: alpha / N more than the one before, or alpha^(1/N) times as much (Eq. 2 and 3).

    The sum or product is of real numbers. Each width is the nearest whole number (released code), where the equations
    round down.
    """
    width = float(start)
    for _ in range(units):
        width = width + alpha / units if growth == "additive" else width * alpha ** (1 / units)
        yield round(width)


def zero_padded(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity, followed by zeros for the added maps; where the unit strides, of 2x2 means (released code)."""
    parts: dict[str, nn.Module] = {"pool": nn.AvgPool2d(2, ceil_mode=True)} if stride > 1 else {}
    if outputs > inputs:
        parts["pad"] = Padded(outputs - inputs, 1)
    return sequence(**parts) if parts else nn.Identity()


@dataclass(frozen=True)
class Basic:
    """BN-3x3-BN-ReLU-3x3-BN: no ReLU before the first convolution, and a BN after the last (Fig. 6d)."""

    expansion: int = 1

    def __call__(self, inputs: int, width: int, stride: int) -> ResidualSum:
        layers = sequence(
            bn1=nn.BatchNorm2d(inputs),
            conv1=conv3x3(inputs, width, stride),
            bn2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width),
            bn=nn.BatchNorm2d(width),
        )
        return ResidualSum(layers, zero_padded(inputs, width, stride))


@dataclass(frozen=True)
class Bottleneck:
    """BN-1x1-BN-ReLU-3x3-BN-ReLU-1x1-BN, the stride in the 3x3; the last 1x1 returns 4 times the width."""

    expansion: int = 4

    def __call__(self, inputs: int, width: int, stride: int) -> ResidualSum:
        outputs = self.expansion * width
        layers = sequence(
            bn1=nn.BatchNorm2d(inputs),
            conv1=conv1x1(inputs, width),
            bn2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width, stride),
            bn3=nn.BatchNorm2d(width),
            relu3=nn.ReLU(inplace=True),
            conv3=conv1x1(width, outputs),
            bn=nn.BatchNorm2d(outputs),
        )
        return ResidualSum(layers, zero_padded(inputs, outputs, stride))


UNITS: dict[BlockType, tuple[Basic | Bottleneck, int]] = {"basic": (Basic(), 6), "bottleneck": (Bottleneck(), 9)}


def pyramid(
    stem: dict[str, nn.Module],
    start: int,
    unit: Basic | Bottleneck,
    lengths: Sequence[int],
    grown: Iterator[int],
    num_classes: int,
    drop: float = 0.0,
) -> Net:
    """A stem of ``start`` maps, groups of units, and BN-ReLU, global pooling and a linear layer (Table 1).

    ``grown`` are the widths of the units. The first unit of every group but the first has stride 2.
    """
    parts, inputs = dict(stem), start
    for group, length in enumerate(lengths):
        stage = nn.Sequential()
        for number in range(length):
            width = next(grown)
            stage.add_module(f"block{number + 1}", unit(inputs, width, 2 if group and not number else 1))
            inputs = unit.expansion * width
        parts[f"conv{group + 2}_x"] = stage
    parts |= {"bn": nn.BatchNorm2d(inputs), "relu": nn.ReLU(inplace=True)}
    dropout: dict[str, nn.Module] = {"dropout": nn.Dropout(drop)} if drop else {}
    head = {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), **dropout, "fc": Linear(inputs, num_classes)}
    return Net(sequence(**parts), sequence(**head), he_normal_fan_out)


def smallest_alpha(growth: Growth) -> int:
    """With less, units would return fewer maps than they read."""
    return 0 if growth == "additive" else 1


def pyramidnet_cifar(
    depth: int = 110,
    widening: float = 48.0,
    *,
    growth: Growth = "additive",
    block: BlockType = "basic",
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """PyramidNet for CIFAR: 6n + 2 layers in basic units, or 9n + 2 in bottlenecks, from 16 maps on (Sec. 3).

    ``widening`` is the widening factor, the paper's alpha: what all units add to the 16 maps of the stem, or how often
    they multiply them. In bottlenecks it counts the narrow width.

    Differs from the release:
        - A width halfway between two whole numbers is rounded to the even one, as in the authors' code for PyTorch.
          Their code for Torch rounds it up. No published setting has such a width.
    """
    at_least("widening", widening, smallest_alpha(growth))
    unit, layers = UNITS[block]
    lengths = (repeats(depth, layers, 2),) * 3
    stem: dict[str, nn.Module] = {"conv1": conv3x3(in_channels, 16), "bn1": nn.BatchNorm2d(16)}
    return pyramid(stem, 16, unit, lengths, widths(16, widening, sum(lengths), growth), num_classes)


def pyramidnet(
    depth: Literal[101, 152, 200] = 200,
    widening: float = 300.0,
    *,
    growth: Growth = "additive",
    drop: float = 0.0,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """PyramidNet for ImageNet: bottlenecks from 64 maps on, with the stem and the groups of ResNet.

    ``drop`` is the dropout before the linear layer, in training: 0.5 for ``widening`` = 450.

    Differs from the release:
        - A width halfway between two whole numbers is rounded to the even one, as in the authors' code for PyTorch.
          Their code for Torch rounds it up. No published setting has such a width.
    """
    at_least("widening", widening, smallest_alpha(growth))
    probability("drop", drop)
    lengths = BLOCKS[depth]
    grown = widths(64, widening, sum(lengths), growth)
    return pyramid(imagenet_stem(in_channels, 64), 64, Bottleneck(), lengths, grown, num_classes, drop)
