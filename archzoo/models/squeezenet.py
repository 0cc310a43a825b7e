"""SqueezeNet: 1x1 convolutions reduce the number of maps that the more expensive 3x3 convolutions read.

F. Iandola, S. Han, M. Moskewicz, K. Ashraf, W. Dally, K. Keutzer, "SqueezeNet: AlexNet-level accuracy with 50x fewer
parameters and <0.5MB model size", arXiv 2016.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers import Conv2d, Initialize, Net, at_least, sequence, xavier_fan_in

Bypass = Literal["none", "simple", "complex"]


@dataclass(frozen=True)
class Metaparameters:
    """The metaparameters that set the widths of all fire modules (Sec. 5.1)."""

    squeeze_ratio: float = 0.125
    share_3x3: float = 0.5
    base: int = 128
    increment: int = 128
    every: int = 2

    def widths(self, number: int) -> tuple[int, int, int]:
        """Maps of the squeeze, expand 1x1 and expand 3x3 layers of fire module ``number``, from 2 on (Sec. 5.1)."""
        expand = self.base + self.increment * ((number - 2) // self.every)
        expand3x3 = round(self.share_3x3 * expand)
        return round(self.squeeze_ratio * expand), expand - expand3x3, expand3x3


class Fire(nn.Module):
    """A squeeze layer of 1x1 convolutions, then 1x1 and 3x3 convolutions whose maps are concatenated (Sec. 3.2)."""

    def __init__(self, inputs: int, squeeze: int, expand1x1: int, expand3x3: int) -> None:
        super().__init__()
        self.squeeze = Conv2d(inputs, squeeze, 1)
        self.expand1x1 = Conv2d(squeeze, expand1x1, 1)
        self.expand3x3 = Conv2d(squeeze, expand3x3, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        squeezed = torch.relu(self.squeeze(maps))
        return torch.relu(torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], dim=1))


class Bypassed(nn.Module):
    """A fire module whose input is added to its output, unchanged or through a 1x1 convolution (Sec. 6)."""

    def __init__(self, fire: Fire, shortcut: nn.Module) -> None:
        super().__init__()
        self.fire = fire
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.fire(maps) + self.shortcut(maps)
        return out


def fire_module(number: int, inputs: int, widths: tuple[int, int, int], bypass: Bypass) -> nn.Module:
    """One of fire2 to fire9. A bypass is the identity around odd ones, a 1x1 convolution around even ones (Fig. 2)."""
    fire = Fire(inputs, *widths)
    if bypass == "none" or (bypass == "simple" and number % 2 == 0):
        return fire
    return Bypassed(fire, nn.Identity() if number % 2 else Conv2d(inputs, sum(widths[1:]), 1))


def released_initialization(last: Conv2d) -> Initialize:
    """Caffe's xavier, but a Gaussian of standard deviation 0.01 in the last convolution; biases zero (release)."""

    def initialize(layer: nn.Module) -> None:
        xavier_fan_in(layer)
        if layer is last:
            nn.init.normal_(last.weight, std=0.01)

    return initialize


def squeeze_net(conv1: Conv2d, pools: tuple[int, ...], bypass: Bypass, rule: Metaparameters, num_classes: int) -> Net:
    """conv1, eight fire modules with 3x3/2 max pooling after ``pools``, conv10, global average pooling (Fig. 2)."""
    parts: dict[str, nn.Module] = {"conv1": conv1, "relu1": nn.ReLU(inplace=True)}
    parts["maxpool1"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    maps = conv1.out_channels
    for number in range(2, 10):
        widths = rule.widths(number)
        for layer, maps_of_layer in zip(("squeeze_ratio x", "(1 - share_3x3) x", "share_3x3 x"), widths, strict=True):
            at_least(f"{layer} expand maps", maps_of_layer, 1)
        parts[f"fire{number}"] = fire_module(number, maps, widths, bypass)
        maps = sum(widths[1:])
        if number in pools:
            parts[f"maxpool{number}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    conv10 = Conv2d(maps, num_classes, 1)
    classifier = sequence(
        drop9=nn.Dropout(0.5),
        conv10=conv10,
        relu10=nn.ReLU(inplace=True),
        avgpool10=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
    )
    return Net(sequence(**parts), classifier, released_initialization(conv10))


def squeezenet1_0(
    *,
    bypass: Bypass = "none",
    squeeze_ratio: float = 0.125,
    share_3x3: float = 0.5,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """SqueezeNet as published. The sizes in Table 1 need images of 227x227, as released, not the 224x224 printed there.

    Differs from the release:
        - conv10 is not padded: Table 1 prints 13x13x1000. The released definition of v1.0 pads it by 1, and averages
          15x15 values of which the border is the bias alone.
    """
    if not 0 < share_3x3 < 1:
        raise BadOption(f"share_3x3 must be more than 0 and less than 1, not {share_3x3}")
    rule = Metaparameters(squeeze_ratio, share_3x3)
    return squeeze_net(Conv2d(in_channels, 96, 7, stride=2), (4, 8), bypass, rule, num_classes)


def squeezenet1_1(*, bypass: Bypass = "none", in_channels: int = 3, num_classes: int = 1000) -> Net:
    """SqueezeNet v1.1: a smaller first layer and earlier pooling (the authors' README)."""
    return squeeze_net(Conv2d(in_channels, 64, 3, stride=2), (3, 5), bypass, Metaparameters(), num_classes)
