"""MobileNetV2: shortcuts between narrow maps, around wide depthwise convolutions, and no activation on narrow maps.

M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR
2018.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers import (
    Net,
    Padding,
    at_least,
    conv1x1,
    padded_conv3x3,
    pooled_classifier,
    probability,
    sequence,
    truncated_gaussian,
)

# Table 2: expansion t, maps c, blocks n, and the stride s of the first of them.
TABLE_2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def make_divisible(maps: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor``, at least one of it and nine tenths of ``maps`` (authors' code)."""
    rounded = max(divisor, int(maps + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * maps else rounded


class InvertedResidual(nn.Module):
    """F(x) + x where the stride is 1 and the number of maps stays, else F(x): nothing follows the sum (Fig. 4d)."""

    def __init__(self, layers: nn.Sequential, *, shortcut: bool) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers(maps)
        return out + maps if self.shortcut else out


@dataclass(frozen=True)
class ConvNormActivation:
    """Convolutions with what surrounds each: padding, batch normalization with this epsilon, and ReLU6."""

    padding: Padding
    eps: float

    def bn(self, conv: dict[str, nn.Module], maps: int) -> dict[str, nn.Module]:
        """A convolution that returns so many maps, and batch normalization."""
        return {**conv, "bn": nn.BatchNorm2d(maps, eps=self.eps)}

    def bn_relu6(self, conv: dict[str, nn.Module], maps: int) -> nn.Sequential:
        """The same with ReLU6."""
        return sequence(**self.bn(conv, maps), relu=nn.ReLU6(inplace=True))

    def block(self, inputs: int, outputs: int, stride: int, expansion: int) -> InvertedResidual:
        """1x1 to ``expansion`` times the maps, depthwise 3x3, and 1x1 without an activation (Table 1, Fig. 4d).

        Without an expansion there is no first 1x1 convolution (authors' code).
        """
        inner = expansion * inputs
        layers: dict[str, nn.Module] = {}
        if expansion > 1:
            layers["expand"] = self.bn_relu6({"conv": conv1x1(inputs, inner)}, inner)
        layers["depthwise"] = self.bn_relu6(padded_conv3x3(self.padding, inner, inner, stride, groups=inner), inner)
        layers["project"] = sequence(**self.bn({"conv": conv1x1(inner, outputs)}, outputs))
        return InvertedResidual(sequence(**layers), shortcut=stride == 1 and inputs == outputs)


def mobilenet_v2(
    width: float = 1.0,
    *,
    padding: Padding = "same",
    bn_eps: float = 0.001,
    drop: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """MobileNetV2 of this width multiplier, whose last convolution is never narrower than 1280 maps (Table 2, Sec. 4).

    ``padding="symmetric"`` and ``bn_eps=1e-5`` make the network of torchvision and timm.

    Differs from the release:
        - Batch-norm statistics have a momentum of 0.1. Those of the released code have 0.003, which takes a thousand
          steps.
        - The release has 1001 classes, of which the first is the background. ``num_classes=1001`` is its number.
    """
    if not width > 0:
        raise BadOption(f"width must be more than 0, not {width}: the paper has 0.35, 0.5, 0.75, 1.0 and 1.4")
    probability("drop", drop)
    at_least("bn_eps", bn_eps, 0)
    conv_norm = ConvNormActivation(padding, bn_eps)
    maps, last = make_divisible(32 * width), make_divisible(1280 * max(width, 1.0))
    parts: dict[str, nn.Module] = {"conv1": conv_norm.bn_relu6(padded_conv3x3(padding, in_channels, maps, 2), maps)}
    for expansion, full_width, blocks, first_stride in TABLE_2:
        outputs = make_divisible(full_width * width)
        for number in range(blocks):
            stride = first_stride if number == 0 else 1
            parts[f"block{len(parts)}"] = conv_norm.block(maps, outputs, stride, expansion)
            maps = outputs
    parts["conv2"] = conv_norm.bn_relu6({"conv": conv1x1(maps, last)}, last)
    return Net(sequence(**parts), pooled_classifier(last, num_classes, drop), truncated_gaussian(0.09))
