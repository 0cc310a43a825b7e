"""pytorchcv's VGG, SqueezeNet and ShuffleNet V2, and OpenMMLab's VGG-16, written anew with their names of parts."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def called(**parts: nn.Module) -> nn.Sequential:
    """Parts in order, under these names."""
    sequence = nn.Sequential()
    for name, part in parts.items():
        sequence.add_module(name, part)
    return sequence


class ConvBN(nn.Module):
    """A convolution, batch normalization where it is wanted, and a ReLU unless it is linear."""

    def __init__(self, convolution: nn.Conv2d, *, bn: bool, linear: bool = False) -> None:
        super().__init__()
        self.conv = convolution
        if bn:
            self.bn = nn.BatchNorm2d(convolution.out_channels)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.bn(x) if hasattr(self, "bn") else x
        return x if self.linear else x.relu()


class VGG(nn.Module):
    """VGG-11 with convolutions of few maps, so that the test is quick: ``widths`` are those of its five stages."""

    def __init__(self, *, bn: bool) -> None:
        super().__init__()
        self.features = nn.Sequential()
        inputs = 3
        for i, (width, count) in enumerate(zip((64, 128, 256, 512, 512), (1, 1, 2, 2, 2), strict=True), 1):
            units = nn.Sequential()
            for unit in range(1, count + 1):
                units.add_module(f"unit{unit}", ConvBN(nn.Conv2d(inputs, width, 3, padding=1), bn=bn))
                inputs = width
            units.add_module(f"pool{i}", nn.MaxPool2d(2))
            self.features.add_module(f"stage{i}", units)
        self.output = called(
            fc1=called(fc=nn.Linear(512 * 49, 4096)),
            fc2=called(fc=nn.Linear(4096, 4096)),
            fc3=nn.Linear(4096, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.output
        x = self.features(x).flatten(1)
        return third(second(first(x).relu()).relu())


class Fire(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, squeezed = outputs // 2, outputs // 8
        self.squeeze = ConvBN(nn.Conv2d(inputs, squeezed, 1), bn=False)
        self.expand1x1 = ConvBN(nn.Conv2d(squeezed, half, 1), bn=False)
        self.expand3x3 = ConvBN(nn.Conv2d(squeezed, half, 3, padding=1), bn=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1)


class SqueezeNet(nn.Module):
    """A pooling begins each stage. ``stages`` are the maps of their fire modules."""

    def __init__(self, kernel: int, maps: int, stages: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("init_block", ConvBN(nn.Conv2d(3, maps, kernel, stride=2), bn=False))
        for i, widths in enumerate(stages, 1):
            part = nn.Sequential()
            part.add_module(f"pool{i}", nn.MaxPool2d(3, 2, ceil_mode=True))
            for unit, width in enumerate(widths, 1):
                part.add_module(f"unit{unit}", Fire(maps, width))
                maps = width
            self.features.add_module(f"stage{i}", part)
        self.output = called(final_conv=nn.Conv2d(maps, 10, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.features(x)).relu().mean((2, 3))


SQUEEZENET1_0 = (7, 96, ((128, 128, 256), (256, 384, 384, 512), (512,)))
SQUEEZENET1_1 = (3, 64, ((128, 128), (256, 256), (384, 384, 512, 512)))


def pointwise(inputs: int, outputs: int) -> ConvBN:
    return ConvBN(nn.Conv2d(inputs, outputs, 1, bias=False), bn=True)


def depthwise(maps: int, stride: int) -> ConvBN:
    return ConvBN(nn.Conv2d(maps, maps, 3, stride, padding=1, groups=maps, bias=False), bn=True, linear=True)


class ShuffleUnit(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = inputs != outputs
        taken = inputs if self.down else inputs // 2
        self.conv1 = pointwise(taken, outputs // 2)
        self.dconv = depthwise(outputs // 2, 2 if self.down else 1)
        self.conv2 = pointwise(outputs // 2, outputs - taken)
        if self.down:
            self.shortcut_dconv = depthwise(inputs, 2)
            self.shortcut_conv = pointwise(inputs, inputs)

    def forward(self, x: Tensor) -> Tensor:
        left, right = (self.shortcut_conv(self.shortcut_dconv(x)), x) if self.down else x.chunk(2, 1)
        right = self.conv2(self.dconv(self.conv1(right)))
        out = torch.stack([left, right], 2) if left.shape == right.shape else None
        assert out is not None, "0.5x: both halves have as many maps"
        return out.flatten(1, 2)


class ShuffleNet(nn.Module):
    """ShuffleNet V2 at 0.5x, with a bias in its last layer."""

    def __init__(self) -> None:
        super().__init__()
        stem = called(conv=ConvBN(nn.Conv2d(3, 24, 3, 2, padding=1, bias=False), bn=True))
        self.features = called(init_block=stem)
        inputs = 24
        for i, (maps, units) in enumerate(zip((48, 96, 192), (4, 8, 4), strict=True), 1):
            part = nn.Sequential()
            for unit in range(1, units + 1):
                part.add_module(f"unit{unit}", ShuffleUnit(inputs, maps))
                inputs = maps
            self.features.add_module(f"stage{i}", part)
        self.features.add_module("final_block", pointwise(192, 1024))
        self.output = nn.Linear(1024, 10)

    def forward(self, x: Tensor) -> Tensor:
        stem, *rest = self.features
        x = F.max_pool2d(stem(x), 3, 2, 1)
        for part in rest:
            x = part(x)
        return self.output(x.mean((2, 3)))


class OpenMMLabVGG16(nn.Module):
    """SSD's backbone up to its fourth pooling: 13 convolutions, whose numbers count ReLUs and poolings."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width, count in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)
