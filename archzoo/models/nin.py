"""Network in Network: a small network slides over the image in place of a linear filter, and each class has a map.

M. Lin, Q. Chen, S. Yan, "Network In Network", ICLR 2014 (arXiv 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from archzoo.layers import Conv2d, Net, gaussian, sequence


@dataclass(frozen=True)
class MLPConv:
    """An mlpconv layer: the maps of a convolution and of the 1x1 convolutions that follow it (Sec. 3.1)."""

    kernel: int
    widths: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    drop: float = 0.0  # after the max pooling that follows


# The paper prints no widths. These are the author's released definitions; the last 1x1 layer has a map for each class.
CIFAR_10 = (
    MLPConv(5, (192, 160, 96), padding=2, drop=0.5),
    MLPConv(5, (192, 192, 192), padding=2, drop=0.5),
    MLPConv(3, (192, 192), padding=1),
)
IMAGENET = (
    MLPConv(11, (96, 96, 96), stride=4),
    MLPConv(5, (256, 256, 256), padding=2),
    MLPConv(3, (384, 384, 384), padding=1, drop=0.5),
    MLPConv(3, (1024, 1024), padding=1),
)


def mlpconv(number: int, inputs: int, spec: MLPConv) -> dict[str, nn.Module]:
    """A convolution and 1x1 convolutions, each with a ReLU: a perceptron at every position (Sec. 3.1)."""
    conv = Conv2d(inputs, spec.widths[0], spec.kernel, spec.stride, spec.padding)
    parts: dict[str, nn.Module] = {f"conv{number}": conv, f"relu_conv{number}": nn.ReLU(inplace=True)}
    for i in range(1, len(spec.widths)):
        parts |= cccp(2 * number - 2 + i, spec.widths[i - 1], spec.widths[i])
    return parts


def cccp(number: int, inputs: int, outputs: int) -> dict[str, nn.Module]:
    """Cascaded cross channel parametric pooling: a 1x1 convolution and a ReLU (Sec. 3.1)."""
    return {f"cccp{number}": Conv2d(inputs, outputs, 1), f"relu_cccp{number}": nn.ReLU(inplace=True)}


def features(specs: Sequence[MLPConv], in_channels: int) -> nn.Sequential:
    """Mlpconv layers with 3x3/2 max pooling and dropout between them (Sec. 4.1)."""
    parts: dict[str, nn.Module] = {}
    inputs = in_channels
    for number, spec in enumerate(specs, 1):
        parts |= mlpconv(number, inputs, spec)
        inputs = spec.widths[-1]
        if number < len(specs):
            parts[f"pool{number}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if spec.drop:
            parts[f"drop{number}"] = nn.Dropout(spec.drop)
    return sequence(**parts)


def classifier(specs: Sequence[MLPConv], num_classes: int) -> nn.Sequential:
    """The last 1x1 layer, with a map for each class, and global average pooling to logits (Sec. 3.2)."""
    last = cccp(2 * len(specs), specs[-1].widths[-1], num_classes)
    return sequence(**last, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())


def nin(*, in_channels: int = 3, num_classes: int = 10) -> Net:
    """Three mlpconv layers for CIFAR-10, with the widths that the author released (Sec. 4.1)."""
    return Net(features(CIFAR_10, in_channels), classifier(CIFAR_10, num_classes), gaussian(0.05))


def nin_imagenet(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """Four mlpconv layers for ImageNet: not in the paper, but released by its author."""
    body, head = features(IMAGENET, in_channels), classifier(IMAGENET, num_classes)
    narrow = {body.get_submodule("conv1"), body.get_submodule("conv3"), head.get_submodule("cccp8")}

    def initialize(layer: nn.Module) -> None:
        gaussian(0.01 if layer in narrow else 0.05)(layer)

    return Net(body, head, initialize)
