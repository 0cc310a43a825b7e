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
CIFAR = (
    MLPConv(5, (192, 160, 96), padding=2, drop=0.5),
    MLPConv(5, (192, 192, 192), padding=2, drop=0.5),
    MLPConv(3, (192, 192), padding=1),
)
SVHN = (
    MLPConv(5, (128, 96, 64), padding=2, drop=0.5),
    MLPConv(5, (320, 256, 128), padding=2, drop=0.5),
    MLPConv(5, (384, 256), padding=2),
)
MNIST = (
    MLPConv(5, (96, 64, 48), padding=2, drop=0.5),
    MLPConv(5, (128, 96, 48), padding=2, drop=0.5),
    MLPConv(5, (128, 96), padding=2),
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


def nin_net(specs: Sequence[MLPConv], in_channels: int, num_classes: int, **deviations: float) -> Net:
    """A network with Gaussian weights of standard deviation 0.05, or ``deviations`` by layer; biases zero (release)."""
    body, head = features(specs, in_channels), classifier(specs, num_classes)
    names = {layer: name for part in (body, head) for name, layer in part.named_children()}

    def initialize(layer: nn.Module) -> None:
        gaussian(deviations.get(names.get(layer, ""), 0.05))(layer)

    return Net(body, head, initialize)


def nin(*, in_channels: int = 3, num_classes: int = 10) -> Net:
    """Three mlpconv layers for CIFAR-10, with the widths that the author released (Sec. 4.2)."""
    return nin_net(CIFAR, in_channels, num_classes)


def nin_cifar100(*, in_channels: int = 3, num_classes: int = 100) -> Net:
    """The network for CIFAR-10 with 100 classes; its first three layers start smaller (Sec. 4.3, release)."""
    return nin_net(CIFAR, in_channels, num_classes, conv1=0.001, cccp1=0.01, cccp2=0.01)


def nin_svhn(*, in_channels: int = 3, num_classes: int = 10) -> Net:
    """Three mlpconv layers for SVHN, wider at the end, with the widths that the author released (Sec. 4.4)."""
    return nin_net(SVHN, in_channels, num_classes)


def nin_mnist(*, in_channels: int = 1, num_classes: int = 10) -> Net:
    """Three mlpconv layers for MNIST, narrower, with the widths that the author released (Sec. 4.5)."""
    return nin_net(MNIST, in_channels, num_classes)


def nin_imagenet(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """Four mlpconv layers for ImageNet: not in the paper, but released by its author."""
    return nin_net(IMAGENET, in_channels, num_classes, conv1=0.01, conv3=0.01, cccp8=0.01)
