"""Inception-v4 and Inception-ResNet: Inception modules of one kind at each resolution, and sums around smaller ones.

C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning", AAAI 2017 (arXiv 2016). Figures and sections are those on arXiv.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from archzoo.layers import (
    Branches,
    Classifiers,
    Conv2d,
    InceptionAuxiliary,
    InceptionLayers,
    InceptionLogits,
    Initialize,
    Net,
    Tapped,
    at_least,
    glorot_uniform,
    pooled_classifier,
    probability,
    sequence,
    variance_scaling,
)

# V is without padding, and all others keep the size of the maps. A pooling returns as many maps as it reads.
AVERAGE, MAX = ("average", 0), ("max/2 V", 0)
Parts = Mapping[str, tuple[str, int] | Branches]


def reduction_a(k: int, l: int, m: int, n: int) -> Branches:  # noqa: E741 (the letters of the figure)
    """Reduction-A (Fig. 7)."""
    return {"3x3": (("3x3/2 V", n),), "double_3x3": (("1x1", k), ("3x3", l), ("3x3/2 V", m)), "pool": (MAX,)}


@dataclass(frozen=True)
class Table:
    """The stem of a network, the modules that its three stages repeat, and the two that reduce between the stages."""

    stem: Parts
    a: Branches
    reduction_a: Branches
    b: Branches
    reduction_b: Branches
    c: Branches


FIRST: Mapping[str, tuple[str, int]] = {"conv1": ("3x3/2 V", 32), "conv2": ("3x3 V", 32), "conv3": ("3x3", 64)}
# Fig. 3. Where the figures and the authors' code have the pairs of 1xn and nx1 in another order, it is the code's.
STEM: Parts = {
    **FIRST,
    "mixed_3a": {"pool": (MAX,), "3x3": (("3x3/2 V", 96),)},
    "mixed_4a": {
        "3x3": (("1x1", 64), ("3x3 V", 96)),
        "7x7": (("1x1", 64), ("1x7", 64), ("7x1", 64), ("3x3 V", 96)),
    },
    "mixed_5a": {"3x3": (("3x3/2 V", 192),), "pool": (MAX,)},
}
# Fig. 4 to 8.
INCEPTION_V4 = Table(
    stem=STEM,
    a={
        "1x1": (("1x1", 96),),
        "3x3": (("1x1", 64), ("3x3", 96)),
        "double_3x3": (("1x1", 64), ("3x3", 96), ("3x3", 96)),
        "pool": (AVERAGE, ("1x1", 96)),
    },
    reduction_a=reduction_a(192, 224, 256, 384),
    b={
        "1x1": (("1x1", 384),),
        "7x7": (("1x1", 192), ("1x7", 224), ("7x1", 256)),
        "double_7x7": (("1x1", 192), ("7x1", 192), ("1x7", 224), ("7x1", 224), ("1x7", 256)),
        "pool": (AVERAGE, ("1x1", 128)),
    },
    reduction_b={
        "3x3": (("1x1", 192), ("3x3/2 V", 192)),
        "7x7": (("1x1", 256), ("1x7", 256), ("7x1", 320), ("3x3/2 V", 320)),
        "pool": (MAX,),
    },
    c={
        "1x1": (("1x1", 256),),
        "3x3": (("1x1", 384), ("1x3 | 3x1", 256)),
        "double_3x3": (("1x1", 384), ("3x1", 448), ("1x3", 512), ("1x3 | 3x1", 256)),
        "pool": (AVERAGE, ("1x1", 256)),
    },
)
# Fig. 10 to 14, with the numbers of Table 1.
INCEPTION_RESNET_V1 = Table(
    stem={
        **FIRST,
        "pool": MAX,
        "conv4": ("1x1", 80),
        "conv5": ("3x3 V", 192),
        "conv6": ("3x3/2 V", 256),
    },
    a={
        "1x1": (("1x1", 32),),
        "3x3": (("1x1", 32), ("3x3", 32)),
        "double_3x3": (("1x1", 32), ("3x3", 32), ("3x3", 32)),
    },
    reduction_a=reduction_a(192, 192, 256, 384),
    b={"1x1": (("1x1", 128),), "7x7": (("1x1", 128), ("1x7", 128), ("7x1", 128))},
    reduction_b={
        "3x3": (("1x1", 256), ("3x3/2 V", 384)),
        "narrow_3x3": (("1x1", 256), ("3x3/2 V", 256)),
        "double_3x3": (("1x1", 256), ("3x3", 256), ("3x3/2 V", 256)),
        "pool": (MAX,),
    },
    c={"1x1": (("1x1", 192),), "3x3": (("1x1", 192), ("1x3", 192), ("3x1", 192))},
)
# Fig. 3 and 16 to 19.
INCEPTION_RESNET_V2 = Table(
    stem=STEM,
    a={
        "1x1": (("1x1", 32),),
        "3x3": (("1x1", 32), ("3x3", 32)),
        "double_3x3": (("1x1", 32), ("3x3", 48), ("3x3", 64)),
    },
    reduction_a=reduction_a(256, 256, 384, 384),
    b={"1x1": (("1x1", 192),), "7x7": (("1x1", 128), ("1x7", 160), ("7x1", 192))},
    reduction_b={
        "3x3": (("1x1", 256), ("3x3/2 V", 384)),
        "narrow_3x3": (("1x1", 256), ("3x3/2 V", 288)),
        "double_3x3": (("1x1", 256), ("3x3", 288), ("3x3/2 V", 320)),
        "pool": (MAX,),
    },
    c={"1x1": (("1x1", 192),), "3x3": (("1x1", 192), ("1x3", 224), ("3x1", 256))},
)
# The authors' inception_resnet_v2.py: the stem of Inception-v3, and a module before the first stage.
RELEASED_STEM: Parts = {
    **FIRST,
    "pool1": MAX,
    "conv4": ("1x1", 80),
    "conv5": ("3x3 V", 192),
    "pool2": MAX,
    "mixed_5b": {
        "1x1": (("1x1", 96),),
        "5x5": (("1x1", 48), ("5x5", 64)),
        "double_3x3": (("1x1", 64), ("3x3", 96), ("3x3", 96)),
        "pool": (AVERAGE, ("1x1", 64)),
    },
}
# Modules of each stage: Fig. 9 and 15, and the authors' code.
BLOCKS: dict[str, tuple[int, int, int]] = {
    "inception_v4": (4, 7, 3),
    "inception_resnet_v1": (5, 10, 5),
    "inception_resnet_v2": (5, 10, 5),
    "inception_resnet_v2_released": (10, 20, 10),
}
Scales = tuple[float, float, float]


def initialize_v4(layer: nn.Module) -> None:
    """Convolutions as in the authors' code, which leaves the linear layer to Glorot's uniform distribution."""
    if isinstance(layer, nn.Conv2d):
        variance_scaling(layer)
    else:
        glorot_uniform(layer)


class ScaledResidual(nn.Module):
    """x + scale * F(x), then an activation (Fig. 20)."""

    def __init__(self, layers: nn.Sequential, scale: float, activation: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.scale = scale
        self.activation = activation

    def forward(self, maps: Tensor) -> Tensor:
        residual: Tensor = self.layers(maps)
        out: Tensor = self.activation(maps + self.scale * residual)
        return out

    def extra_repr(self) -> str:
        return f"scale={self.scale:g}"


def residual(
    layers: InceptionLayers, inputs: int, branches: Branches, scale: float, activation: nn.Module | None = None
) -> ScaledResidual:
    """Branches, and a 1x1 convolution to the maps that they read, with a bias and nothing after it (Fig. 10)."""
    module, maps = layers.module(inputs, branches)
    linear = sequence(branches=module, linear=Conv2d(maps, inputs, 1))
    return ScaledResidual(linear, scale, nn.ReLU(inplace=True) if activation is None else activation)


def features(
    layers: InceptionLayers, inputs: int, table: Table, blocks: tuple[int, int, int], scales: Scales | None = None
) -> tuple[dict[str, nn.Module], tuple[int, ...]]:
    """The stem, three stages of so many modules, and the reductions between them; and the maps that each stage returns.

    With ``scales``, one for each stage, the modules are residual.
    """
    parts, maps = layers.parts(inputs, table.stem)
    returned = []
    stages = (("a", table.a, table.reduction_a), ("b", table.b, table.reduction_b), ("c", table.c, None))
    for place, (letter, branches, reduction) in enumerate(stages):
        stage = nn.Sequential()
        for number in range(1, blocks[place] + 1):
            block: nn.Module
            if scales:
                block = residual(layers, maps, branches, scales[place])
            else:
                block, maps = layers.module(maps, branches)
            stage.add_module(f"block{number}", block)
        parts[f"inception_{letter}"] = stage
        returned.append(maps)
        if reduction:
            parts[f"reduction_{letter}"], maps = layers.module(maps, reduction)
    return parts, tuple(returned)


def inception_layers(bn_scale: bool, bn_eps: float) -> InceptionLayers:
    """The layers of a network. Raises BadOption for an epsilon below 0."""
    at_least("bn_eps", bn_eps, 0)
    return InceptionLayers(bn_eps, bn_scale)


def network(
    parts: dict[str, nn.Module],
    classifier: nn.Sequential,
    initialize: Initialize = glorot_uniform,
    auxiliary: InceptionAuxiliary | None = None,
) -> Net:
    """The features and the classifier, and an auxiliary classifier behind the second stage (authors' code).

    Convolutions and the linear layer of residual networks have Glorot's uniform distribution, as in the code.
    """
    if auxiliary is None:
        return Net(sequence(**parts), classifier, initialize)
    classifiers = Classifiers(dict(classifier.named_children()), {"aux_b": auxiliary}, InceptionLogits)
    return Net(Tapped(parts, ("inception_b",)), classifiers, initialize)


def classifier_of(maps: int, drop: float, num_classes: int) -> nn.Sequential:
    """Global average pooling, dropout and a linear layer (Fig. 9 and 15)."""
    probability("drop", drop)
    return pooled_classifier(maps, num_classes, drop)


def inception_v4(
    *,
    auxiliary: bool = False,
    bn_scale: bool = False,
    bn_eps: float = 0.001,
    drop: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """Inception-v4: four, seven and three modules without shortcuts (Fig. 9).

    Batch normalization has no scale, as in the released code. ``bn_scale=True`` makes the network of timm and
    pytorchcv. ``drop`` is the dropout before the linear layer, in training.

    With ``auxiliary``, an auxiliary classifier reads the maps of the second stage, as in the released code. In training
    mode the network then returns ``InceptionLogits``, and raises InputError for images smaller than 299x299. In eval
    mode it returns plain logits, as it does without. ``archzoo.layers.without_auxiliary`` removes the classifier.

    Differs from the release:
        - The released code trains with an auxiliary classifier. The paper has none: ``auxiliary=True`` adds it.
        - Batch-norm statistics have a momentum of 0.1. Those of the released code have 0.0003, which takes ten thousand
          steps.
        - The release has 1001 classes, of which the first is the background. ``num_classes=1001`` is its number.
    """
    layers = inception_layers(bn_scale, bn_eps)
    parts, (_, tapped, last) = features(layers, in_channels, INCEPTION_V4, BLOCKS["inception_v4"])
    head = InceptionAuxiliary(tapped, layers, num_classes) if auxiliary else None
    return network(parts, classifier_of(last, drop, num_classes), initialize_v4, head)


def inception_resnet_v1(
    *,
    residual_scales: Scales = (0.17, 0.1, 0.2),
    bn_scale: bool = False,
    bn_eps: float = 0.001,
    drop: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """Inception-ResNet-v1, about as costly as Inception-v3 (Fig. 10 to 15). Its authors released no code of it.

    ``residual_scales`` are the factors of the residuals, stage by stage. The paper has some from 0.1 to 0.3 (Sec. 3.3);
    these are those of the code of Inception-ResNet-v2.
    """
    layers = inception_layers(bn_scale, bn_eps)
    blocks = BLOCKS["inception_resnet_v1"]
    parts, (*_, last) = features(layers, in_channels, INCEPTION_RESNET_V1, blocks, residual_scales)
    return network(parts, classifier_of(last, drop, num_classes))


def inception_resnet_v2(
    *,
    residual_scales: Scales = (0.17, 0.1, 0.2),
    bn_scale: bool = False,
    bn_eps: float = 0.001,
    drop: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """Inception-ResNet-v2 as the paper draws it, with the stem of Inception-v4 (Fig. 3, 15 to 19).

    Of the released network, ``inception_resnet_v2_released``, it has the modules, and neither their number nor the
    stem. A sum needs as many maps on both sides: 1152 and 2144, where Fig. 17 and 19 print 1154 and 2048.
    ``residual_scales`` are the factors of the residuals, stage by stage: those of the code, where the paper has some
    from 0.1 to 0.3 (Sec. 3.3).
    """
    layers = inception_layers(bn_scale, bn_eps)
    blocks = BLOCKS["inception_resnet_v2"]
    parts, (*_, last) = features(layers, in_channels, INCEPTION_RESNET_V2, blocks, residual_scales)
    return network(parts, classifier_of(last, drop, num_classes))


def inception_resnet_v2_released(
    *,
    auxiliary: bool = False,
    residual_scales: Scales = (0.17, 0.1, 0.2),
    bn_scale: bool = False,
    bn_eps: float = 0.001,
    drop: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """Inception-ResNet-v2 as its authors released it: another stem than the paper's, and twice as many modules.

    The last module has a factor of 1 and no ReLU after the sum. A 1x1 convolution to 1536 maps follows.
    ``bn_scale=True`` makes the network of timm and pytorchcv. ``residual_scales`` are the factors of all other
    residuals, stage by stage. ``auxiliary`` is that of ``inception_v4``.

    Differs from the release:
        - The released code trains with an auxiliary classifier. The paper has none: ``auxiliary=True`` adds it.
        - Batch-norm statistics have a momentum of 0.1. Those of the released code have 0.0003, which takes ten thousand
          steps.
        - The release has 1001 classes, of which the first is the background. ``num_classes=1001`` is its number.
    """
    layers = inception_layers(bn_scale, bn_eps)
    table = replace(INCEPTION_RESNET_V2, stem=RELEASED_STEM)
    a, b, c = BLOCKS["inception_resnet_v2_released"]
    parts, (_, tapped, maps) = features(layers, in_channels, table, (a, b, c - 1), residual_scales)
    parts["inception_c"].add_module(f"block{c}", residual(layers, maps, table.c, 1.0, nn.Identity()))
    parts["conv"] = layers.conv(maps, "1x1", 1536)
    head = InceptionAuxiliary(tapped, layers, num_classes) if auxiliary else None
    return network(parts, classifier_of(1536, drop, num_classes), auxiliary=head)
