"""DenseNet: within a block, each layer reads the maps of all layers before it.

G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, "Densely Connected Convolutional Networks", CVPR 2017.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from archzoo.errors import BadOption
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

# Table 1: layers in each of the four dense blocks. 161 is not in the paper, but in the authors' release, with k = 48.
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
    theta: float = 1.0  # C: the fraction of maps that a transition keeps
    drop: float = 0.0  # dropout after every convolution but the first
    memory_efficient: bool = False  # in training, recompute concatenations in the backward pass

    def __post_init__(self) -> None:
        at_least("k", self.k, 1)
        probability("drop", self.drop)
        if not 0 < self.theta <= 1:
            raise BadOption(f"theta must be more than 0 and at most 1, not {self.theta}")


class DenseLayer(nn.Sequential):
    """BN-ReLU-conv3x3, or BN-ReLU-conv1x1-BN-ReLU-conv3x3; returns its input and k new maps (Eq. 2)."""

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
    """Append the n-th BN-ReLU-conv to a layer, and dropout if ``drop`` is not 0 (Sec. 3)."""
    layer.add_module(f"bn{n}", nn.BatchNorm2d(inputs))
    layer.add_module(f"relu{n}", nn.ReLU(inplace=True))
    layer.add_module(f"conv{n}", conv3x3(inputs, outputs) if kernel == 3 else conv1x1(inputs, outputs))
    if drop:
        layer.add_module(f"drop{n}", nn.Dropout(drop))


def dense_block(inputs: int, layers: int, spec: Spec) -> nn.Sequential:
    """Dense layers that turn ``inputs`` maps into ``inputs + layers * k`` (Sec. 3)."""
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
    """Dense blocks with transitions between them, a last BN-ReLU, and a classifier on the pooled maps (Sec. 3)."""
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
    """A 3x3 convolution to 16 maps, or to 2k for DenseNet-BC, and three blocks of equal depth (Sec. 3)."""
    layers = repeats(depth, 6 if spec.bottleneck else 3, 4)
    width = 2 * spec.k if spec.bottleneck and spec.theta < 1 else 16
    return dense_net({"conv1": conv3x3(in_channels, width)}, width, (layers,) * 3, spec, num_classes)


def densenet(
    depth: int = 40,
    k: int = 12,
    *,
    drop: float = 0.0,
    memory_efficient: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """DenseNet without bottlenecks and compression (Sec. 3).

    Differs from the release:
        - The first convolution has 16 maps, as in the paper. The released code gives it 2k in every DenseNet.
        - The released code makes each drop of the learning rate on CIFAR one epoch before the one that the paper names.
    """
    return cifar_net(Spec(k, drop=drop, memory_efficient=memory_efficient), depth, in_channels, num_classes)


def densenet_b(
    depth: int = 100,
    k: int = 12,
    *,
    drop: float = 0.0,
    memory_efficient: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """DenseNet-B: bottlenecks of 4k maps (Sec. 3).

    Differs from the release:
        - The first convolution has 16 maps, as in the paper. The released code gives it 2k in every DenseNet.
    """
    spec = Spec(k, bottleneck=True, drop=drop, memory_efficient=memory_efficient)
    return cifar_net(spec, depth, in_channels, num_classes)


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
    """DenseNet-C: transitions keep the fraction theta of the maps (Sec. 3).

    Differs from the release:
        - The first convolution has 16 maps, as in the paper. The released code gives it 2k in every DenseNet.
    """
    spec = Spec(k, theta=theta, drop=drop, memory_efficient=memory_efficient)
    return cifar_net(spec, depth, in_channels, num_classes)


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
    """DenseNet-BC: bottlenecks of 4k maps, and transitions that keep the fraction theta of the maps (Sec. 3).

    Differs from the release:
        - The released code makes each drop of the learning rate on CIFAR one epoch before the one that the paper names.
    """
    spec = Spec(k, bottleneck=True, theta=theta, drop=drop, memory_efficient=memory_efficient)
    return cifar_net(spec, depth, in_channels, num_classes)


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
    """DenseNet-BC for ImageNet: a 7x7/2 convolution to 2k maps, 3x3/2 max pooling, four blocks (Table 1)."""
    spec = Spec(k, bottleneck=True, theta=theta, drop=drop, memory_efficient=memory_efficient)
    return dense_net(imagenet_stem(in_channels, 2 * k), 2 * k, TABLE_1[depth], spec, num_classes)
