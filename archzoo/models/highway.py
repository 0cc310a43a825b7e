"""Highway networks: gates decide how much of its input a layer transforms, and how much it carries over unchanged.

R. K. Srivastava, K. Greff, J. Schmidhuber, "Training Very Deep Networks", NIPS 2015 (arXiv 2015); at first "Highway
Networks", ICML 2015 Deep Learning workshop.
"""

import torch
from torch import Tensor, nn

from archzoo.layers import Conv2d, Linear, Net, at_least, gaussian, he_normal_fan_in, sequence

# The released definitions: maps and highway layers of each stage, after a plain convolution that changes the width.
CIFAR = ((32, 4), (80, 5), (128, 5))
# Of MNIST's three stages, whose width is one; only the first begins with a plain convolution.
MNIST = (2, 3, 3)


class Gate(Conv2d):
    """The convolution of a gate. Its biases start negative, so that a layer carries at first (Sec. 2.2)."""

    def __init__(self, maps: int, first_bias: float) -> None:
        super().__init__(maps, maps, 3, padding=1)
        self.first_bias = first_bias


class Highway(nn.Module):
    """y = H(x) T(x) + x (1 - T(x)): H is a convolution with a ReLU, the gate T one with a sigmoid (Eq. 3).

    Maps (N, C, H, W) stay of that shape. The carry gate is 1 - T and has no parameters (Sec. 2).
    """

    def __init__(self, maps: int, gate_bias: float) -> None:
        super().__init__()
        self.transform = Conv2d(maps, maps, 3, padding=1)
        self.gate = Gate(maps, gate_bias)

    def forward(self, maps: Tensor) -> Tensor:
        transform = torch.sigmoid(self.gate(maps))
        return torch.relu(self.transform(maps)) * transform + maps * (1 - transform)


def highway_layers(stage: int, first: int, layers: int, maps: int, gate_bias: float) -> dict[str, nn.Module]:
    """Highway layers of one stage, numbered from ``first``."""
    return {f"conv{stage}_{number}": Highway(maps, gate_bias) for number in range(first, first + layers)}


def released_initialization(layer: nn.Module) -> None:
    """Normal weights of variance 2 / fan-in, biases zero, those of gates negative (Sec. 2.2, released definitions).

    The released Caffe calls this filler "xavier".
    """
    he_normal_fan_in(layer)
    if isinstance(layer, Gate) and layer.bias is not None:
        nn.init.constant_(layer.bias, layer.first_bias)


def cifar_initialization(layer: nn.Module) -> None:
    """As elsewhere, but the last layer of ten classes has a deviation of 0.05 (released definitions)."""
    released_initialization(layer)
    if isinstance(layer, Linear) and layer.out_features == 10:
        gaussian(0.05)(layer)


def mnist_initialization(layer: nn.Module) -> None:
    """As elsewhere, but the last layer has a deviation of 0.1 (released definition)."""
    released_initialization(layer)
    if isinstance(layer, Linear):
        gaussian(0.1)(layer)


def plain_conv(name: str, inputs: int, outputs: int, kernel: int, padding: int) -> dict[str, nn.Module]:
    """A convolution with a ReLU, which may change the width of the maps where a highway layer cannot (Sec. 2)."""
    return {name: Conv2d(inputs, outputs, kernel, padding=padding), f"{name}_relu": nn.ReLU(inplace=True)}


def highway_cifar(*, in_channels: int = 3, num_classes: int = 10) -> Net:
    """The 19 layers of Tables 2 and 3: 5, 6 and 6 convolutions of 32, 80 and 128 maps, a 1x1 one, a linear layer.

    Differs from the release:
        - The first convolution starts as the others do. The released definition asks for a Gaussian and gives its
          deviation under a name that Caffe does not read, so that it is 1.
    """
    parts: dict[str, nn.Module] = {"drop0": nn.Dropout(0.2)}
    inputs = in_channels
    for stage, (width, layers) in enumerate(CIFAR, 1):
        parts |= plain_conv(f"conv{stage}_1", inputs, width, 3, padding=1)
        parts |= highway_layers(stage, 2, layers, width, gate_bias=-2.0)
        if stage < len(CIFAR):
            parts |= {f"pool{stage}": nn.MaxPool2d(2), f"drop{stage}": nn.Dropout(0.2)}
        inputs = width
    parts |= plain_conv("conv4", inputs, 100, 1, padding=0)
    head = sequence(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), drop3=nn.Dropout(0.2), fc=Linear(100, num_classes)
    )
    return Net(sequence(**parts), head, cifar_initialization)


def highway_mnist(width: int = 32, *, in_channels: int = 1, num_classes: int = 10) -> Net:
    """The 10 layers of Table 1: a 5x5 convolution, 2, 3 and 3 highway layers of ``width`` maps, and a linear layer."""
    at_least("width", width, 1)
    parts: dict[str, nn.Module] = {"drop0": nn.Dropout(0.2)}
    parts |= plain_conv("conv1_1", in_channels, width, 5, padding=0)
    for stage, (layers, pool, drop) in enumerate(zip(MNIST, (3, 3, 2), (0.3, 0.4, 0.5), strict=True), 1):
        parts |= highway_layers(stage, 2 if stage == 1 else 1, layers, width, gate_bias=-1.0)
        parts[f"pool{stage}"] = nn.MaxPool2d(pool, stride=2, ceil_mode=True)
        parts[f"drop{stage}"] = nn.Dropout(drop)
    head = sequence(flatten=nn.Flatten(), fc=Linear(9 * width, num_classes))
    return Net(sequence(**parts), head, mnist_initialization)
