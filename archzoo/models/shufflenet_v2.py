"""ShuffleNet V2: half of the maps bypass each unit, and a channel shuffle mixes the halves.

N. Ma, X. Zhang, H.-T. Zheng, J. Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV
2018.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers import Conv2d, Linear, Net, conv1x1, gaussian_by_inputs, sequence, shufflenet_stem

# Table 5: maps of stage2, stage3, stage4 and conv5, by width; units in each stage.
TABLE_5 = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
UNITS = (4, 8, 4)

Down = Literal["asymmetric", "symmetric"]


def conv1x1_bn_relu(inputs: int, outputs: int) -> dict[str, nn.Module]:
    """The pointwise convolution of both units (Fig. 3c and d)."""
    return {"conv": conv1x1(inputs, outputs), "bn": nn.BatchNorm2d(outputs), "relu": nn.ReLU(inplace=True)}


def depthwise_bn(maps: int, stride: int) -> dict[str, nn.Module]:
    """A depthwise 3x3 convolution without a ReLU (Fig. 3c and d)."""
    conv = Conv2d(maps, maps, 3, stride, padding=1, groups=maps, bias=False)
    return {"conv": conv, "bn": nn.BatchNorm2d(maps)}


def branch(inputs: int, middle: int, outputs: int, stride: int) -> nn.Sequential:
    """1x1, depthwise 3x3 and 1x1 convolutions (Fig. 3c and d, right)."""
    return sequence(
        reduce=sequence(**conv1x1_bn_relu(inputs, middle)),
        depthwise=sequence(**depthwise_bn(middle, stride)),
        expand=sequence(**conv1x1_bn_relu(middle, outputs)),
    )


def shuffle(maps: Tensor) -> Tensor:
    """Interleave the first and the second half of the maps (Sec. 3.2)."""
    batch, channels, height, width = maps.shape
    return maps.reshape(batch, 2, channels // 2, height, width).transpose(1, 2).flatten(1, 2)


class Unit(nn.Module):
    """Split the maps in half, transform the right half, concatenate, and shuffle (Fig. 3c)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.branch = branch(maps // 2, maps // 2, maps // 2, stride=1)

    def forward(self, maps: Tensor) -> Tensor:
        left, right = maps.chunk(2, dim=1)
        return shuffle(torch.cat([left, self.branch(right)], dim=1))


class DownUnit(nn.Module):
    """Halve the resolution: both branches read all maps and stride (Fig. 3d).

    In the authors' code the left branch keeps its number of maps and the right branch adds the rest; only this gives
    the printed FLOPs. In the symmetric unit of other libraries each branch returns half of the maps.
    """

    def __init__(self, inputs: int, outputs: int, down: Down) -> None:
        super().__init__()
        left = inputs if down == "asymmetric" else outputs // 2
        self.left = sequence(
            depthwise=sequence(**depthwise_bn(inputs, stride=2)),
            expand=sequence(**conv1x1_bn_relu(inputs, left)),
        )
        self.branch = branch(inputs, outputs // 2, outputs - left, stride=2)

    def forward(self, maps: Tensor) -> Tensor:
        return shuffle(torch.cat([self.left(maps), self.branch(maps)], dim=1))


def shufflenet_v2(
    width: float = 1.0, *, down: Down = "asymmetric", in_channels: int = 3, num_classes: int = 1000
) -> Net:
    """A column of Table 5. ``down="symmetric"`` is the network of other libraries, with a bias in the last layer.

    Differs from the release:
        - A unit shuffles its maps at its end (Fig. 3c), and the next one takes the first and the second half. The
          released code shuffles at the start of a unit, which takes the even and the odd maps: also half of the maps of
          each branch, but not the same ones.
    """
    if width not in TABLE_5:
        raise BadOption(f"width must be one of Table 5, not {width}: {', '.join(map(str, TABLE_5))}")
    *stages, last = TABLE_5[width]
    inputs = 24
    parts = shufflenet_stem(in_channels, inputs)
    for number, (outputs, units) in enumerate(zip(stages, UNITS, strict=True), 2):
        rest = [Unit(outputs) for _ in range(units - 1)]
        parts[f"stage{number}"] = nn.Sequential(DownUnit(inputs, outputs, down), *rest)
        inputs = outputs
    parts["conv5"] = sequence(**conv1x1_bn_relu(inputs, last))
    head: dict[str, nn.Module] = {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    if width == 2.0 and down == "asymmetric":
        head["drop"] = nn.Dropout(0.2)  # authors' code
    head["fc"] = Linear(last, num_classes, bias=down == "symmetric")
    return Net(sequence(**parts), sequence(**head), gaussian_by_inputs)
