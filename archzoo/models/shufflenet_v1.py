"""ShuffleNet: the 1x1 convolutions of a bottleneck have groups, and a channel shuffle lets the groups exchange maps.

X. Zhang, X. Zhou, M. Lin, J. Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
CVPR 2018 (arXiv 2017).
"""

from dataclasses import dataclass
from math import ceil
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers import ChannelShuffle, Conv2d, Linear, Net, gaussian_by_inputs, sequence

Groups = Literal[1, 2, 3, 4, 8]
Shuffle = Literal["paper", "release", "none"]

# Table 1: maps of stage 2 by the number of groups; stages 3 and 4 have twice and four times as many. Units of each.
TABLE_1 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
UNITS = (4, 8, 4)
# Maps of the first convolution by width. At 0.25x, which was not released, the printed 13M fit 12 maps and not six.
STEM = {0.25: 12, 0.5: 12, 1.0: 24, 1.5: 24, 2.0: 48}
# Twelve maps beside the others of a first unit cannot be divided into eight groups (authors' code for 0.5x).
STEM_OF_8_GROUPS = {0.25: 8, 0.5: 16}


@dataclass(frozen=True)
class Branch:
    """1x1 convolution, shuffle, depthwise 3x3 without ReLU, and 1x1, with batch norm after each (Fig. 2b and c).

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


class Unit(nn.Module):
    """ReLU(F(x) + x) (Fig. 2b)."""

    def __init__(self, maps: int, branch: Branch) -> None:
        super().__init__()
        self.branch = branch(maps, maps // 4, maps, stride=1)

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.branch(maps) + maps, inplace=True)


class DownUnit(nn.Module):
    """Halve the resolution: the pooled maps, then those of the branch, which adds the rest (Fig. 2c).

    The paper does not say which come first. The order is that of the authors' code, where the ReLU is on the branch:
    pooled maps have no negative values.
    """

    def __init__(self, inputs: int, outputs: int, branch: Branch, *, first: bool) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.branch = branch(inputs, outputs // 4, outputs - inputs, stride=2, first=first)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([self.pool(maps), F.relu(self.branch(maps), inplace=True)], dim=1)


def stage_width(groups: int, width: float) -> int:
    """Maps of stage 2: ``width`` times those of Table 1, up to the next number that bottlenecks of groups divide.

    At 0.5x and 4 groups these are 144 maps and not 136, which gives the 576 of stage 4 in Sec. 4.2.
    """
    divisor = 4 * groups
    return ceil(width * TABLE_1[groups] / divisor) * divisor


def shufflenet_v1(
    width: float = 1.0,
    g: Groups = 3,
    *,
    shuffle: Shuffle = "paper",
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """ShuffleNet ``width``x with ``g`` groups (Table 1, Table 2). ``shuffle="none"`` is a row of Table 3.

    Differs from the release:
        - The released code shuffles after the depthwise convolution, and the other way round: maps (n, g) become maps
          (g, n). ``shuffle="release"`` is the released network.
    """
    if width not in STEM:
        raise BadOption(f"width must be one of the paper's, not {width}: {', '.join(map(str, STEM))}")
    stem = STEM_OF_8_GROUPS.get(width, STEM[width]) if g == 8 else STEM[width]
    parts: dict[str, nn.Module] = {
        "conv1": Conv2d(in_channels, stem, 3, stride=2, padding=1, bias=False),
        "bn1": nn.BatchNorm2d(stem),
        "relu1": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    branch, inputs, outputs = Branch(g, shuffle), stem, stage_width(g, width)
    for number, units in enumerate(UNITS, 2):
        rest = [Unit(outputs, branch) for _ in range(units - 1)]
        parts[f"stage{number}"] = nn.Sequential(DownUnit(inputs, outputs, branch, first=number == 2), *rest)
        inputs, outputs = outputs, 2 * outputs
    head: dict[str, nn.Module] = {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    head["fc"] = Linear(inputs, num_classes, bias=False)  # authors' code
    return Net(sequence(**parts), sequence(**head), gaussian_by_inputs)
