"""SqueezeNet: 1x1 convolutions squeeze the maps that the costlier 3x3 convolutions read.

F. Iandola, S. Han, M. Moskewicz, K. Ashraf, W. Dally, K. Keutzer, "SqueezeNet: AlexNet-level accuracy with 50x fewer
parameters and <0.5MB model size", arXiv 2016.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from archzoo.claims import Paper, flops, megabytes, params, ratio, size
from archzoo.layers import Conv2d, Initialize, Net, at_least, sequence, xavier_fan_in
from archzoo.registry import quote, register, unaudited

PAPER = Paper(
    "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
    "F. Iandola, S. Han, M. Moskewicz, K. Ashraf, W. Dally, K. Keutzer",
    2016,
    "https://arxiv.org/abs/1602.07360",
)

# Table 1: parameters before pruning.
TABLE_1 = {
    "features.conv1": "14,208",
    "features.fire2": "11,920",
    "features.fire3": "12,432",
    "features.fire4": "45,344",
    "features.fire5": "49,440",
    "features.fire6": "104,880",
    "features.fire7": "111,024",
    "features.fire8": "188,992",
    "features.fire9": "197,184",
    "classifier.conv10": "513,000",
    "": "1,248,424",
}
# Table 1: size of the output.
TABLE_1_OUTPUT = {
    "features.conv1": "111x111x96",
    "features.maxpool1": "55x55x96",
    "features.fire2": "55x55x128",
    "features.fire4": "55x55x256",
    "features.maxpool4": "27x27x256",
    "features.fire6": "27x27x384",
    "features.fire8": "27x27x512",
    "features.fire9": "13x13x512",
    "classifier.conv10": "13x13x1000",
}

Bypass = Literal["none", "simple", "complex"]


@dataclass(frozen=True)
class Metaparameters:
    """What the widths of all fire modules follow from (Sec. 5.1)."""

    squeeze_ratio: float = 0.125
    share_3x3: float = 0.5
    base: int = 128
    increment: int = 128
    every: int = 2

    def widths(self, number: int) -> tuple[int, int, int]:
        """Squeeze, expand 1x1 and expand 3x3 maps of a fire module; the first is fire2."""
        expand = self.base + self.increment * ((number - 2) // self.every)
        expand3x3 = round(self.share_3x3 * expand)
        return round(self.squeeze_ratio * expand), expand - expand3x3, expand3x3


class Fire(nn.Module):
    """A squeeze layer of 1x1 convolutions feeds 1x1 and 3x3 ones, whose maps are stacked (Sec. 3.2)."""

    def __init__(self, inputs: int, squeeze: int, expand1x1: int, expand3x3: int) -> None:
        super().__init__()
        self.squeeze = Conv2d(inputs, squeeze, 1)
        self.expand1x1 = Conv2d(squeeze, expand1x1, 1)
        self.expand3x3 = Conv2d(squeeze, expand3x3, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        squeezed = torch.relu(self.squeeze(maps))
        return torch.relu(torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], dim=1))


class Bypassed(nn.Module):
    """A fire module, and its input added to what it returns: as it is, or through a 1x1 convolution (Sec. 6)."""

    def __init__(self, fire: Fire, shortcut: nn.Module) -> None:
        super().__init__()
        self.fire = fire
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.fire(maps) + self.shortcut(maps)
        return out


def fire_module(number: int, inputs: int, widths: tuple[int, int, int], bypass: Bypass) -> nn.Module:
    """One of fire2 to fire9, bypassed where Fig. 2 has it so: identities around the odd ones, 1x1 around the others."""
    fire = Fire(inputs, *widths)
    if bypass == "none" or (bypass == "simple" and number % 2 == 0):
        return fire
    return Bypassed(fire, nn.Identity() if number % 2 else Conv2d(inputs, sum(widths[1:]), 1))


def squeeze_net(conv1: Conv2d, pools: tuple[int, ...], bypass: Bypass, rule: Metaparameters, num_classes: int) -> Net:
    """Fig. 2: conv1, eight fire modules, conv10, global average pooling; 3x3/2 max pooling after these of them."""
    parts: dict[str, nn.Module] = {"conv1": conv1, "relu1": nn.ReLU(inplace=True)}
    parts["maxpool1"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    maps = conv1.out_channels
    for number in range(2, 10):
        widths = rule.widths(number)
        at_least("squeeze_ratio x expand maps", widths[0], 1)
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


def released_initialization(last: Conv2d) -> Initialize:
    """Xavier's rule, but a Gaussian of deviation 0.01 in the last convolution; biases zero (release)."""

    def initialize(layer: nn.Module) -> None:
        xavier_fan_in(layer)
        if layer is last:
            nn.init.normal_(last.weight, std=0.01)

    return initialize


@register(
    PAPER,
    *(params(printed, "Table 1", at=at) for at, printed in TABLE_1.items()),
    *(size(printed, "Table 1", at=at) for at, printed in TABLE_1_OUTPUT.items()),
    size("13x12x512", "Table 1", at="features.maxpool8", ours="13x13x512", why="a slip: the next row reads 13x13x512"),
    megabytes("4.8MB", "Abstract and Table 2", counting="MB = 2^20"),
    megabytes("13MB", "Sec. 5.2", counting="MB = 2^20", options={"squeeze_ratio": 0.5}),
    megabytes("19MB", "Sec. 5.2", options={"squeeze_ratio": 0.75}),
    megabytes("4.8MB", "Table 3", counting="MB = 2^20", options={"bypass": "simple"}),
    megabytes(
        "7.7MB",
        "Table 3",
        options={"bypass": "complex"},
        confirmed=False,
        ours="6.4MB",
        why="1x1 convolutions around fire2, 4, 6 and 8 make 1,589,672 parameters, which is 6.36 MB or 6.06 MiB",
    ),
    flops(
        "1.72G",
        "authors' README of v1.1",
        ours="1.67G",
        why="the release pads the 1x1 convolution conv10 to 15x15 outputs, which is 1.72; Table 1 has 13x13",
    ),
    ratio("2.4x", "authors' README of v1.1", of="macs", to="squeezenet1_1"),
    ratio(
        "50x fewer",
        "Title",
        of="params",
        to="alexnet",
        ours="49x fewer",
        why="a quotient of the rounded 240 MB and 4.8 MB of Table 2",
    ),
    input_size=(3, 227, 227),
    aliases=("squeezenet",),
)
def squeezenet1_0(
    *,
    bypass: Bypass = "none",
    squeeze_ratio: float = 0.125,
    share_3x3: float = 0.5,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """SqueezeNet as published; the sizes of Table 1 need images of 227x227, not 224x224 as printed there."""
    if not 0 < share_3x3 < 1:
        raise ValueError(f"share_3x3 must be more than 0 and less than 1, not {share_3x3}")
    rule = Metaparameters(squeeze_ratio, share_3x3)
    return squeeze_net(Conv2d(in_channels, 96, 7, stride=2), (4, 8), bypass, rule, num_classes)


@register(
    PAPER,
    flops(
        "0.72G",
        "authors' README of v1.1",
        ours="0.70G",
        why="0.698 at 224x224; 1.72 divided by the 2.4 of the same table is 0.717, so it was probably derived",
    ),
    input_size=(3, 224, 224),
)
def squeezenet1_1(*, bypass: Bypass = "none", in_channels: int = 3, num_classes: int = 1000) -> Net:
    """The authors' later net: a smaller first layer, and earlier pooling."""
    return squeeze_net(Conv2d(in_channels, 64, 3, stride=2), (3, 5), bypass, Metaparameters(), num_classes)


quote(
    PAPER,
    "alexnet",
    megabytes("240MB", "Table 2", confirmed=False, ours="244MB", why="60 million parameters; there are 60,965,224"),
)
unaudited(PAPER, "421,098 parameters", "Table 1", "after pruning by Deep Compression, layer by layer alike")
unaudited(PAPER, "363x, 510x, 1.4x, 10x", "Sec. 4", "ratios of compressed sizes: 0.66, 0.47 and 6.9 MB")
unaudited(PAPER, "57.5% top-1 and 80.3% top-5 accuracy", "Table 2", "a result of training")
