"""Changes of sums, and of the order of layers that only some networks have."""

from typing import Any

import torch
from torch import Tensor, nn

from archzoo.layers import (
    Residual,
    ResidualSum,
)
from archzoo.models import (
    inception_v4,
    mobilenet_v2,
)
from mutations.kinds import Sites, kind, modules, of_class, replacing, setting, swapping


@kind("factor")
def residual_scale(net: nn.Module) -> Sites:
    """Another factor of a residual."""
    for name, module in modules(net, inception_v4.ScaledResidual):
        for scale in (0.17, 0.1, 0.2, 0.3):
            if scale != module.scale:
                yield setting(name, scale=scale)


@kind("missing layer", "layer", "order")
def unscaled(net: nn.Module) -> Sites:
    """A residual that is added as it is."""
    for name, module in modules(net, inception_v4.ScaledResidual):
        if module.scale != 1:
            yield setting(name, scale=1.0)


class WithoutRelu(Residual):
    """Nothing follows the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        assert self.shortcut is not None
        out: Tensor = self.layers(maps) + self.shortcut(maps)
        return out


class WithRelu(ResidualSum):
    """A ReLU follows the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(super().forward(maps))


@kind("missing layer", "extra layer", "layer", "wiring", "order")
def relu_of_the_sum(net: nn.Module) -> Sites:
    """No ReLU behind a sum, or one where there is none."""
    for name, module in modules(net, Residual, ResidualSum):
        if module.shortcut is not None and type(module) in (Residual, ResidualSum):
            yield of_class(name, WithoutRelu if isinstance(module, Residual) else WithRelu)


@kind("extra layer", "layer", "order")
def activation_added(net: nn.Module) -> Sites:
    """A ReLU between a depthwise convolution and the next layer, or behind a narrow batch norm."""
    for name, module in modules(net, nn.Conv2d):
        if module.groups == module.in_channels > 1:
            yield replacing(name, then_relu)
    for name, _ in modules(net, mobilenet_v2.InvertedResidual):
        yield replacing(f"{name}.layers.project", then_relu)


def then_relu(layer: nn.Module) -> nn.Module:
    """The layer, and a ReLU."""
    return nn.Sequential(layer, nn.ReLU())


@kind("order", "groups", "kernel size", "layer", "width")
def pointwise_first(net: nn.Module) -> Sites:
    """1x1 before the depthwise convolution."""
    for name, module in modules(net, nn.Sequential):
        layers = dict(module.named_children())
        pointwise = layers.get("pointwise")
        square = isinstance(pointwise, nn.Conv2d) and pointwise.in_channels == pointwise.out_channels
        if "depthwise" in layers and square:
            yield swapping(name, "depthwise", "pointwise")


@kind("kernel size")
def transposed_kernel(net: nn.Module) -> Sites:
    """nx1 for 1xn."""
    for name, module in modules(net, nn.Conv2d):
        if module.kernel_size[0] != module.kernel_size[1]:
            yield replacing(name, transposed)


def transposed(conv: Any) -> nn.Module:
    """The convolution with its sides exchanged."""
    other = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size[::-1], bias=conv.bias is not None)
    other.padding = conv.padding[::-1]
    return other
