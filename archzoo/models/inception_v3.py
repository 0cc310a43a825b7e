"""Inception-v2 and Inception-v3: large convolutions become several small ones, or pairs of 1xn and nx1.

C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for Computer Vision",
CVPR 2016 (arXiv 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from archzoo.layers import (
    Branches,
    Classifiers,
    InceptionAuxiliary,
    InceptionLayers,
    InceptionLogits,
    Initialize,
    Net,
    Tapped,
    pooled_classifier,
    probability,
    sequence,
    truncated_gaussian,
    variance_scaling,
)

# V is without padding, and all others keep the size of the maps. A pooling returns as many maps as it reads.
AVERAGE, MAX = ("average", 0), ("max/2 V", 0)
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
FIRST: Mapping[str, tuple[str, int]] = {
    "conv_1a": ("3x3/2 V", 32),
    "conv_2a": ("3x3 V", 32),
    "conv_2b": ("3x3", 64),
    "pool_3a": MAX,
}
Table = Mapping[str, tuple[str, int] | Branches]
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


def build(layers: InceptionLayers, table: Table, head: Head, in_channels: int) -> Net:
    """The layers of a table, global average pooling, dropout and a linear layer (Table 1)."""
    probability("drop", head.drop)
    names = list(table)
    before, after = names[: names.index("mixed_7a")], names[names.index("mixed_7a") :]
    parts, tapped = layers.parts(in_channels, {name: table[name] for name in before})
    last, maps = layers.parts(tapped, {name: table[name] for name in after})
    tap = before[-1]
    parts |= last
    classifier = pooled_classifier(maps, head.num_classes, head.drop)
    if not head.auxiliary:
        return Net(sequence(**parts), classifier, released_initialization(None))
    auxiliary = InceptionAuxiliary(tapped, layers, head.num_classes, norm=head.norm)
    named = {f"aux_{tap.removeprefix('mixed_')}": auxiliary}
    return Net(
        Tapped(parts, (tap,)),
        Classifiers(dict(classifier.named_children()), named, InceptionLogits),
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

    With ``auxiliary``, the network in training mode returns ``InceptionLogits`` as ``inception_v3`` does. The fully
    connected layer of that classifier has no batch normalization (Table 3).

    Differs from the release:
        - The released network, ``inception_v3``, has a 1x1 convolution, a 3x3 one and a pooling where Table 1 has three
          3x3 convolutions, 192 maps before the first module of 35x35, a 5x5 convolution in each of these modules, and
          four modules of 17x17.
        - Of the five modules of 17x17, the second, third and fourth are as wide as the released second.
    """
    head = Head(drop, auxiliary, num_classes, norm=False)
    return build(InceptionLayers(), TABLE_1, head, in_channels)


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

    With ``auxiliary``, the network in training mode returns ``InceptionLogits``, for
    ``archzoo.training._losses.training_loss``, and raises InputError for images smaller than 299x299. In eval mode it
    returns plain logits, as it does without. ``archzoo.layers.without_auxiliary`` removes the auxiliary classifier.

    ``resolution`` is the side of images that the first layers are made for (Sec. 9). ``count_include_pad=True`` makes
    the network of torchvision, timm and pytorchcv, whose average poolings count their padding.

    Differs from the release:
        - Batch normalization of the released code has no scale. ``inception_v3_slim`` is the released network.
        - Table 1 of the paper lists another network. ``inception_v2`` is that one.
    """
    layers = InceptionLayers(count_include_pad=count_include_pad)
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
    return build(InceptionLayers(scale=False), RELEASED, Head(drop, auxiliary, num_classes), in_channels)
