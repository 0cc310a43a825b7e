"""The bottlenecks of ResNet and ResNeXt."""

from dataclasses import dataclass

from torch import nn

from archzoo.layers._modules import Conv2d, conv1x1, conv3x3, sequence
from archzoo.layers._residual import Residual, Shortcut, projected


@dataclass(frozen=True)
class Bottleneck:
    """1x1, 3x3 and 1x1 convolutions. The stride is in the first 1x1, or in the 3x3 in v1.5 (ResNet, Fig. 5 right)."""

    shortcut: Shortcut
    stride_in_3x3: bool = False
    expansion: int = 4

    def __call__(self, in_channels: int, width: int, stride: int, /) -> Residual:
        outputs = self.expansion * width
        first, second = (1, stride) if self.stride_in_3x3 else (stride, 1)
        layers = sequence(
            conv1=conv1x1(in_channels, width, first),
            bn1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width, second),
            bn2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(inplace=True),
            conv3=conv1x1(width, outputs),
            bn3=nn.BatchNorm2d(outputs),
        )
        return Residual(layers, self.shortcut(in_channels, outputs, stride))


@dataclass(frozen=True)
class Aggregated:
    """1x1, 3x3 in ``cardinality`` groups of ``base_width`` maps, and 1x1, the stride in the 3x3 (ResNeXt, Fig. 3c).

    ``base_width`` is d, the width of a group in the first stage. It grows as the width of the stage does (Table 1).
    """

    cardinality: int
    base_width: int
    expansion: int = 4

    def __call__(self, in_channels: int, width: int, stride: int, /) -> Residual:
        inner = self.cardinality * (width * self.base_width // 64)
        outputs = self.expansion * width
        grouped = Conv2d(inner, inner, 3, stride, padding=1, groups=self.cardinality, bias=False)
        layers = sequence(
            conv1=conv1x1(in_channels, inner),
            bn1=nn.BatchNorm2d(inner),
            relu1=nn.ReLU(inplace=True),
            conv2=grouped,
            bn2=nn.BatchNorm2d(inner),
            relu2=nn.ReLU(inplace=True),
            conv3=conv1x1(inner, outputs),
            bn3=nn.BatchNorm2d(outputs),
        )
        return Residual(layers, projected(in_channels, outputs, stride))
