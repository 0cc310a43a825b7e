"""ResNeXt: the 3x3 convolution of a bottleneck becomes C transformations side by side, each d maps wide.

S. Xie, R. Girshick, P. Dollar, Z. Tu, K. He, "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017
(arXiv 2016).
"""

from math import sqrt
from typing import Literal

from torch import nn

from archzoo.layers import (
    Aggregated,
    Net,
    at_least,
    conv3x3,
    he_normal_fan_out,
    imagenet_stem,
    pooled_classifier,
    repeats,
    sequence,
    stages,
)

# Table 1: blocks in conv2 to conv5.
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def released_initialization(layer: nn.Module) -> None:
    """Normal weights of variance 2 / (k^2 n) for k x k convolutions to n maps, of all groups together (authors' code).

    Linear layers have torch's uniform distribution, and biases of zero.
    """
    he_normal_fan_out(layer)
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        nn.init.normal_(layer.weight, std=sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels)))


def aggregated(cardinality: int, base_width: int) -> Aggregated:
    """The block of these options. Raises BadOption for fewer than one group, or groups of less than one map."""
    at_least("cardinality", cardinality, 1)
    at_least("base_width", base_width, 1)
    return Aggregated(cardinality, base_width)


def resnext(
    depth: Literal[50, 101] = 50,
    cardinality: int = 32,
    base_width: int = 4,
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """ResNeXt-``depth`` (C x d) for ImageNet: ``cardinality`` C and ``base_width`` d (Table 1).

    With a cardinality of 1 and a base width of 64 it is ResNet with the stride in the 3x3.
    """
    block = aggregated(cardinality, base_width)
    parts = imagenet_stem(in_channels, 64) | stages(block, 64, (64, 128, 256, 512), BLOCKS[depth])
    return Net(sequence(**parts), pooled_classifier(2048, num_classes), released_initialization)


def resnext_cifar(
    depth: int = 29, cardinality: int = 8, base_width: int = 64, *, in_channels: int = 3, num_classes: int = 10
) -> Net:
    """ResNeXt of 9n + 2 layers for CIFAR: three stages of n blocks, C groups of d, 2d and 4d maps (Sec. 5.3)."""
    block = aggregated(cardinality, base_width)
    parts: dict[str, nn.Module] = {
        "conv1": conv3x3(in_channels, 64),
        "bn1": nn.BatchNorm2d(64),
        "relu1": nn.ReLU(inplace=True),
    }
    parts |= stages(block, 64, (64, 128, 256), (repeats(depth, 9, 2),) * 3)
    return Net(sequence(**parts), pooled_classifier(1024, num_classes), released_initialization)
