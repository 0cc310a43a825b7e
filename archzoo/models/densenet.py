"""DenseNet: within a block, every layer reads the maps of all layers before it.

G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, "Densely Connected Convolutional Networks", CVPR 2017.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from archzoo.claims import Paper, depth, flops, params, ratio, sizes
from archzoo.layers import (
    Net,
    at_least,
    conv1x1,
    conv3x3,
    he_normal_fan_out,
    imagenet_stem,
    pooled_classifier,
    probability,
    repeats,
    sequence,
)
from archzoo.layers.memory_efficient import DenseBlock, Transition
from archzoo.registry import preset, quote, register, unaudited

PAPER = Paper(
    "Densely Connected Convolutional Networks",
    "G. Huang, Z. Liu, L. van der Maaten, K. Weinberger",
    2017,
    "https://arxiv.org/abs/1608.06993",
)

TECH_REPORT = Paper(
    "Memory-Efficient Implementation of DenseNets",
    "G. Pleiss, D. Chen, G. Huang, T. Li, L. van der Maaten, K. Weinberger",
    2017,
    "https://arxiv.org/abs/1707.06990",
)

# Table 1: dense layers in each of the four blocks. All are DenseNet-BC; 161 is the authors' release, with k = 48.
TABLE_1 = {
    121: (6, 12, 24, 16),
    161: (6, 12, 36, 24),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}


@dataclass(frozen=True)
class Spec:
    """What distinguishes DenseNet, DenseNet-B, DenseNet-C and DenseNet-BC (Sec. 3)."""

    k: int  # growth rate: maps that each layer adds
    bottleneck: bool = False  # B: a 1x1 convolution to 4k maps before each 3x3
    theta: float = 1.0  # C: the share of maps that a transition keeps
    drop: float = 0.0  # dropout after every convolution but the first
    memory_efficient: bool = False  # in training, concatenations are made again instead of kept

    def __post_init__(self) -> None:
        at_least("k", self.k, 1)
        probability("drop", self.drop)
        if not 0 < self.theta <= 1:
            raise ValueError(f"theta must be more than 0 and at most 1, not {self.theta}")


class DenseLayer(nn.Sequential):
    """BN-ReLU-conv3x3, or BN-ReLU-conv1x1-BN-ReLU-conv3x3; its k new maps join those it read (Eq. 2)."""

    def __init__(self, inputs: int, spec: Spec) -> None:
        super().__init__()
        if spec.bottleneck:
            add_bn_relu_conv(self, 1, inputs, 4 * spec.k, 1, spec.drop)
            add_bn_relu_conv(self, 2, 4 * spec.k, spec.k, 3, spec.drop)
        else:
            add_bn_relu_conv(self, 1, inputs, spec.k, 3, spec.drop)

    def forward(self, maps: Tensor) -> Tensor:
        new = maps
        for layer in self:
            new = layer(new)
        return torch.cat([maps, new], dim=1)


def add_bn_relu_conv(layer: nn.Sequential, n: int, inputs: int, outputs: int, kernel: int, drop: float) -> None:
    """Append the n-th BN-ReLU-conv to a layer, with dropout after it where there is any."""
    layer.add_module(f"bn{n}", nn.BatchNorm2d(inputs))
    layer.add_module(f"relu{n}", nn.ReLU(inplace=True))
    layer.add_module(f"conv{n}", conv3x3(inputs, outputs) if kernel == 3 else conv1x1(inputs, outputs))
    if drop:
        layer.add_module(f"drop{n}", nn.Dropout(drop))


def dense_block(inputs: int, layers: int, spec: Spec) -> nn.Sequential:
    """So many dense layers, from ``inputs`` to ``inputs + layers * k`` maps."""
    block = DenseBlock() if spec.memory_efficient else nn.Sequential()
    for i in range(layers):
        block.add_module(f"denselayer{i + 1}", DenseLayer(inputs + i * spec.k, spec))
    return block


def transition(inputs: int, outputs: int, spec: Spec) -> nn.Sequential:
    """BN-ReLU-conv1x1, then 2x2 average pooling (Sec. 3; the ReLU is in the authors' code)."""
    layer = Transition() if spec.memory_efficient else nn.Sequential()
    add_bn_relu_conv(layer, 1, inputs, outputs, 1, spec.drop)
    layer.add_module("pool", nn.AvgPool2d(2, stride=2))
    return layer


def dense_net(stem: dict[str, nn.Module], width: int, blocks: tuple[int, ...], spec: Spec, num_classes: int) -> Net:
    """Dense blocks with a transition between any two, a last BN-ReLU, and a classifier on the pooled maps."""
    parts = dict(stem)
    for number, layers in enumerate(blocks, 1):
        parts[f"denseblock{number}"] = dense_block(width, layers, spec)
        width += layers * spec.k
        if number < len(blocks):
            kept = int(spec.theta * width)
            at_least("theta times the maps of a block", kept, 1)
            parts[f"transition{number}"] = transition(width, kept, spec)
            width = kept
    parts |= {"bn": nn.BatchNorm2d(width), "relu": nn.ReLU(inplace=True)}
    return Net(sequence(**parts), pooled_classifier(width, num_classes), he_normal_fan_out)


def cifar_net(spec: Spec, depth: int, in_channels: int, num_classes: int) -> Net:
    """Three blocks of equal depth after a 3x3 convolution to 16 maps, or to 2k with bottlenecks and compression."""
    layers = repeats(depth, 6 if spec.bottleneck else 3, 4)
    width = 2 * spec.k if spec.bottleneck and spec.theta < 1 else 16
    return dense_net({"conv1": conv3x3(in_channels, width)}, width, (layers,) * 3, spec, num_classes)


@register(
    PAPER,
    params("1.0M", "Table 2"),
    depth("40", "Table 2"),
    sizes("32-16-8", "Sec. 3"),
    input_size=(3, 32, 32),
    aliases=("densenet_40_12",),
)
def densenet(
    depth: int = 40,
    k: int = 12,
    *,
    drop: float = 0.0,
    memory_efficient: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """The plain DenseNet: no bottlenecks, no compression (Sec. 3)."""
    return cifar_net(Spec(k, drop=drop, memory_efficient=memory_efficient), depth, in_channels, num_classes)


@register(PAPER, input_size=(3, 32, 32))
def densenet_b(
    depth: int = 100,
    k: int = 12,
    *,
    drop: float = 0.0,
    memory_efficient: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """Bottlenecks of 4k maps (Sec. 3)."""
    spec = Spec(k, bottleneck=True, drop=drop, memory_efficient=memory_efficient)
    return cifar_net(spec, depth, in_channels, num_classes)


@register(PAPER, input_size=(3, 32, 32))
def densenet_c(
    depth: int = 40,
    k: int = 12,
    *,
    theta: float = 0.5,
    drop: float = 0.0,
    memory_efficient: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """Compression: a transition keeps the share theta of the maps (Sec. 3)."""
    spec = Spec(k, theta=theta, drop=drop, memory_efficient=memory_efficient)
    return cifar_net(spec, depth, in_channels, num_classes)


@register(
    PAPER,
    params("0.8M", "Table 2"),
    depth("100", "Table 2"),
    sizes("32-16-8", "Sec. 3"),
    ratio(
        "90% fewer",
        "Sec. 4.3",
        of="params",
        to="preact_resnet1001",
        ours="93% fewer",
        why="a round number: 0.77M to 10.33M is 92.6% fewer, and the printed 0.8M to 10.2M is 92.2%",
    ),
    input_size=(3, 32, 32),
    aliases=("densenet_bc_100_12",),
)
def densenet_bc(
    depth: int = 100,
    k: int = 12,
    *,
    theta: float = 0.5,
    drop: float = 0.0,
    memory_efficient: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """Bottlenecks of 4k maps, and compression theta at the transitions (Sec. 3)."""
    spec = Spec(k, bottleneck=True, theta=theta, drop=drop, memory_efficient=memory_efficient)
    return cifar_net(spec, depth, in_channels, num_classes)


@register(PAPER, input_size=(3, 224, 224))
def densenet_imagenet(
    depth: Literal[121, 161, 169, 201, 264] = 121,
    k: int = 32,
    *,
    theta: float = 0.5,
    drop: float = 0.0,
    memory_efficient: bool = False,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """DenseNet-BC with four blocks, after a 7x7/2 convolution to 2k maps and 3x3/2 max pooling (Table 1)."""
    spec = Spec(k, bottleneck=True, theta=theta, drop=drop, memory_efficient=memory_efficient)
    return dense_net(imagenet_stem(in_channels, 2 * k), 2 * k, TABLE_1[depth], spec, num_classes)


preset("densenet_100_12", densenet, params("7.0M", "Table 2"), depth("100", "Table 2"), depth=100, k=12)
preset(
    "densenet_100_24",
    densenet,
    params("27.2M", "Table 2"),
    depth("100", "Table 2"),
    ratio("4x", "Sec. 4.3", of="params", to="densenet_100_12"),
    depth=100,
    k=24,
)
preset("densenet_bc_250_24", densenet_bc, params("15.3M", "Table 2"), depth("250", "Table 2"), depth=250, k=24)
preset("densenet_bc_190_40", densenet_bc, params("25.6M", "Table 2"), depth("190", "Table 2"), depth=190, k=40)
# "Wide DenseNet" rows of the authors' release.
preset("densenet_bc_40_36", densenet_bc, params("1.5M", "official README"), depth=40, k=36)
preset("densenet_bc_40_48", densenet_bc, params("2.7M", "official README"), depth=40, k=48)
preset("densenet_bc_40_60", densenet_bc, params("4.3M", "official README"), depth=40, k=60)

MAPS = sizes("112-56-28-14-7", "Table 1")
preset("densenet121", densenet_imagenet, depth("121", "Table 1"), MAPS, depth=121)
preset("densenet161", densenet_imagenet, depth("161", "official README"), MAPS, depth=161, k=48)
preset("densenet169", densenet_imagenet, depth("169", "Table 1"), MAPS, depth=169)
preset("densenet201", densenet_imagenet, params("20M", "Sec. 4.4"), depth("201", "Table 1"), MAPS, depth=201)
preset(
    "densenet264",
    densenet_imagenet,
    depth(
        "264",
        "Table 1",
        ours="265",
        why="its blocks 6, 12, 64, 48 have 2 x 130 convolutions; with stem, 3 transitions and classifier that is 265, "
        "by the rule that gives the names of 121, 161, 169 and 201",
    ),
    MAPS,
    depth=264,
)

quote(TECH_REPORT, "densenet264", params("73M", "abstract", options={"k": 48}))
quote(
    TECH_REPORT,
    "densenet201",
    flops("80B", "Sec. 1", ours="8.6B", why="ten times too large: at two operations a multiply-add it is 8.6 billion"),
)
# The competitors of Table 2, and two comparisons of Sec. 4.
ROW_OF_1001 = "taken over from Wide ResNet's Table 5: the size of pre-activation ResNet-1001; this net has 19.4M"
quote(PAPER, "fractalnet20", params("38.6M", "Table 2", ours="33.7M", why="quoted from FractalNet; see there"))
quote(PAPER, "fractalnet20", depth("21", "Table 2"))
quote(PAPER, "resnet110", params("1.7M", "Table 2"))
quote(PAPER, "stochastic_depth_110", params("1.7M", "Table 2"))
quote(PAPER, "stochastic_depth_1202", params("10.2M", "Table 2", ours="19.4M", why=ROW_OF_1001))
quote(PAPER, "wide_resnet_16_8", params("11.0M", "Table 2"))
quote(PAPER, "wide_resnet_28_10", params("36.5M", "Table 2"))
quote(PAPER, "wide_resnet_16_4", params("2.7M", "Table 2"))
quote(PAPER, "preact_resnet164", params("1.7M", "Table 2"))
quote(PAPER, "preact_resnet1001", params("10.2M", "Table 2", counting="without batch norm"))
quote(PAPER, "resnet101", params("more than 40M", "Sec. 4.4"), ratio("twice", "Sec. 4.4", of="macs", to="resnet50"))
unaudited(PAPER, "parameters and FLOPs against error", "Fig. 3", "a plot without printed numbers")
