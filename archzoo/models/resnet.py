"""ResNet: layers learn residuals, which shortcuts add to their input.

K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 2015).
"""

from typing import Literal

from torch import nn

from archzoo.layers import (
    Basic,
    Bottleneck,
    Net,
    Shortcut,
    conv3x3,
    he_normal_fan_out,
    imagenet_stem,
    padded,
    pooled_classifier,
    projected,
    projection,
    repeats,
    sequence,
    stages,
)

# Table 1: blocks in conv2_x to conv5_x. Up to 34 layers they are two 3x3 convolutions, from 50 on bottlenecks.
TABLE_1 = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}

Option = Literal["A", "B", "C"]


def always_projected(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Option C: a projection on every shortcut (Sec. 4.1)."""
    return projection(inputs, outputs, stride)


SHORTCUTS: dict[Option, Shortcut] = {"A": padded, "B": projected, "C": always_projected}


Block = Basic | Bottleneck


def imagenet_net(block: Block, blocks: tuple[int, ...], in_channels: int, num_classes: int) -> Net:
    """A 7x7/2 convolution, 3x3/2 max pooling, four stages, average pooling and one linear layer (Table 1)."""
    parts = imagenet_stem(in_channels, 64) | stages(block, 64, (64, 128, 256, 512), blocks)
    return Net(sequence(**parts), pooled_classifier(512 * block.expansion, num_classes), he_normal_fan_out)


def cifar_net(block: Block, depth: int, in_channels: int, num_classes: int) -> Net:
    """A 3x3 convolution, then three stages of n blocks with 16, 32 and 64 maps: 6n + 2 layers (Sec. 4.2)."""
    stem: dict[str, nn.Module] = {
        "conv1": conv3x3(in_channels, 16),
        "bn1": nn.BatchNorm2d(16),
        "relu1": nn.ReLU(inplace=True),
    }
    parts = stem | stages(block, 16, (16, 32, 64), (repeats(depth, 6, 2),) * 3)
    return Net(sequence(**parts), pooled_classifier(64, num_classes), he_normal_fan_out)


def published_option(depth: int) -> Option:
    """Option A for networks of basic blocks (Table 2), B for networks of bottlenecks (Sec. 4.1)."""
    return "A" if depth < 50 else "B"


def resnet(
    depth: Literal[18, 34, 50, 101, 152] = 50,
    *,
    option: Option | None = None,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """ResNet for ImageNet. By default, shortcuts are option A up to 34 layers and option B from 50 on (Table 1).

    The authors released the networks of 50, 101 and 152 layers, without code that trains them.

    Differs from the release:
        - The first pooling is padded by one pixel on every side, as in fb.resnet.torch and torchvision. The released
          one is not padded and keeps the incomplete windows at the right and lower edge. Both return 56x56 maps.
        - The first convolution of ResNet-50 has no bias. The released one has one of 64 numbers, which the batch
          normalization after it cancels.
    """
    shortcut = SHORTCUTS[option or published_option(depth)]
    block = Basic(shortcut) if depth < 50 else Bottleneck(shortcut)
    return imagenet_net(block, TABLE_1[depth], in_channels, num_classes)


def resnet_v1_5(
    depth: Literal[50, 101, 152] = 50, *, option: Option = "B", in_channels: int = 3, num_classes: int = 1000
) -> Net:
    """Not in the paper: ResNet with the stride of a bottleneck in its 3x3 convolution, as in fb.resnet.torch."""
    block = Bottleneck(SHORTCUTS[option], stride_in_3x3=True)
    return imagenet_net(block, TABLE_1[depth], in_channels, num_classes)


def plain(depth: Literal[18, 34] = 34, *, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """ResNet for ImageNet without shortcuts (Sec. 3.3)."""
    return imagenet_net(Basic(None), TABLE_1[depth], in_channels, num_classes)


def resnet_cifar(depth: int = 20, *, option: Option = "A", in_channels: int = 3, num_classes: int = 10) -> Net:
    """ResNet of 6n + 2 layers for CIFAR-10, with option A shortcuts (Sec. 4.2)."""
    return cifar_net(Basic(SHORTCUTS[option]), depth, in_channels, num_classes)


def plain_cifar(depth: int = 20, *, in_channels: int = 3, num_classes: int = 10) -> Net:
    """ResNet for CIFAR-10 without shortcuts (Sec. 4.2)."""
    return cifar_net(Basic(None), depth, in_channels, num_classes)
