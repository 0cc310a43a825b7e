"""VGG: depth through stacks of 3x3 convolutions.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015 (arXiv 2014).
"""

from typing import Literal

from torch import nn

from archzoo.layers import (
    Conv2d,
    Initialize,
    Linear,
    Net,
    ResponseNorm,
    copy_layers,
    gaussian,
    glorot_uniform,
    sequence,
)

# Table 1: kernel sizes of the convolutions in each stage, column by column.
TABLE_1 = {
    "A": ("3", "3", "33", "33", "33"),
    "A-LRN": ("3", "3", "33", "33", "33"),
    "B": ("33", "33", "33", "33", "33"),
    "C": ("33", "33", "331", "331", "331"),
    "D": ("33", "33", "333", "333", "333"),
    "E": ("33", "33", "3333", "3333", "3333"),
}
WIDTHS = (64, 128, 256, 512, 512)  # maps in each stage
HIDDEN_UNITS = 4096  # of each hidden fully connected layer (Table 1)

# Sec. 3.1: the layers of net A that the deeper nets start from.
FROM_A = (
    *("features.conv1_1", "features.conv2_1", "features.conv3_1", "features.conv3_2"),
    *("classifier.fc6", "classifier.fc7", "classifier.fc8"),
)

# Sec. 3.1: variance 10^-2 for net A; Glorot's rule "without pre-training", for any of them.
INITIALIZE: dict[str, Initialize] = {"gaussian": gaussian(0.1), "glorot": glorot_uniform}


def stage(number: int, inputs: int, width: int, kernels: str, *, norm: bool, batch_norm: bool) -> dict[str, nn.Module]:
    """Convolutions that keep the size of the maps, each followed by a ReLU, then 2x2 max pooling (Sec. 2.1)."""
    parts: dict[str, nn.Module] = {}
    for i, kernel in enumerate(map(int, kernels), 1):
        parts[f"conv{number}_{i}"] = Conv2d(inputs, width, kernel, padding=kernel // 2)
        if batch_norm:
            parts[f"bn{number}_{i}"] = nn.BatchNorm2d(width)
        parts[f"relu{number}_{i}"] = nn.ReLU(inplace=True)
        inputs = width
    if norm:
        parts[f"lrn{number}"] = ResponseNorm()
    parts[f"pool{number}"] = nn.MaxPool2d(2)
    return parts


def classifier(maps: int, num_classes: int) -> nn.Sequential:
    """Three fully connected layers, with dropout after the first two (Sec. 2.1 and 3.1)."""
    return sequence(
        flatten=nn.Flatten(),
        fc6=Linear(maps * 7 * 7, HIDDEN_UNITS),
        relu6=nn.ReLU(inplace=True),
        drop6=nn.Dropout(0.5),
        fc7=Linear(HIDDEN_UNITS, HIDDEN_UNITS),
        relu7=nn.ReLU(inplace=True),
        drop7=nn.Dropout(0.5),
        fc8=Linear(HIDDEN_UNITS, num_classes),
    )


def init_from(net: Net, shallower: Net) -> list[str]:
    """Initialize a deeper network with the first four convolutions and the linear layers of net A (Sec. 3.1).

    Copies them from ``shallower`` into ``net`` and returns their names. Raises TransferError, and copies nothing, if
    one of the networks lacks a layer or the shapes differ.
    """
    copy_layers(net, shallower.state_dict(), FROM_A)
    return list(FROM_A)


def vgg(
    config: Literal["A", "A-LRN", "B", "C", "D", "E"] = "D",
    *,
    batch_norm: bool = False,
    init: Literal["glorot", "gaussian"] = "glorot",
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """The network in one column of Table 1. ``batch_norm`` after every convolution is not in the paper.

    The released models, of nets D and E, have the same layers. They read images in the order blue, green, red.

    Differs from the release:
        - Weights start by Glorot's rule, which the paper found to work later. The nets of the paper start from a
          Gaussian of variance 0.01, ``init="gaussian"``, and those deeper than A also from some layers of net A,
          ``init_from``.
    """
    parts: dict[str, nn.Module] = {}
    inputs = in_channels
    for number, (width, kernels) in enumerate(zip(WIDTHS, TABLE_1[config], strict=True), 1):
        norm = config == "A-LRN" and number == 1
        parts |= stage(number, inputs, width, kernels, norm=norm, batch_norm=batch_norm)
        inputs = width
    return Net(sequence(**parts), classifier(inputs, num_classes), INITIALIZE[init])
