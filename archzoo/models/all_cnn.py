"""All-CNN: convolutions alone, whose strides take the place of max pooling.

J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for Simplicity: The All Convolutional Net",
ICLR 2015 workshop track (arXiv 2014).
"""

from collections.abc import Callable
from typing import Literal

from torch import nn

from archzoo.layers import Conv2d, Net, sequence, xavier_fan_in

Config = Literal["A", "B", "C"]
# Table 1: the kernels of the convolutions before each subsampling, of 96 maps in the first stage and 192 in the second.
TABLE_1: dict[str, tuple[int, ...]] = {"A": (5,), "B": (5, 1), "C": (3, 3)}
WIDTHS = (96, 192)
# The ImageNet table of the appendix: maps, kernel and stride of the first convolution of each stage.
IMAGENET = ((96, 11, 4), (256, 5, 1), (384, 3, 1))


def conv_relu(
    name: str, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int | None = None
) -> dict[str, nn.Module]:
    """A convolution with a bias and a ReLU, padded to keep the size of the maps at stride 1 (Table 1)."""
    conv = Conv2d(inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding)
    return {f"conv{name}": conv, f"relu{name}": nn.ReLU(inplace=True)}


def pooling(stage: int, maps: int) -> dict[str, nn.Module]:
    """3x3/2 max pooling: 32, 16, 8, as the 6x6 maps at the end ask for (Table 1)."""
    return {f"pool{stage}": nn.MaxPool2d(3, stride=2, ceil_mode=True)}


def convolution_and_pooling(stage: int, maps: int) -> dict[str, nn.Module]:
    """A 3x3 convolution of as many maps before the pooling (Sec. 3.1, ConvPool-CNN)."""
    return conv_relu(f"{stage}_pool", maps, maps, 3) | pooling(stage, maps)


def strided_convolution(stage: int, maps: int) -> dict[str, nn.Module]:
    """A 3x3/2 convolution of as many maps in place of the pooling (Sec. 3.1, All-CNN)."""
    return conv_relu(f"{stage}_down", maps, maps, 3, stride=2)


def nothing(stage: int, maps: int) -> dict[str, nn.Module]:
    """No layer in place of the pooling: the convolution before it has the stride (Sec. 3.1, Strided-CNN)."""
    return {}


def cifar_net(
    config: Config,
    subsampling: Callable[[int, int], dict[str, nn.Module]],
    in_channels: int,
    num_classes: int,
    *,
    last_stride: int = 1,
) -> Net:
    """A network of Tables 1 and 2: two stages with ``subsampling``, then 3x3, 1x1 and 1x1 convolutions.

    The last convolution of a stage has the stride ``last_stride``. Dropout is on the image, and after the pooling or
    what stands for it (Sec. 3.2.1). The 3x3 convolution of the last stage is not padded: it returns the 6x6 maps that
    Table 1 averages.
    """
    parts: dict[str, nn.Module] = {"drop0": nn.Dropout(0.2)}
    kernels, inputs = TABLE_1[config], in_channels
    for stage, width in enumerate(WIDTHS, 1):
        for i, kernel in enumerate(kernels, 1):
            stride = last_stride if i == len(kernels) else 1
            parts |= conv_relu(f"{stage}_{i}", inputs, width, kernel, stride)
            inputs = width
        parts |= subsampling(stage, width)
        parts[f"drop{stage}"] = nn.Dropout(0.5)
    parts |= conv_relu("3_1", inputs, inputs, 3, padding=0) | conv_relu("3_2", inputs, inputs, 1)
    return Net(sequence(**parts), averaged(conv_relu("3_3", inputs, num_classes, 1)), xavier_fan_in)


def averaged(last: dict[str, nn.Module]) -> nn.Sequential:
    """The last 1x1 convolution, with a map for each class, and global average pooling to logits (Table 1)."""
    return sequence(**last, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())


def all_cnn(config: Config = "C", *, in_channels: int = 3, num_classes: int = 10) -> Net:
    """All-CNN-A, -B or -C: each max pooling is a 3x3/2 convolution (Table 2).

    The authors released no code, and the paper states no initialization. This is Caffe's "xavier", with which a
    replication of All-CNN-C trains (github.com/mateuszbuda/ALL-CNN).
    """
    return cifar_net(config, strided_convolution, in_channels, num_classes)


def all_cnn_base(config: Config = "C", *, in_channels: int = 3, num_classes: int = 10) -> Net:
    """The base models A, B and C, with 3x3/2 max pooling (Table 1)."""
    return cifar_net(config, pooling, in_channels, num_classes)


def conv_pool_cnn(config: Config = "C", *, in_channels: int = 3, num_classes: int = 10) -> Net:
    """ConvPool-CNN-A, -B or -C: a 3x3 convolution precedes each max pooling; All-CNN's parameters (Table 2)."""
    return cifar_net(config, convolution_and_pooling, in_channels, num_classes)


def strided_cnn(config: Config = "C", *, in_channels: int = 3, num_classes: int = 10) -> Net:
    """Strided-CNN-A, -B or -C: no pooling, and stride 2 in the convolution that preceded it (Table 2).

    In B that is a 1x1 convolution, which reads one position in four.
    """
    return cifar_net(config, nothing, in_channels, num_classes, last_stride=2)


def all_cnn_imagenet(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """All-CNN-B for ImageNet: twelve convolutions, the strided ones not padded (appendix).

    The paper prints no padding. 227x227 images and no padding of the strided layers give the 6x6 maps that it averages.
    """
    parts: dict[str, nn.Module] = {}
    inputs = in_channels
    for stage, (width, kernel, stride) in enumerate(IMAGENET, 1):
        padding = 0 if stride > 1 else kernel // 2
        parts |= conv_relu(f"{stage}_1", inputs, width, kernel, stride, padding)
        parts |= conv_relu(f"{stage}_2", width, width, 1)
        parts |= conv_relu(f"{stage}_down", width, width, 3, stride=2, padding=0)
        inputs = width
    parts["drop"] = nn.Dropout(0.5)
    parts |= conv_relu("4_1", inputs, 1024, 3) | conv_relu("4_2", 1024, 1024, 1)
    return Net(sequence(**parts), averaged(conv_relu("4_3", 1024, num_classes, 1)), xavier_fan_in)
