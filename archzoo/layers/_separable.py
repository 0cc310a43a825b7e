"""The convolutions of MobileNet, with what surrounds each; figures are those of its paper."""

from dataclasses import dataclass

from torch import nn

from archzoo.layers._modules import conv1x1, sequence
from archzoo.layers._same_padding import Padding, padded_conv3x3


@dataclass(frozen=True)
class SeparableLayers:
    """Convolutions with padding, batch normalization with this epsilon, and the activation (Fig. 3)."""

    padding: Padding = "same"
    activation: type[nn.ReLU] | type[nn.ReLU6] = nn.ReLU
    eps: float = 0.001

    def bn_relu(self, conv: dict[str, nn.Module], maps: int) -> nn.Sequential:
        """A convolution that returns so many maps, batch normalization and the activation."""
        return sequence(**conv, bn=nn.BatchNorm2d(maps, eps=self.eps), relu=self.activation(inplace=True))

    def conv3x3(self, inputs: int, outputs: int, stride: int) -> nn.Sequential:
        """A 3x3 convolution of all maps (Fig. 3, left)."""
        return self.bn_relu(padded_conv3x3(self.padding, inputs, outputs, stride), outputs)

    def separable(self, inputs: int, outputs: int, stride: int) -> nn.Sequential:
        """A depthwise 3x3 and a pointwise 1x1 convolution (Fig. 3, right)."""
        depthwise = padded_conv3x3(self.padding, inputs, inputs, stride, groups=inputs)
        pointwise: dict[str, nn.Module] = {"conv": conv1x1(inputs, outputs)}
        return sequence(depthwise=self.bn_relu(depthwise, inputs), pointwise=self.bn_relu(pointwise, outputs))
