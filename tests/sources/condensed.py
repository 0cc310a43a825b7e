"""CondenseNets of other sources after conversion, written anew from their published structure, with their names."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.sources.residual import pooled


class Normed(nn.Module):
    """Batch normalization, ReLU and a grouped convolution, under the names that a source gives them.

    With an index, maps are selected first, and shuffled behind the convolution: output k of group i comes to k g + i.
    """

    def __init__(self, norm: str, read: int, outputs: int, side: int, groups: int, index: bool = False) -> None:
        super().__init__()
        self.norm_name, self.groups, self.selects = norm, groups, index
        if index:
            self.register_buffer("index", torch.zeros(read, dtype=torch.long))
        self.add_module(norm, nn.BatchNorm2d(read))
        self.conv = nn.Conv2d(read, outputs, side, padding=side // 2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, self.get_buffer("index")] if self.selects else x
        x = self.conv(self.get_submodule(self.norm_name)(x).relu())
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2) if self.selects else x


class Layer(nn.Module):
    """1x1 and 3x3, and the maps that they add."""

    def __init__(self, names: tuple[str, str], norm: str, inputs: int, k: int, groups: int) -> None:
        super().__init__()
        self.names = names
        self.add_module(names[0], Normed(norm, inputs, 4 * k, 1, groups, index=True))
        self.add_module(names[1], Normed(norm, 4 * k, k, 3, groups))

    def forward(self, x: Tensor) -> Tensor:
        first, second = map(self.get_submodule, self.names)
        return torch.cat((x, second(first(x))), 1)


class Classifier(nn.Module):
    """A linear layer on half of the features."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("index", torch.zeros(features // 2, dtype=torch.long))
        self.linear = nn.Linear(features // 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x[:, self.get_buffer("index")])


class PytorchcvCondenseNet(nn.Module):
    """CondenseNet-74 for ImageNet."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.features = nn.Module()
        self.features.init_block = nn.Module()
        self.features.init_block.conv = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        width = 16
        for number, (layers, k) in enumerate(zip((4, 6, 8, 10, 8), (8, 16, 32, 64, 128), strict=True), 1):
            stage = nn.Sequential()
            for unit in range(1, layers + 1):
                stage.add_module(f"unit{unit}", Layer(("conv1", "conv2"), "bn", width, k, groups))
                width += k
            self.features.add_module(f"stage{number}", stage)
        self.features.post_activ = nn.Module()
        self.features.post_activ.bn = nn.BatchNorm2d(width)
        self.output = Classifier(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features.get_submodule("init_block.conv")(x)
        for number in range(1, 6):
            x = F.avg_pool2d(x, 2) if number > 1 else x
            x = self.features.get_submodule(f"stage{number}")(x)
        return self.output(pooled(self.features.get_submodule("post_activ.bn")(x).relu()))


class ReleasedCondenseNet(nn.Module):
    """The authors', converted; with ``theta``, transitions have a 1x1 convolution."""

    def __init__(
        self,
        layers: Sequence[int] = (4, 6, 8, 10, 8),
        growth: Sequence[int] = (8, 16, 32, 64, 128),
        classes: int = 1000,
        stride: int = 2,
        theta: float = 0,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        width = 2 * growth[0]
        self.features.add_module("init_conv", nn.Conv2d(3, width, 3, stride, 1, bias=False))
        for number, (count, k) in enumerate(zip(layers, growth, strict=True), 1):
            block = nn.Sequential()
            for layer in range(1, count + 1):
                block.add_module(f"denselayer_{layer}", Layer(("conv_1", "conv_2"), "norm", width, k, 4))
                width += k
            self.features.add_module(f"denseblock_{number}", block)
            if number < len(layers):
                kept = 4 * math.ceil(math.ceil(width * theta) / 4) if theta else width
                transition = nn.Sequential()
                if theta:
                    transition.add_module("conv", Normed("norm", width, kept, 1, 4, index=True))
                transition.add_module("pool", nn.AvgPool2d(2))
                self.features.add_module(f"transition_{number}", transition)
                width = kept
        self.features.add_module("norm_last", nn.BatchNorm2d(width))
        self.classifier = Classifier(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(pooled(self.features(x).relu()))


def released_for_cifar(n: int) -> ReleasedCondenseNet:
    """CondenseNet of n layers a block, k0 = 8."""
    return ReleasedCondenseNet((n, n, n), (8, 16, 32), 10, stride=1)


def released_light(n: int) -> ReleasedCondenseNet:
    """DenseNet_LGC of n layers a block, k = 8."""
    return ReleasedCondenseNet((n, n, n), (8, 8, 8), 10, stride=1, theta=0.5)
