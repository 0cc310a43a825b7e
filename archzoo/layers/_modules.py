"""Convolutions and linear layers without an initialization of their own, and named sequences of modules."""

from torch import nn


class Conv2d(nn.Conv2d):
    """A convolution that draws no weights: ``Net`` initializes it once."""

    def reset_parameters(self) -> None:
        pass


class Linear(nn.Linear):
    """A linear layer that draws no weights: ``Net`` initializes it once."""

    def reset_parameters(self) -> None:
        pass


def sequence(**parts: nn.Module) -> nn.Sequential:
    """Modules in order, each under the paper's name for it."""
    modules = nn.Sequential()
    for name, part in parts.items():
        modules.add_module(name, part)
    return modules


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> Conv2d:
    """3x3 convolution, padding 1, without bias, for use beside batch normalization."""
    return Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> Conv2d:
    """1x1 convolution without bias, for use beside batch normalization."""
    return Conv2d(in_channels, out_channels, 1, stride, bias=False)


def imagenet_stem(in_channels: int, width: int) -> dict[str, nn.Module]:
    """Stem of ResNet and DenseNet for ImageNet: 7x7/2 convolution, batch norm, ReLU, 3x3/2 max pooling."""
    return {
        "conv1": Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(width),
        "relu1": nn.ReLU(inplace=True),
        "pool1": nn.MaxPool2d(3, stride=2, padding=1),
    }


def pooled_classifier(width: int, num_classes: int, drop: float | None = None) -> nn.Sequential:
    """Global average pooling and a linear layer: maps (N, width, H, W) to logits (N, num_classes).

    ``drop`` is the rate of dropout between them.
    """
    dropout: dict[str, nn.Module] = {} if drop is None else {"drop": nn.Dropout(drop)}
    return sequence(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), **dropout, fc=Linear(width, num_classes))
