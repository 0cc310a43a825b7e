"""PyramidNets of other sources, written anew from their published structure, with their names of parts."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.sources.residual import conv, pooled

Make = Callable[[int, int, int], nn.Module]  # of (maps in, width, stride)


def widened(x: Tensor, like: Tensor) -> Tensor:
    """The shortcut: 2x2 means where the sides shrink, and zeros behind the maps."""
    if x.shape[-1] != like.shape[-1]:
        x = F.avg_pool2d(x, 2, ceil_mode=True)
    return torch.cat((x, x.new_zeros(len(x), like.shape[1] - x.shape[1], *x.shape[2:])), 1)


def groups(make: Make, start: int, alpha: int, lengths: Sequence[int], expansion: int, first: int) -> list[nn.Module]:
    """Groups of units, whose numbers begin with ``first``; each unit adds a share of alpha to a sum."""
    made: list[nn.Module] = []
    inputs, width = start, float(start)
    for number, length in enumerate(lengths):
        group = nn.Sequential()
        for i in range(length):
            width += alpha / sum(lengths)
            outputs = int(width + 0.5)
            name = f"unit{i + first}" if first else str(i)
            group.add_module(name, make(inputs, outputs, 2 if number and not i else 1))
            inputs = outputs * expansion
        made.append(group)
    return made


class DyhanBottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, width, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), conv(width, width, 3, stride)
        self.bn3, self.conv3 = nn.BatchNorm2d(width), conv(width, 4 * width, 1)
        self.bn4 = nn.BatchNorm2d(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.bn1(x))
        out = self.conv2(self.bn2(out).relu())
        out = self.bn4(self.conv3(self.bn3(out).relu()))
        return out + widened(x, out)


class DyhanPyramidNet101(nn.Module):
    """For ImageNet."""

    def __init__(self, alpha: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        made = groups(DyhanBottleneck, 64, alpha, (3, 4, 23, 3), 4, 0)
        self.layer1, self.layer2, self.layer3, self.layer4 = made
        self.bn_final, self.fc = nn.BatchNorm2d(4 * (64 + alpha)), nn.Linear(4 * (64 + alpha), 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(pooled(self.bn_final(x).relu()))


class Preceded(nn.Module):
    """A batch normalization and the convolution behind it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(inputs), conv(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor, *, activates: bool) -> Tensor:
        x = self.bn(x)
        return self.conv(x.relu() if activates else x)


class PytorchcvPyramidUnit(nn.Module):
    """Two 3x3 convolutions, or a bottleneck, and a batch normalization of what they return."""

    def __init__(self, inputs: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        self.body = nn.Module()
        if bottleneck:
            self.body.conv1 = Preceded(inputs, width, 1)
            self.body.conv2 = Preceded(width, width, 3, stride)
            self.body.conv3 = Preceded(width, 4 * width, 1)
        else:
            self.body.conv1 = Preceded(inputs, width, 3, stride)
            self.body.conv2 = Preceded(width, width, 3)
        self.bn = nn.BatchNorm2d(4 * width if bottleneck else width)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for number, part in enumerate(self.body.children()):
            out = part(out, activates=number > 0)
        return self.bn(out) + widened(x, out)


class PytorchcvPyramidNet(nn.Module):
    """For CIFAR."""

    def __init__(self, units: int, alpha: int, *, bottleneck: bool = False) -> None:
        super().__init__()

        def make(inputs: int, width: int, stride: int) -> nn.Module:
            return PytorchcvPyramidUnit(inputs, width, stride, bottleneck=bottleneck)

        expansion = 4 if bottleneck else 1
        self.features = nn.Module()
        self.features.init_block = nn.Module()
        self.features.init_block.conv, self.features.init_block.bn = conv(3, 16, 3), nn.BatchNorm2d(16)
        for number, group in enumerate(groups(make, 16, alpha, (units,) * 3, expansion, 1), 1):
            self.features.add_module(f"stage{number}", group)
        self.features.post_activ = nn.Module()
        self.features.post_activ.bn = nn.BatchNorm2d(expansion * (16 + alpha))
        self.output = nn.Linear(expansion * (16 + alpha), 10)

    def forward(self, x: Tensor) -> Tensor:
        parts: list[Any] = list(self.features.children())
        stem, *stages, end = parts
        x = stem.bn(stem.conv(x))
        for stage in stages:
            x = stage(x)
        return self.output(pooled(end.bn(x).relu()))
