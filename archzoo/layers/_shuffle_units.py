"""The units and stages of ShuffleNet; tables and figures are those of its paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers._channel_shuffle import ChannelShuffle
from archzoo.layers._modules import Conv2d, Linear, sequence

Shuffle = Literal["paper", "release", "none"]


@dataclass(frozen=True)
class ShuffleBranch:
    """1x1 convolution, shuffle, depthwise 3x3 without ReLU, and 1x1, with batch norm after each (Fig. 2).

    The authors' code shuffles between the last two, and the other way round: maps (n, g) become maps (g, n).
    """

    groups: int
    shuffle: Shuffle

    def __call__(self, inputs: int, middle: int, outputs: int, stride: int, first: bool = False) -> nn.Sequential:
        """Layers from ``inputs`` to ``outputs`` maps. The ``first`` 1x1 of the network has few inputs and no groups."""
        groups = 1 if first else self.groups
        reduce = Conv2d(inputs, middle, 1, groups=groups, bias=False)
        depthwise = Conv2d(middle, middle, 3, stride, padding=1, groups=middle, bias=False)
        expand = Conv2d(middle, outputs, 1, groups=self.groups, bias=False)
        parts: dict[str, nn.Module] = {
            "reduce": sequence(conv=reduce, bn=nn.BatchNorm2d(middle), relu=nn.ReLU(inplace=True))
        }
        if self.groups > 1 and self.shuffle == "paper":
            parts["shuffle"] = ChannelShuffle(self.groups)
        parts["depthwise"] = sequence(conv=depthwise, bn=nn.BatchNorm2d(middle))
        if self.groups > 1 and self.shuffle == "release":
            parts["shuffle"] = ChannelShuffle(middle // self.groups)
        parts["expand"] = sequence(conv=expand, bn=nn.BatchNorm2d(outputs))
        return sequence(**parts)


class ShuffleUnit(nn.Module):
    """ReLU(F(x) + x) (Fig. 2b)."""

    def __init__(self, maps: int, branch: ShuffleBranch) -> None:
        super().__init__()
        self.branch = branch(maps, maps // 4, maps, stride=1)

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.branch(maps) + maps, inplace=True)


class ShuffleDownUnit(nn.Module):
    """Halve the resolution: the pooled maps, then those of the branch, which adds the rest (Fig. 2c).

    The paper does not say which come first. The order is that of the authors' code, where the ReLU is on the branch:
    pooled maps have no negative values.
    """

    def __init__(self, inputs: int, outputs: int, branch: ShuffleBranch, *, first: bool) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.branch = branch(inputs, outputs // 4, outputs - inputs, stride=2, first=first)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([self.pool(maps), F.relu(self.branch(maps), inplace=True)], dim=1)


def shufflenet_stem(in_channels: int, maps: int) -> dict[str, nn.Module]:
    """A 3x3/2 convolution to so many maps, batch norm, ReLU and 3x3/2 max pooling (Table 1; V2, Table 5)."""
    return {
        "conv1": Conv2d(in_channels, maps, 3, stride=2, padding=1, bias=False),
        "bn1": nn.BatchNorm2d(maps),
        "relu1": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }


def shufflenet_stages(
    branch: ShuffleBranch, inputs: int, maps: Sequence[int], units: Sequence[int]
) -> dict[str, nn.Sequential]:
    """Stages 2, 3 and so on, with the maps and units of each, whose first unit halves the resolution (Table 1)."""
    stages: dict[str, nn.Sequential] = {}
    for number, (outputs, count) in enumerate(zip(maps, units, strict=True), 2):
        rest = [ShuffleUnit(outputs, branch) for _ in range(count - 1)]
        stages[f"stage{number}"] = nn.Sequential(ShuffleDownUnit(inputs, outputs, branch, first=number == 2), *rest)
        inputs = outputs
    return stages


def shufflenet_classifier(maps: int, num_classes: int) -> nn.Sequential:
    """Global average pooling and a linear layer, which has no bias in the authors' code."""
    return sequence(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=Linear(maps, num_classes, bias=False))
