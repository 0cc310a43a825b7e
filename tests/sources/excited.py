"""SE-ResNets and SE-ResNeXts of other sources, written anew from their published structure, with their names."""

from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from tests.sources.residual import PytorchcvUnit, conv, pooled, stage


class Excitation(nn.Module):
    """The scale of each map by its mean, through two layers with these names."""

    def __init__(self, maps: int, first: str, last: str) -> None:
        super().__init__()
        self.add_module(first, nn.Conv2d(maps, maps // 16, 1))
        self.add_module(last, nn.Conv2d(maps // 16, maps, 1))

    def forward(self, x: Tensor) -> Tensor:
        first, last = self.children()
        return x * last(first(pooled(x)[:, :, None, None]).relu()).sigmoid()


class CadeneBlock(nn.Module):
    """The stride is in the first 1x1 of one group, and in the 3x3 of 32."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        inner, strides = (outputs // 4, (stride, 1)) if groups == 1 else (outputs // 2, (1, stride))
        self.conv1, self.bn1 = conv(inputs, inner, 1, strides[0]), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, strides[1], padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = conv(inner, outputs, 1), nn.BatchNorm2d(outputs)
        self.se_module = Excitation(outputs, "fc1", "fc2")
        changes = stride != 1 or inputs != outputs
        self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        out = self.se_module(self.bn3(self.conv3(out)))
        return (out + (x if self.downsample is None else self.downsample(x))).relu()


class CadeneSENet50(nn.Module):
    """Its first pooling is not padded, and keeps incomplete windows, as in Caffe."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.layer0 = nn.Sequential()
        self.layer0.add_module("conv1", conv(3, 64, 7, 2))
        self.layer0.add_module("bn1", nn.BatchNorm2d(64))
        block: Any = partial(CadeneBlock, groups=groups)
        self.layer1 = stage(block, 64, 256, 3, 1)
        self.layer2 = stage(block, 256, 512, 4, 2)
        self.layer3 = stage(block, 512, 1024, 6, 2)
        self.layer4 = stage(block, 1024, 2048, 3, 2)
        self.last_linear = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.layer0(x).relu(), 3, 2, ceil_mode=True)
        return self.last_linear(pooled(self.layer4(self.layer3(self.layer2(self.layer1(x))))))


class PytorchcvExcitedUnit(PytorchcvUnit):
    """SE between the body and the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int, convs: int = 2, place: int = 0) -> None:
        super().__init__(inputs, outputs, stride, convs, place)
        self.se = Excitation(outputs, "conv1", "conv2")

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.identity_conv(x) if hasattr(self, "identity_conv") else x
        return (self.se(self.body(x)) + shortcut).relu()
