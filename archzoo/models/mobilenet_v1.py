"""MobileNet: a 3x3 convolution of each map alone, then a 1x1 convolution of all maps, for every 3x3 convolution of all.

A. G. Howard, M. Zhu, B. Chen, D. Kalenichenko, W. Wang, T. Weyand, M. Andreetto, H. Adam, "MobileNets: Efficient
Convolutional Neural Networks for Mobile Vision Applications", arXiv 2017.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from torch import nn

from archzoo.errors import BadOption
from archzoo.layers import (
    Net,
    Padding,
    SeparableLayers,
    at_least,
    pooled_classifier,
    probability,
    sequence,
    truncated_gaussian,
)

Activation = Literal["relu", "relu6"]
ACTIVATIONS: dict[Activation, type[nn.ReLU] | type[nn.ReLU6]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}

# Table 1: maps and stride of each depthwise separable convolution. The last one has stride 1, as its input and output
# sizes and the authors' code say; the "s2" that is printed beside it is a slip.
TABLE_1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
# Table 5: without the five of 14x14x512.
SHALLOW = (*TABLE_1[:6], *TABLE_1[11:])


def build(
    layers: SeparableLayers,
    block: Callable[[int, int, int], nn.Sequential],
    table: Sequence[tuple[int, int]],
    width: float,
    drop: float,
    in_channels: int,
    num_classes: int,
) -> Net:
    """A 3x3/2 convolution, the blocks of a table, global pooling, dropout and a linear layer (Table 1).

    Every layer has ``width`` times as many maps as the table says, rounded down, and at least eight (authors' code).
    """
    if not width > 0:
        raise BadOption(f"width must be more than 0, not {width}: 1.0, 0.75, 0.5 and 0.25 are those of Table 6")
    probability("drop", drop)
    at_least("bn_eps", layers.eps, 0)
    maps = max(int(32 * width), 8)
    parts: dict[str, nn.Module] = {"conv1": layers.conv3x3(in_channels, maps, 2)}
    for number, (full_width, stride) in enumerate(table, 1):
        outputs = max(int(full_width * width), 8)
        parts[f"block{number}"] = block(maps, outputs, stride)
        maps = outputs
    return Net(sequence(**parts), pooled_classifier(maps, num_classes, drop), truncated_gaussian(0.09))


def mobilenet_v1(
    width: float = 1.0,
    *,
    shallow: bool = False,
    activation: Activation = "relu",
    padding: Padding = "same",
    bn_eps: float = 0.001,
    drop: float = 0.001,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """MobileNet of this width multiplier (Table 1, Sec. 3.3). ``shallow`` leaves five of its 13 blocks out (Table 5).

    The resolution multiplier of Sec. 3.4 is the size of the images. ``padding="symmetric"`` and ``bn_eps=1e-5`` make
    the networks of other libraries.

    Differs from the release:
        - The paper has ReLU, and the released code ReLU6. ``activation="relu6"`` is the released network.
        - Batch-norm statistics have a momentum of 0.1. Those of the released code have 0.0003, which takes ten thousand
          steps.
        - The release has 1001 classes, of which the first is the background. ``num_classes=1001`` is its number.
    """
    layers = SeparableLayers(padding, ACTIVATIONS[activation], bn_eps)
    table = SHALLOW if shallow else TABLE_1
    return build(layers, layers.separable, table, width, drop, in_channels, num_classes)


def conv_mobilenet(
    width: float = 1.0,
    *,
    activation: Activation = "relu",
    padding: Padding = "same",
    bn_eps: float = 0.001,
    drop: float = 0.001,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """Conv MobileNet: one 3x3 convolution of all maps in the place of each depthwise separable one (Table 4)."""
    layers = SeparableLayers(padding, ACTIVATIONS[activation], bn_eps)
    return build(layers, layers.conv3x3, TABLE_1, width, drop, in_channels, num_classes)
