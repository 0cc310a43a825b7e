"""SENet: a residual branch ends in a block that scales each of its maps by a number that all of them determine.

J. Hu, L. Shen, S. Albanie, G. Sun, E. Wu, "Squeeze-and-Excitation Networks", CVPR 2018 (arXiv 2017), extended in TPAMI
2020. Sections, tables and figures are those of the extended paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from archzoo.errors import BadOption
from archzoo.layers import (
    Aggregated,
    Bottleneck,
    Conv2d,
    Linear,
    Net,
    Residual,
    SqueezeExcitation,
    at_least,
    conv1x1,
    conv3x3,
    he_normal_fan_in,
    imagenet_stem,
    pooled_classifier,
    probability,
    projected,
    sequence,
    stages,
)

# Table 1, and ResNet for the depths that it lacks: blocks in conv2 to conv5. SENet-154 has those of 152 layers.
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)
STAGES = dict(zip(WIDTHS, (2, 3, 4, 5), strict=True))

Make = Callable[[], nn.Module]
Excite = Callable[[int], nn.Module]  # (maps)
Squeeze = Literal["average", "max", "none"]
Gate = Literal["sigmoid", "tanh", "relu"]
Place = Literal["standard", "pre", "post", "identity", "3x3"]
Pool = Literal["ceil", "padded"]

SQUEEZES: dict[Squeeze, Make] = {
    "average": partial(nn.AdaptiveAvgPool2d, 1),
    "max": partial(nn.AdaptiveMaxPool2d, 1),
    "none": nn.Identity,
}
GATES: dict[Gate, Make] = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
# Caffe's is not padded and keeps the incomplete windows at the right and lower edge. Both return half the side.
POOLS: dict[Pool, Make] = {
    "ceil": partial(nn.MaxPool2d, 3, stride=2, ceil_mode=True),
    "padded": partial(nn.MaxPool2d, 3, stride=2, padding=1),
}


@dataclass(frozen=True)
class Excitation:
    """Makes the SE block of so many maps, with what Tables 10 to 12 and 16 vary in it."""

    reduction: int = 16
    squeeze: Squeeze = "average"
    gate: Gate = "sigmoid"
    bias: bool = True

    def __call__(self, channels: int) -> SqueezeExcitation:
        squeeze, gate = SQUEEZES[self.squeeze](), GATES[self.gate]()
        return SqueezeExcitation(channels, self.reduction, squeeze=squeeze, gate=gate, bias=self.bias)


def at_the_end(block: Residual, excite: Excite, inputs: int, outputs: int) -> nn.Module:
    """The standard block: SE is the last layer of the branch, before the sum (Fig. 3)."""
    block.layers.add_module("se", excite(outputs))
    return block


def before_the_branch(block: Residual, excite: Excite, inputs: int, outputs: int) -> nn.Module:
    """SE-PRE: SE is the first layer of the branch (Fig. 5)."""
    block.layers = sequence(se=excite(inputs), **dict(block.layers.named_children()))
    return block


def after_the_block(block: Residual, excite: Excite, inputs: int, outputs: int) -> nn.Module:
    """SE-POST: SE scales what the block returns, after the sum and its ReLU (Fig. 5)."""
    return sequence(residual=block, se=excite(outputs))


def on_the_shortcut(block: Residual, excite: Excite, inputs: int, outputs: int) -> nn.Module:
    """SE-Identity: SE is the last layer of the shortcut, beside the branch (Fig. 5)."""
    assert block.shortcut is not None
    block.shortcut = sequence(**dict(block.shortcut.named_children()), se=excite(outputs))
    return block


def after_the_3x3(block: Residual, excite: Excite, inputs: int, outputs: int) -> nn.Module:
    """SE_3x3: SE follows the 3x3 convolution and its batch normalization (Table 15)."""
    layers = sequence()
    for name, layer in block.layers.named_children():
        layers.add_module(name, layer)
        if name == "bn2" and isinstance(layer, nn.BatchNorm2d):
            layers.add_module("se", excite(layer.num_features))
    block.layers = layers
    return block


PLACES: Mapping[Place, Callable[[Residual, Excite, int, int], nn.Module]] = {
    "standard": at_the_end,
    "pre": before_the_branch,
    "post": after_the_block,
    "identity": on_the_shortcut,
    "3x3": after_the_3x3,
}


@dataclass(frozen=True)
class Narrowed:
    """The block of SENet-154: 1x1 to 2w maps, 3x3 in 64 groups to 4w, and 1x1 to 4w, the stride in the 3x3.

    In ResNeXt 64x4d the first 1x1 has 4w maps. A shortcut that strides is a 3x3 convolution (Appendix).
    """

    groups: int = 64
    expansion: int = 4

    def __call__(self, inputs: int, width: int, stride: int) -> Residual:
        inner, outputs = 2 * width, self.expansion * width
        layers = sequence(
            conv1=conv1x1(inputs, inner),
            bn1=nn.BatchNorm2d(inner),
            relu1=nn.ReLU(inplace=True),
            conv2=Conv2d(inner, outputs, 3, stride, padding=1, groups=self.groups, bias=False),
            bn2=nn.BatchNorm2d(outputs),
            relu2=nn.ReLU(inplace=True),
            conv3=conv1x1(outputs, outputs),
            bn3=nn.BatchNorm2d(outputs),
        )
        if stride == 1:
            return Residual(layers, projected(inputs, outputs, stride))
        return Residual(layers, sequence(conv=conv3x3(inputs, outputs, stride), bn=nn.BatchNorm2d(outputs)))


@dataclass(frozen=True)
class Excited:
    """A residual block with SE at some place, in the stages named; the others are as they were."""

    block: Bottleneck | Aggregated | Narrowed
    excite: Excite
    place: Place = "standard"
    stages: tuple[int, ...] = (2, 3, 4, 5)

    @property
    def expansion(self) -> int:
        return self.block.expansion

    def __call__(self, in_channels: int, width: int, stride: int, /) -> nn.Module:
        block = self.block(in_channels, width, stride)
        if STAGES[width] not in self.stages:
            return block
        return PLACES[self.place](block, self.excite, in_channels, self.expansion * width)


def excited_net(stem: dict[str, nn.Module], width: int, block: Excited, depth: int, classifier: nn.Module) -> Net:
    """A stem of ``width`` maps, four stages of blocks as in ResNet of this depth, and a classifier (Table 1)."""
    parts = stem | stages(block, width, WIDTHS, BLOCKS[depth])
    return Net(sequence(**parts), classifier, he_normal_fan_in)


def stem_7x7(in_channels: int, pool: Pool) -> dict[str, nn.Module]:
    """ResNet's stem: a 7x7/2 convolution and 3x3/2 max pooling."""
    return imagenet_stem(in_channels, 64) | {"pool1": POOLS[pool]()}


def stem_3x3(in_channels: int, pool: Pool) -> dict[str, nn.Module]:
    """The stem of SENet-154: three 3x3 convolutions in the place of the 7x7, the first with its stride (Appendix)."""
    parts: dict[str, nn.Module] = {}
    for number, (inputs, outputs, stride) in enumerate(((in_channels, 64, 2), (64, 64, 1), (64, 128, 1)), 1):
        parts[f"conv1_{number}"] = conv3x3(inputs, outputs, stride)
        parts[f"bn1_{number}"] = nn.BatchNorm2d(outputs)
        parts[f"relu1_{number}"] = nn.ReLU(inplace=True)
    return parts | {"pool1": POOLS[pool]()}


def se_resnet(
    depth: Literal[50, 101, 152] = 50,
    reduction: int = 16,
    *,
    squeeze: Squeeze = "average",
    gate: Gate = "sigmoid",
    bias: bool = True,
    place: Place = "standard",
    se_stages: tuple[int, ...] = (2, 3, 4, 5),
    pool: Pool = "ceil",
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """SE-ResNet-``depth``: ResNet with SE blocks, the stride in the first 1x1 and on the projection (Table 1).

    The ablations have ``bias=False`` and vary the rest: ``squeeze`` (Table 11, and "none" for NoSqueeze of Table 16),
    ``gate`` (Table 12), ``se_stages``, the stages that have SE blocks (Table 13), and ``place`` (Tables 14 and 15). In
    the place "3x3" SE follows the batch normalization, which the paper leaves open. ``pool`` is Caffe's pooling of the
    release, or one padded on every side, as in ResNets for PyTorch.
    """
    if not set(se_stages) <= set(STAGES.values()):
        raise BadOption(f"se_stages must be stages from 2 to 5, not {', '.join(map(str, se_stages))}")
    excite = Excitation(reduction, squeeze, gate, bias)
    block = Excited(Bottleneck(projected), excite, place, tuple(se_stages))
    return excited_net(stem_7x7(in_channels, pool), 64, block, depth, pooled_classifier(2048, num_classes))


def se_resnext(
    depth: Literal[50, 101] = 50,
    cardinality: int = 32,
    base_width: int = 4,
    *,
    reduction: int = 16,
    pool: Pool = "ceil",
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """SE-ResNeXt-``depth`` (C x d): ResNeXt with SE blocks, the stride in the 3x3 and on the projection (Table 1)."""
    at_least("cardinality", cardinality, 1)
    at_least("base_width", base_width, 1)
    block = Excited(Aggregated(cardinality, base_width), Excitation(reduction))
    return excited_net(stem_7x7(in_channels, pool), 64, block, depth, pooled_classifier(2048, num_classes))


def senet154(
    *, reduction: int = 16, drop: float = 0.2, pool: Pool = "ceil", in_channels: int = 3, num_classes: int = 1000
) -> Net:
    """SENet-154, from the entry to ILSVRC 2017: a modified ResNeXt-152 (64 x 4d) with SE blocks (Appendix).

    ``drop`` is the dropout before the linear layer, in training.
    """
    probability("drop", drop)
    block = Excited(Narrowed(), Excitation(reduction))
    classifier = sequence(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(drop), fc=Linear(2048, num_classes)
    )
    return excited_net(stem_3x3(in_channels, pool), 128, block, 152, classifier)
