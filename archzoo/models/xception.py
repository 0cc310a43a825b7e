"""Xception: all convolutions but the first two are separable: one step over positions, and one over maps.

F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017 (arXiv 2016).
"""

from dataclasses import dataclass
from itertools import islice
from math import inf

from torch import nn

from archzoo.layers import (
    Conv2d,
    Net,
    Padding,
    ResidualSum,
    SamePadding,
    at_least,
    conv1x1,
    glorot_uniform,
    pooled_classifier,
    probability,
    sequence,
)

# Fig. 5: maps of the separable convolutions of each module, flow by flow, and of those behind the modules. All modules
# but those of the middle flow halve the resolution.
ENTRY = ((128, 128), (256, 256), (728, 728))
MIDDLE = ((728, 728, 728),) * 8
EXIT = ((728, 1024),)
LAST = (1536, 2048)


@dataclass(frozen=True)
class ConvNorm:
    """Convolutions with batch normalization of this epsilon, and max pooling with this padding."""

    padding: Padding
    eps: float

    def conv3x3(self, inputs: int, outputs: int, stride: int) -> nn.Sequential:
        """A 3x3 convolution of all maps without padding, batch normalization and ReLU."""
        conv = Conv2d(inputs, outputs, 3, stride, bias=False)
        return sequence(conv=conv, bn=nn.BatchNorm2d(outputs, eps=self.eps), relu=nn.ReLU(inplace=True))

    def separable(self, inputs: int, outputs: int) -> dict[str, nn.Module]:
        """A 3x3 convolution of each map alone, a 1x1 convolution of all, and batch normalization.

        Nothing is between the two (Sec. 4.7).
        """
        return {
            "depthwise": Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            "pointwise": conv1x1(inputs, outputs),
            "bn": nn.BatchNorm2d(outputs, eps=self.eps),
        }

    def pool(self) -> dict[str, nn.Module]:
        """3x3/2 max pooling."""
        if self.padding == "symmetric":
            return {"pool": nn.MaxPool2d(3, stride=2, padding=1)}
        return {"pad": SamePadding(3, 2, -inf), "pool": nn.MaxPool2d(3, stride=2)}

    def relu_separable(self, inputs: int, widths: tuple[int, ...]) -> nn.Sequential:
        """ReLU and a separable convolution, for each of these widths.

        The first ReLU is not in place: a shortcut reads the maps before it.
        """
        layers = nn.Sequential()
        for number, outputs in enumerate(widths, 1):
            layers.add_module(f"relu{number}", nn.ReLU(inplace=number > 1))
            layers.add_module(f"sep{number}", sequence(**self.separable(inputs, outputs)))
            inputs = outputs
        return layers

    def residual(self, inputs: int, layers: nn.Sequential, outputs: int) -> ResidualSum:
        """A module of these layers. Where the maps change, max pooling follows, and the shortcut is a 1x1/2 one."""
        if inputs == outputs:
            return ResidualSum(layers, nn.Identity())
        for name, layer in self.pool().items():
            layers.add_module(name, layer)
        shortcut = sequence(conv=conv1x1(inputs, outputs, 2), bn=nn.BatchNorm2d(outputs, eps=self.eps))
        return ResidualSum(layers, shortcut)


def xception(
    *,
    padding: Padding = "same",
    bn_eps: float = 0.001,
    drop: float = 0.5,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """Xception: 36 convolutions in 14 modules, all but the first two of them separable (Fig. 5).

    The first module reads rectified maps, and has no ReLU before its first separable convolution. ``drop`` is the
    dropout before the linear layer, in training (Sec. 4.3). ``padding="symmetric"`` and ``bn_eps=1e-5`` make the
    network of timm and pytorchcv.

    Differs from the release:
        - The model of Keras has no dropout. The paper has a rate of 0.5 on ImageNet.
        - Batch-norm statistics have a momentum of 0.1. Those of Keras have 0.01.
    """
    at_least("bn_eps", bn_eps, 0)
    probability("drop", drop)
    conv_norm = ConvNorm(padding, bn_eps)
    parts: dict[str, nn.Module] = {
        "conv1": conv_norm.conv3x3(in_channels, 32, 2),
        "conv2": conv_norm.conv3x3(32, 64, 1),
    }
    maps = 64
    for number, widths in enumerate((*ENTRY, *MIDDLE, *EXIT), 2):
        layers = conv_norm.relu_separable(maps, widths)
        if number == 2:
            layers = sequence(**dict(islice(layers.named_children(), 1, None)))
        parts[f"block{number}"] = conv_norm.residual(maps, layers, widths[-1])
        maps = widths[-1]
    for number, outputs in enumerate(LAST, 1):
        parts[f"sep{number}"] = sequence(**conv_norm.separable(maps, outputs), relu=nn.ReLU(inplace=True))
        maps = outputs
    return Net(sequence(**parts), pooled_classifier(maps, num_classes, drop), glorot_uniform)
