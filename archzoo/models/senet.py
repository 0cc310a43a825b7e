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
    Branches,
    Conv2d,
    InceptionLayers,
    Linear,
    Net,
    Residual,
    SeparableLayers,
    ShuffleBranch,
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
    shufflenet_classifier,
    shufflenet_stages,
    shufflenet_stem,
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


Pair = tuple[int, int]


def module(n1x1: int, n3x3: Pair, double: Pair, pool: str, projection: int) -> Branches:
    """A module of BN-Inception, with the maps of each 1x1 and 3x3 convolution (its Fig. 5)."""
    return {"1x1": (("1x1", n1x1),), **columns(n3x3, double, ""), "pool": ((pool, 0), ("1x1", projection))}


def halving_module(n3x3: Pair, double: Pair) -> Branches:
    """A module of stride 2, whose pooled maps pass through."""
    return {**columns(n3x3, double, "/2"), "pool": (("max/2", 0),)}


def columns(n3x3: Pair, double: Pair, stride: str) -> Branches:
    """One and two 3x3 convolutions behind a 1x1, the last with the stride."""
    last = f"3x3{stride}"
    return {
        "3x3": (("1x1", n3x3[0]), (last, n3x3[1])),
        "double_3x3": (("1x1", double[0]), ("3x3", double[1]), (last, double[1])),
    }


# BN-Inception as the release has it, in Caffe: a full first convolution, and 128 maps where its Fig. 5 says so.
BN_INCEPTION_STEM: Mapping[str, tuple[str, int]] = {
    "conv1": ("7x7/2", 64),
    "pool1": ("max/2", 0),
    "conv2_reduce": ("1x1", 64),
    "conv2": ("3x3", 192),
    "pool2": ("max/2", 0),
}
BN_INCEPTION: Mapping[str, Branches] = {
    "3a": module(64, (64, 64), (64, 96), "average", 32),
    "3b": module(64, (64, 96), (64, 96), "average", 64),
    "3c": halving_module((128, 160), (64, 96)),
    "4a": module(224, (64, 96), (96, 128), "average", 128),
    "4b": module(192, (96, 128), (96, 128), "average", 128),
    "4c": module(160, (128, 160), (128, 160), "average", 128),
    "4d": module(96, (128, 192), (160, 192), "average", 128),
    "4e": halving_module((128, 192), (192, 256)),
    "5a": module(352, (192, 320), (160, 224), "average", 128),
    "5b": module(352, (192, 320), (192, 224), "max", 128),
}
# 1.0 MobileNet-224: maps and stride of each depthwise separable convolution (its Table 1).
MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
# ShuffleNet 1x with 3 groups: maps and units of stages 2 to 4 (its Table 1).
SHUFFLENET = ((240, 4), (480, 8), (960, 4))


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


def se_bn_inception(*, reduction: int = 16, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """SE-BN-Inception: an SE block scales the maps of each of BN-Inception's ten modules (Fig. 2, Table 2).

    As in the release, convolutions have no bias, and poolings keep incomplete windows and count their padding.
    """
    layers = InceptionLayers(eps=1e-5, count_include_pad=True)
    parts, maps = layers.parts(in_channels, BN_INCEPTION_STEM)
    for name, branches in BN_INCEPTION.items():
        made, maps = layers.module(maps, branches)
        parts[f"inception_{name}"] = sequence(branches=made, se=SqueezeExcitation(maps, reduction))
    return Net(sequence(**parts), pooled_classifier(maps, num_classes), he_normal_fan_in)


def se_mobilenet(*, reduction: int = 16, drop: float = 0.001, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """SE-MobileNet: 1.0 MobileNet-224 with an SE block after each of its 13 separable convolutions (Table 3).

    The paper leaves the place open. The printed parameters are those of blocks behind the pointwise convolutions. They
    read maps behind the ReLU, as in VGG (Sec. 3.3). All else is as in ``mobilenet_v1``.
    """
    probability("drop", drop)
    layers = SeparableLayers()
    parts: dict[str, nn.Module] = {"conv1": layers.conv3x3(in_channels, 32, 2)}
    maps = 32
    for number, (outputs, stride) in enumerate(MOBILENET, 1):
        block = layers.separable(maps, outputs, stride)
        block.add_module("se", SqueezeExcitation(outputs, reduction))
        parts[f"block{number}"] = block
        maps = outputs
    return Net(sequence(**parts), pooled_classifier(maps, num_classes, drop), he_normal_fan_in)


def se_shufflenet(*, reduction: int = 16, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """SE-ShuffleNet: ShuffleNet 1x with 3 groups, with an SE block at the end of each branch (Table 3).

    The paper leaves the place open. It is that of residual networks: after the last batch normalization, before the
    sum, or before the ReLU and the concatenation in a unit of stride 2. All else is as in ``shufflenet_v1``.
    """
    maps, units = zip(*SHUFFLENET, strict=True)
    stages, inputs = shufflenet_stages(ShuffleBranch(3, "paper"), 24, maps, units), 24
    for stage, outputs in zip(stages.values(), maps, strict=True):
        for number, unit in enumerate(stage):
            returned = outputs - inputs if number == 0 else outputs  # by the branch
            unit.get_submodule("branch.expand").add_module("se", SqueezeExcitation(returned, reduction))
        inputs = outputs
    features = sequence(**shufflenet_stem(in_channels, 24), **stages)
    return Net(features, shufflenet_classifier(maps[-1], num_classes), he_normal_fan_in)
