"""Inception-v2 and Inception-v3: large convolutions become several small ones, or pairs of 1xn and nx1.

C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for Computer Vision",
CVPR 2016 (arXiv 2015).
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, fx, nn

from archzoo.errors import InputError
from archzoo.layers import (
    Classifiers,
    Conv2d,
    Inception,
    Initialize,
    Linear,
    Net,
    Tapped,
    batch_norm,
    pooled_classifier,
    probability,
    sequence,
    truncated_gaussian,
    variance_scaling,
)

# A convolution or pooling and the maps that it returns: "3x3/2 V" has stride 2 and no padding, as V says. All others
# are padded to keep the size of the maps. "1x3 | 3x1" are two convolutions side by side.
Layer = tuple[str, int]
Branches = Mapping[str, tuple[Layer, ...]]
AVERAGE: Layer = ("average", 0)  # a pooling returns as many maps as it reads
MAX: Layer = ("max/2 V", 0)
Resolution = Literal[299, 151, 79]


def module_35(kernel: str, projection: int) -> Branches:
    """A module of 35x35 (Fig. 5), with this kernel in its second branch."""
    return {
        "1x1": (("1x1", 64),),
        kernel: (("1x1", 48), (kernel, 64)),
        "double_3x3": (("1x1", 64), ("3x3", 96), ("3x3", 96)),
        "pool": (AVERAGE, ("1x1", projection)),
    }


def module_17(maps: int) -> Branches:
    """A module of 17x17, with pairs of 1x7 and 7x1 of so many maps (Fig. 6)."""
    return {
        "1x1": (("1x1", 192),),
        "7x7": (("1x1", maps), ("1x7", maps), ("7x1", 192)),
        "double_7x7": (("1x1", maps), ("7x1", maps), ("1x7", maps), ("7x1", maps), ("1x7", 192)),
        "pool": (AVERAGE, ("1x1", 192)),
    }


# The widths inside the modules are those of the authors' code, inception_v3.py of TF-slim: the paper leaves them to a
# file that was not published.
REDUCTION_17: Branches = {
    "3x3": (("3x3/2 V", 384),),
    "double_3x3": (("1x1", 64), ("3x3", 96), ("3x3/2 V", 96)),
    "pool": (MAX,),
}
REDUCTION_8: Branches = {
    "3x3": (("1x1", 192), ("3x3/2 V", 320)),
    "7x7": (("1x1", 192), ("1x7", 192), ("7x1", 192), ("3x3/2 V", 192)),
    "pool": (MAX,),
}
# Fig. 7: 1x3 and 3x1 read the same maps.
MODULE_8: Branches = {
    "1x1": (("1x1", 320),),
    "3x3": (("1x1", 384), ("1x3 | 3x1", 384)),
    "double_3x3": (("1x1", 448), ("3x3", 384), ("1x3 | 3x1", 384)),
    "pool": (AVERAGE, ("1x1", 192)),
}
# Three 3x3 convolutions in the place of the first 7x7 one.
FIRST: Mapping[str, Layer] = {
    "conv_1a": ("3x3/2 V", 32),
    "conv_2a": ("3x3 V", 32),
    "conv_2b": ("3x3", 64),
    "pool_3a": MAX,
}
Table = Mapping[str, Layer | Branches]
# Table 1, with the reductions of Sec. 6 between its modules. Of its five modules of 17x17, the code has four.
TABLE_1: Table = {
    **FIRST,
    "conv_3b": ("3x3 V", 80),
    "conv_4a": ("3x3/2 V", 192),
    "conv_5a": ("3x3", 288),
    **{f"mixed_5{letter}": module_35("3x3", 64) for letter in "bcd"},
    "mixed_6a": REDUCTION_17,
    **{f"mixed_6{letter}": module_17(maps) for letter, maps in zip("bcdef", (128, 160, 160, 160, 192), strict=True)},
    "mixed_7a": REDUCTION_8,
    "mixed_7b": MODULE_8,
    "mixed_7c": MODULE_8,
}
RELEASED: Table = {
    **FIRST,
    "conv_3b": ("1x1", 80),
    "conv_4a": ("3x3 V", 192),
    "pool_5a": MAX,
    "mixed_5b": module_35("5x5", 32),
    "mixed_5c": module_35("5x5", 64),
    "mixed_5d": module_35("5x5", 64),
    "mixed_6a": REDUCTION_17,
    **{f"mixed_6{letter}": module_17(maps) for letter, maps in zip("bcde", (128, 160, 160, 192), strict=True)},
    "mixed_7a": REDUCTION_8,
    "mixed_7b": MODULE_8,
    "mixed_7c": MODULE_8,
}


@dataclass(frozen=True)
class ConvNorm:
    """Convolutions with batch normalization and ReLU, average poolings, and the modules that they make."""

    scale: bool = True
    count_include_pad: bool = False

    def conv(self, inputs: int, text: str, maps: int, *, norm: bool = True) -> nn.Sequential:
        """A convolution without bias, batch normalization and ReLU. Without ``norm`` it has a bias."""
        size, stride, padded = read(text)
        padding = (size[0] // 2, size[1] // 2) if padded else 0
        conv = Conv2d(inputs, maps, size, stride, padding, bias=not norm)
        bn = {"bn": batch_norm(maps, 0.001, scale=self.scale)} if norm else {}
        return sequence(conv=conv, **bn, relu=nn.ReLU(inplace=True))

    def layer(self, inputs: int, layer: Layer) -> tuple[nn.Module, int]:
        """A pooling, a convolution, or two of them side by side, and the maps that it returns."""
        text, maps = layer
        if layer == MAX:
            return nn.MaxPool2d(3, stride=2), inputs
        if layer == AVERAGE:
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=self.count_include_pad), inputs
        pair = text.split(" | ")
        if len(pair) > 1:
            return Inception({part: self.conv(inputs, part, maps) for part in pair}), len(pair) * maps
        return self.conv(inputs, text, maps), maps

    def branch(self, inputs: int, layers: tuple[Layer, ...]) -> tuple[nn.Sequential, int]:
        """Layers one after another, and the maps that the last one returns."""
        parts: dict[str, nn.Module] = {}
        for layer in layers:
            name = "pool" if layer in (AVERAGE, MAX) else f"conv{len(parts.keys() - {'pool'}) + 1}"
            parts[name], inputs = self.layer(inputs, layer)
        return sequence(**parts), inputs

    def module(self, inputs: int, branches: Branches) -> tuple[Inception, int]:
        """Branches side by side, and the maps that they return together."""
        made = {name: self.branch(inputs, layers) for name, layers in branches.items()}
        return Inception({name: branch for name, (branch, _) in made.items()}), sum(maps for _, maps in made.values())


def read(text: str) -> tuple[tuple[int, int], int, bool]:
    """The kernel size and the stride of a convolution, and whether it is padded: "3x3/2 V"."""
    match = re.fullmatch(r"(\d)x(\d)(?:/(\d))?( V)?", text)
    assert match is not None
    return (int(match[1]), int(match[2])), int(match[3] or 1), match[4] is None


@fx.wrap
def check_pooled(pooled: Tensor, maps: Tensor) -> None:
    """Raise InputError for maps that are not pooled to 5x5 or more, which the 5x5 convolution needs."""
    if pooled.shape[2] < 5 or pooled.shape[3] < 5:
        height, width = maps.shape[2:]
        raise InputError(
            f"the auxiliary classifier takes maps of 17x17 or more, not {height}x{width}: train on larger images"
        )


class AuxiliaryClassifier(nn.Sequential):
    """5x5/3 average pooling, a 1x1 convolution to 128 maps, 5x5 to 768, and a linear layer (Fig. 8, authors' code).

    The 5x5 convolution reads all of 5x5 maps: it is the fully connected layer that Inception-v3 normalizes (Table 3).
    """

    def __init__(self, inputs: int, layers: ConvNorm, num_classes: int, *, norm: bool) -> None:
        parts = {
            "pool": nn.AvgPool2d(5, stride=3),
            "conv1": layers.conv(inputs, "1x1", 128),
            "conv2": layers.conv(128, "5x5 V", 768, norm=norm),
            "mean": nn.AdaptiveAvgPool2d(1),  # of one position, for images of 299x299
            "flatten": nn.Flatten(),
            "fc": Linear(768, num_classes),
        }
        super().__init__(OrderedDict(parts))

    def forward(self, maps: Tensor) -> Tensor:
        out = maps
        for place, layer in enumerate(self):
            out = layer(out)
            if place == 0:
                check_pooled(out, maps)
        return out


class Logits(NamedTuple):
    """Outputs of a network with its auxiliary classifier in training."""

    main: Tensor
    auxiliary: Tensor

    @property
    def auxiliary_weight(self) -> float:
        """The weight of the auxiliary classifier's loss (authors' code)."""
        return 0.4


def released_initialization(auxiliary: nn.Module | None) -> Initialize:
    """Variance scaling, but for the last two layers of the auxiliary classifier (authors' code)."""
    narrow: dict[nn.Module, float] = {}
    if auxiliary is not None:
        narrow = {auxiliary.get_submodule("conv2.conv"): 0.01, auxiliary.get_submodule("fc"): 0.001}

    def initialize(layer: nn.Module) -> None:
        (truncated_gaussian(narrow[layer]) if layer in narrow else variance_scaling)(layer)

    return initialize


@dataclass(frozen=True)
class Head:
    """What follows the features: dropout, and an auxiliary classifier with or without its last normalization."""

    drop: float
    auxiliary: bool
    num_classes: int
    norm: bool = True  # of the fully connected layer of the auxiliary classifier


def build(layers: ConvNorm, table: Table, head: Head, in_channels: int) -> Net:
    """The layers of a table, global average pooling, dropout and a linear layer (Table 1)."""
    probability("drop", head.drop)
    parts: dict[str, nn.Module] = {}
    maps, tapped, tap = in_channels, 0, ""
    for name, part in table.items():
        if name == "mixed_7a":
            tapped, tap = maps, next(reversed(parts))
        parts[name], maps = layers.layer(maps, part) if isinstance(part, tuple) else layers.module(maps, part)
    classifier = pooled_classifier(maps, head.num_classes, head.drop)
    if not head.auxiliary:
        return Net(sequence(**parts), classifier, released_initialization(None))
    auxiliary = AuxiliaryClassifier(tapped, layers, head.num_classes, norm=head.norm)
    named = {f"aux_{tap.removeprefix('mixed_')}": auxiliary}
    return Net(
        Tapped(parts, (tap,)),
        Classifiers(dict(classifier.named_children()), named, Logits),
        released_initialization(auxiliary),
    )


def smaller(resolution: Resolution) -> Table:
    """The network for images of another size: stride 1 in the first layer, and no pooling after it (Sec. 9)."""
    table = dict(RELEASED)
    if resolution != 299:
        table["conv_1a"] = ("3x3 V", 32)
    if resolution == 79:
        del table["pool_3a"]
    return table


def inception_v2(*, auxiliary: bool = False, drop: float = 0.2, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """Inception-v2: Table 1 as it is printed, with the reductions of Sec. 6. It was never released.

    With ``auxiliary``, the network in training mode returns ``Logits`` as ``inception_v3`` does. The fully connected
    layer of that classifier has no batch normalization (Table 3).

    Differs from the release:
        - The released network, ``inception_v3``, has a 1x1 convolution, a 3x3 one and a pooling where Table 1 has three
          3x3 convolutions, 192 maps before the first module of 35x35, a 5x5 convolution in each of these modules, and
          four modules of 17x17.
        - Of the five modules of 17x17, the second, third and fourth are as wide as the released second.
    """
    head = Head(drop, auxiliary, num_classes, norm=False)
    return build(ConvNorm(), TABLE_1, head, in_channels)


def inception_v3(
    *,
    resolution: Resolution = 299,
    auxiliary: bool = False,
    count_include_pad: bool = False,
    drop: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """Inception-v3: the released network, with batch normalization as its paper has it, with a scale and a shift.

    With ``auxiliary``, the network in training mode returns ``Logits``, for ``archzoo.training._losses.training_loss``,
    and raises InputError for images smaller than 299x299. In eval mode it returns plain logits, as it does without.
    ``archzoo.layers.without_auxiliary`` removes the auxiliary classifier.

    ``resolution`` is the side of images that the first layers are made for (Sec. 9). ``count_include_pad=True`` makes
    the network of torchvision, timm and pytorchcv, whose average poolings count their padding.

    Differs from the release:
        - Batch normalization of the released code has no scale. ``inception_v3_slim`` is the released network.
        - Table 1 of the paper lists another network. ``inception_v2`` is that one.
    """
    layers = ConvNorm(count_include_pad=count_include_pad)
    return build(layers, smaller(resolution), Head(drop, auxiliary, num_classes), in_channels)


def inception_v3_slim(
    *, auxiliary: bool = False, drop: float = 0.2, in_channels: int = 3, num_classes: int = 1000
) -> Net:
    """Inception-v3 as its authors released it in TF-slim: batch normalization has no scale.

    ``auxiliary`` is that of ``inception_v3``.

    Differs from the release:
        - Batch-norm statistics have a momentum of 0.1. Those of the released code have 0.0003, which takes ten thousand
          steps.
        - The release has 1001 classes, of which the first is the background. ``num_classes=1001`` is its number.
    """
    return build(ConvNorm(scale=False), RELEASED, Head(drop, auxiliary, num_classes), in_channels)
