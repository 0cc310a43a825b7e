"""ResNeXts of pytorchcv, written anew from their published structure, with their names of parts."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from tests.sources.residual import PytorchcvStem, PytorchcvUnit, normalized, pooled, stage


class AggregatedUnit(PytorchcvUnit):
    """A bottleneck whose 3x3 convolution has groups and the stride; ``width`` is that of a group for 64 maps."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int, width: int) -> None:
        super().__init__(inputs, outputs, stride, convs=3, place=1)
        inner = groups * (outputs // 4 * width // 64)
        self.body.conv1, self.body.conv3 = normalized(inputs, inner, 1), normalized(inner, outputs, 1)
        self.body.conv2 = nn.Sequential()
        self.body.conv2.add_module("conv", nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False))
        self.body.conv2.add_module("bn", nn.BatchNorm2d(inner))


class PytorchcvResNeXt(nn.Module):
    """For CIFAR with three stages of ``blocks``, for ImageNet with four."""

    def __init__(self, blocks: tuple[int, ...], groups: int, width: int) -> None:
        super().__init__()
        small = len(blocks) == 3
        unit: Any = partial(AggregatedUnit, groups=groups, width=width)
        self.features = nn.Sequential()
        self.features.add_module("init_block", normalized(3, 64, 3) if small else PytorchcvStem())
        inputs = 64
        for i, count in enumerate(blocks):
            outputs = 256 << i
            self.features.add_module(f"stage{i + 1}", stage(unit, inputs, outputs, count, 2 if i else 1, "unit1"))
            inputs = outputs
        self.output = nn.Linear(inputs, 10 if small else 1000)

    def forward(self, x: Tensor) -> Tensor:
        first, *stages = self.features
        x = first(x).relu()
        for part in stages:
            x = part(x)
        return self.output(pooled(x))
