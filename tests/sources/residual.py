"""Residual networks of other sources, written anew from their published structure and with their names of parts."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 32, 64)
Make = Callable[[int, int, int], nn.Module]  # of (maps in, maps out, stride)


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def normalized(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    """A convolution and its batch normalization, called conv and bn."""
    part = nn.Sequential()
    part.add_module("conv", conv(inputs, outputs, kernel, stride))
    part.add_module("bn", nn.BatchNorm2d(outputs))
    return part


def stage(make: Make, inputs: int, outputs: int, blocks: int, stride: int, first: str = "0") -> nn.Sequential:
    """Blocks, of which the first has the stride. ``first`` is its name; the others count on from it."""
    part = nn.Sequential()
    name, number = first.rstrip("01"), int(first[-1])
    for i in range(blocks):
        part.add_module(f"{name}{number + i}", make(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1))
    return part


def pooled(maps: Tensor) -> Tensor:
    return maps.mean((2, 3))


class BasicB(nn.Module):
    """Two 3x3 convolutions; ``downsample`` is a projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (out + (x if self.downsample is None else self.downsample(x))).relu()


class TorchvisionLike(nn.Module):
    """chenyaofo, torchdistill, bearpaw, repdistiller: torchvision's names with three stages."""

    def __init__(self, blocks: int, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 16, 3), nn.BatchNorm2d(16)
        self.layer1 = stage(BasicB, 16, 16, blocks, 1)
        self.layer2 = stage(BasicB, 16, 32, blocks, 2)
        self.layer3 = stage(BasicB, 32, 64, blocks, 2)
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
        return self.fc(pooled(out))


class CenteredPadding(nn.Module):
    """Half of the new maps are zeros before the old ones, and half behind them."""

    def forward(self, x: Tensor) -> Tensor:
        added = x.shape[1] // 2
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, added, added))


class AkamasterBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, option: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Sequential()
        if inputs != outputs and option == "A":
            self.shortcut = CenteredPadding()
        elif inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (out + self.shortcut(x)).relu()


class Akamaster(nn.Module):
    def __init__(self, blocks: int, option: str = "A") -> None:
        super().__init__()
        block = partial(AkamasterBlock, option=option)
        self.conv1, self.bn1 = conv(3, 16, 3), nn.BatchNorm2d(16)
        self.layer1 = stage(block, 16, 16, blocks, 1)
        self.layer2 = stage(block, 16, 32, blocks, 2)
        self.layer3 = stage(block, 32, 64, blocks, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
        return self.linear(pooled(out))


class HystsBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.shortcut = normalized(inputs, outputs, 1, stride) if inputs != outputs else nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (out + self.shortcut(x)).relu()


class HystsResNet(nn.Module):
    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv, self.bn = conv(3, 16, 3), nn.BatchNorm2d(16)
        self.stage1 = stage(HystsBlock, 16, 16, blocks, 1, "block1")
        self.stage2 = stage(HystsBlock, 16, 32, blocks, 2, "block1")
        self.stage3 = stage(HystsBlock, 32, 64, blocks, 2, "block1")
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(pooled(self.stage3(self.stage2(self.stage1(self.bn(self.conv(x)).relu())))))


class PytorchcvBody(nn.Module):
    """Convolutions with batch normalization, and ReLU between them: 3x3 and 3x3, or a bottleneck."""

    def __init__(self, inputs: int, outputs: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        inner, kernels = (outputs, (3, 3)) if len(strides) == 2 else (outputs // 4, (1, 3, 1))
        sizes = [inputs, *[inner] * (len(kernels) - 1), outputs]
        for i, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
            self.add_module(f"conv{i + 1}", normalized(sizes[i], sizes[i + 1], kernel, stride))

    def forward(self, x: Tensor) -> Tensor:
        *layers, last = self.children()
        for layer in layers:
            x = layer(x).relu()
        return last(x)


class PytorchcvUnit(nn.Module):
    """``place`` is the convolution that has the stride; bottlenecks have three convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int, convs: int = 2, place: int = 0) -> None:
        super().__init__()
        strides = tuple(stride if i == place else 1 for i in range(convs))
        self.body = PytorchcvBody(inputs, outputs, strides)
        if inputs != outputs or stride != 1:
            self.identity_conv = normalized(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.identity_conv(x) if hasattr(self, "identity_conv") else x
        return (self.body(x) + shortcut).relu()


class PytorchcvStem(nn.Module):
    """For ImageNet: one level deeper than for CIFAR."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = normalized(3, 64, 7, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.conv(x).relu(), 3, 2, 1)


class PytorchcvStages(nn.Module):
    """Stages of units behind a first convolution to so many maps: three stages for CIFAR, four for ImageNet."""

    def __init__(self, make: Make, inputs: int, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        small = len(blocks) == 3
        self.features = nn.Sequential()
        self.features.add_module("init_block", normalized(3, inputs, 3) if small else PytorchcvStem())
        for i, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            self.features.add_module(f"stage{i + 1}", stage(make, inputs, width, count, 2 if i else 1, "unit1"))
            inputs = width
        self.output = nn.Linear(inputs, 10 if small else 1000)

    def forward(self, x: Tensor) -> Tensor:
        first, *stages = self.features
        x = first(x).relu()
        for part in stages:
            x = part(x)
        return self.output(pooled(x))


class PytorchcvResNet(PytorchcvStages):
    """CIFAR with basic units; ImageNet with ``blocks`` of four stages, ``place`` of the stride in a bottleneck."""

    def __init__(self, blocks: tuple[int, ...], place: int = 0, unit: type[PytorchcvUnit] = PytorchcvUnit) -> None:
        if len(blocks) == 3:
            super().__init__(unit, 16, WIDTHS, blocks)
        else:
            super().__init__(partial(unit, convs=3, place=place), 64, (256, 512, 1024, 2048), blocks)


class CaffeBottleneck(nn.Module):
    """OpenMMLab's style "caffe": the stride in the first 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.conv1, self.bn1 = conv(inputs, inner, 1, stride), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = conv(inner, inner, 3), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = conv(inner, outputs, 1), nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return (self.bn3(self.conv3(out)) + (x if self.downsample is None else self.downsample(x))).relu()


class OpenMMLabResNet50(nn.Module):
    """A backbone: maps, without a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.layer1 = stage(CaffeBottleneck, 64, 256, 3, 1)
        self.layer2 = stage(CaffeBottleneck, 256, 512, 4, 2)
        self.layer3 = stage(CaffeBottleneck, 512, 1024, 6, 2)
        self.layer4 = stage(CaffeBottleneck, 1024, 2048, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))
