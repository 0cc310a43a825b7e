"""ResNeXts of pytorchcv, written anew from their published structure, with their names of parts."""

from functools import partial
from typing import Any

from torch import nn

from tests.sources.residual import PytorchcvStages, PytorchcvUnit, normalized


class AggregatedUnit(PytorchcvUnit):
    """A bottleneck whose 3x3 convolution has groups and the stride; ``width`` is that of a group for 64 maps."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int, width: int) -> None:
        super().__init__(inputs, outputs, stride, convs=3, place=1)
        inner = groups * (outputs // 4 * width // 64)
        self.body.conv1, self.body.conv3 = normalized(inputs, inner, 1), normalized(inner, outputs, 1)
        self.body.conv2 = nn.Sequential()
        self.body.conv2.add_module("conv", nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False))
        self.body.conv2.add_module("bn", nn.BatchNorm2d(inner))


class PytorchcvResNeXt(PytorchcvStages):
    """For CIFAR with three stages of ``blocks``, for ImageNet with four."""

    def __init__(self, blocks: tuple[int, ...], groups: int, width: int) -> None:
        unit: Any = partial(AggregatedUnit, groups=groups, width=width)
        super().__init__(unit, 64, (256, 512, 1024, 2048)[: len(blocks)], blocks)
