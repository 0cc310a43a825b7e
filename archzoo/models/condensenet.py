"""CondenseNet: the 1x1 convolutions of a DenseNet learn, in training, which inputs each group of their filters reads.

G. Huang, S. Liu, L. van der Maaten, K. Weinberger, "CondenseNet: An Efficient DenseNet using Learned Group
Convolutions", CVPR 2018.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers import (
    ChannelShuffle,
    Conv2d,
    LearnedGroupConv,
    Linear,
    Net,
    PrunableLinear,
    Select,
    at_least,
    conv3x3,
    he_normal_fan_out,
    probability,
    repeats,
    sequence,
)

Form = Literal["test", "training"]

# Layers in each of the five dense blocks for ImageNet. The growth rate doubles from block to block (Sec. 4).
LAYERS = (4, 6, 8, 10, 8)


@dataclass(frozen=True)
class Spec:
    """What all layers of a network have in common (Sec. 3)."""

    g: int  # groups of both convolutions of a layer
    c: int  # condensation factor: each group of a 1x1 convolution reads 1 / c of the inputs in the end
    form: Form
    drop: float = 0.0  # dropout before the 1x1 convolution of each layer, in training

    def __post_init__(self) -> None:
        at_least("g", self.g, 1)
        at_least("c", self.c, 1)
        probability("drop", self.drop)


def bn_relu_conv1x1(inputs: int, outputs: int, spec: Spec, drop: float) -> dict[str, nn.Module]:
    """BN-ReLU-1x1 with learned groups, or index-BN-ReLU-1x1-shuffle with standard ones (Fig. 1).

    Before it has learned any, the group i of the test form reads the share i mod c of the inputs, in their order.
    """
    for number, name, divisor in ((inputs, "c", spec.c), (outputs, "g", spec.g)):
        if number % divisor:
            raise BadOption(f"{name} = {divisor} must divide the maps of every layer, and one has {number}")
    dropout: dict[str, nn.Module] = {"drop1": nn.Dropout(drop)} if drop else {}
    if spec.form == "training":
        layers: dict[str, nn.Module] = {"bn1": nn.BatchNorm2d(inputs), "relu1": nn.ReLU(inplace=True), **dropout}
        return {**layers, "conv1": LearnedGroupConv(inputs, outputs, spec.g, spec.c)}
    shares = torch.arange(inputs).view(spec.c, -1)
    index = torch.cat([shares[group % spec.c] for group in range(spec.g)])
    return {
        "select": Select(index, inputs),
        "bn1": nn.BatchNorm2d(len(index)),
        "relu1": nn.ReLU(inplace=True),
        **dropout,
        "conv1": Conv2d(len(index), outputs, 1, groups=spec.g, bias=False),
        "shuffle": ChannelShuffle(spec.g),
    }


class DenseLayer(nn.Sequential):
    """1x1 to 4k maps with learned groups, then BN-ReLU-3x3 in groups; returns its input and k new maps (Sec. 3)."""

    def __init__(self, inputs: int, k: int, spec: Spec) -> None:
        parts = bn_relu_conv1x1(inputs, 4 * k, spec, spec.drop)
        parts |= {"bn2": nn.BatchNorm2d(4 * k), "relu2": nn.ReLU(inplace=True)}
        if k % spec.g:
            raise BadOption(f"g = {spec.g} must divide the growth rate of every block, and one has {k}")
        parts["conv2"] = Conv2d(4 * k, k, 3, padding=1, groups=spec.g, bias=False)
        super().__init__(OrderedDict(parts))

    def forward(self, maps: Tensor) -> Tensor:
        new = maps
        for layer in self:
            new = layer(new)
        return torch.cat([maps, new], dim=1)


def dense_block(inputs: int, layers: int, k: int, spec: Spec) -> nn.Sequential:
    """Dense layers that turn ``inputs`` maps into ``inputs + layers * k``."""
    block = nn.Sequential()
    for number in range(layers):
        block.add_module(f"denselayer{number + 1}", DenseLayer(inputs + number * k, k, spec))
    return block


def pooling(width: int) -> tuple[nn.Module, int]:
    """2x2 average pooling alone: all maps of earlier blocks are read on (Sec. 3.2)."""
    return sequence(pool=nn.AvgPool2d(2, stride=2)), width


def initialize(layer: nn.Module) -> None:
    """Normal distribution of variance 2 / fan-out of all groups together; the linear layer as in DenseNet (code)."""
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.weight[0, 0].numel() * layer.out_channels)))
    else:
        he_normal_fan_out(layer)


def classifier(width: int, num_classes: int, spec: Spec, share: float) -> nn.Sequential:
    """Global average pooling and a linear layer, which reads a share of the features in the test form (code)."""
    if not 0 < share <= 1 or int(share * width) < 1:
        raise BadOption(f"classifier_share must be more than 0 and at most 1, and keep a feature, not {share}")
    parts: dict[str, nn.Module] = {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    if spec.form == "training":
        return sequence(**parts, fc=PrunableLinear(width, num_classes, share))
    kept = int(share * width)
    if kept < width:
        parts["select"] = Select(torch.arange(width - kept, width), width)
    return sequence(**parts, fc=Linear(kept, num_classes))


def condense_net(
    stem: Conv2d,
    blocks: Sequence[tuple[int, int]],
    spec: Spec,
    share: float,
    num_classes: int,
    transition: Callable[[int], tuple[nn.Module, int]] = pooling,
) -> Net:
    """Dense blocks with transitions between them, a last BN-ReLU, and a classifier on the pooled maps.

    ``blocks`` are the layers and the growth rate of each block. ``transition`` gives the layers behind a block of so
    many maps, and how many they return.
    """
    parts: dict[str, nn.Module] = {"conv1": stem}
    width = stem.out_channels
    for number, (layers, k) in enumerate(blocks, 1):
        parts[f"denseblock{number}"] = dense_block(width, layers, k, spec)
        width += layers * k
        if number < len(blocks):
            parts[f"transition{number}"], width = transition(width)
    parts |= {"bn": nn.BatchNorm2d(width), "relu": nn.ReLU(inplace=True)}
    return Net(sequence(**parts), classifier(width, num_classes, spec, share), initialize)


def condensenet_cifar(
    depth: int = 86,
    k0: int = 8,
    *,
    g: int = 4,
    c: int = 4,
    form: Form = "test",
    classifier_share: float = 1.0,
    drop: float = 0.0,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """CondenseNet of 6n + 2 layers for CIFAR: three blocks of n layers, whose growth rates are k0, 2 k0 and 4 k0.

    ``form="training"`` learns the groups. ``archzoo.inference.condense`` makes the test form of it, which has a share
    1 / ``c`` of its 1x1 weights, and whose classifier reads ``classifier_share`` of the features.

    Differs from the release:
        - The classifier of the test form reads all features, as the networks of the printed tables do. The released
          conversion keeps half of them: ``classifier_share=0.5``.
    """
    n = repeats(depth, 6, 2)
    at_least("k0", k0, 1)
    spec = Spec(g, c, form, drop)
    blocks = [(n, k0 * 2**block) for block in range(3)]
    return condense_net(conv3x3(in_channels, 2 * k0), blocks, spec, classifier_share, num_classes)


def condensenet_light(
    depth: int = 94,
    k: int = 16,
    *,
    g: int = 4,
    c: int = 4,
    theta: float = 0.5,
    form: Form = "test",
    classifier_share: float = 1.0,
    drop: float = 0.0,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """CondenseNet-light of 6n + 4 layers for CIFAR: one growth rate, and learned groups in the transitions too.

    A transition keeps the fraction ``theta`` of the maps, rounded up to the next multiple of ``g`` (DenseNet_LGC of the
    authors' code).

    Differs from the release:
        - The classifier of the test form reads all features, as the networks of the printed tables do. The released
          conversion keeps half of them: ``classifier_share=0.5``.
    """
    n = repeats(depth, 6, 4)
    at_least("k", k, 1)
    if not 0 < theta <= 1:
        raise BadOption(f"theta must be more than 0 and at most 1, not {theta}")
    spec = Spec(g, c, form, drop)

    def transition(width: int) -> tuple[nn.Module, int]:
        kept = math.ceil(math.ceil(theta * width) / g) * g
        return sequence(**bn_relu_conv1x1(width, kept, spec, 0.0), pool=nn.AvgPool2d(2, stride=2)), kept

    blocks = [(n, k)] * 3
    return condense_net(conv3x3(in_channels, 2 * k), blocks, spec, classifier_share, num_classes, transition)


def condensenet(
    g: int = 4,
    c: int = 4,
    *,
    k0: int = 8,
    form: Form = "test",
    classifier_share: float = 0.5,
    drop: float = 0.0,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """CondenseNet-74 for ImageNet: a 3x3/2 convolution to 2 k0 maps, and five blocks (Sec. 4).

    ``form="training"`` learns the groups. ``archzoo.inference.condense`` makes the test form of it, which has a share
    1 / ``c`` of its 1x1 weights, and whose classifier reads ``classifier_share`` of the features.
    """
    at_least("k0", k0, 1)
    blocks = [(layers, k0 * 2**block) for block, layers in enumerate(LAYERS)]
    return condense_net(conv3x3(in_channels, 2 * k0, 2), blocks, Spec(g, c, form, drop), classifier_share, num_classes)
