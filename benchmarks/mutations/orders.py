"""Layers too few, too many or in another order; response normalization, and rounding."""

from collections.abc import Callable
from typing import Any

from torch import nn

from archzoo.layers import (
    ResponseNorm,
)
from archzoo.models import (
    alexnet,
    lenet,
)
from mutations.kinds import Sites, kind, modules, neighbors, replacing, setting, swapping
from mutations.networks import DIFFERENT


@kind("order")
def norm_after_relu(net: nn.Module) -> Sites:
    """ReLU-BN for BN-ReLU."""
    for activation in (nn.ReLU, nn.ReLU6):
        for place in neighbors(net, nn.BatchNorm2d, activation):
            yield swapping(*place)


@kind("order", "missing layer", "extra layer", "layer")
def norm_before_convolution(net: nn.Module) -> Sites:
    """BN-conv for conv-BN."""
    for name, a, b in neighbors(net, nn.Conv2d, nn.BatchNorm2d):
        parts = net.get_submodule(name)
        if getattr(parts, a).in_channels == getattr(parts, b).num_features:
            yield swapping(name, a, b)


@kind("order", "wiring")
def relu_after_pooling(net: nn.Module) -> Sites:
    """With max pooling the same function, with average pooling another."""
    for second in (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d):
        for place in neighbors(net, nn.ReLU, second):
            yield swapping(*place)


@kind("order")
def norm_after_pooling(net: nn.Module) -> Sites:
    """Response normalization behind the pooling."""
    for second in (nn.MaxPool2d,):
        for place in neighbors(net, ResponseNorm, second):
            yield swapping(*place)


@kind("missing layer", "order", "layer", "wiring", "activation")
def norm_missing(net: nn.Module) -> Sites:
    """A normalization left out."""
    for name, _ in modules(net, nn.BatchNorm2d, ResponseNorm):
        yield replacing(name, nothing)


def nothing(layer: nn.Module) -> nn.Module:
    """No layer."""
    return nn.Identity()


@kind("missing layer", "layer", "wiring", "order")
def last_norm_missing(net: nn.Module) -> Sites:
    """The last batch norm left out."""
    names = [name for name, _ in modules(net, nn.BatchNorm2d)]
    yield from (replacing(name, nothing) for name in names[-1:])


@kind("missing layer", "layer", "wiring", "order")
def activation_missing(net: nn.Module) -> Sites:
    """An activation left out."""
    for name, _ in modules(net, nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid, lenet.ScaledTanh):
        yield replacing(name, nothing)


@kind("activation")
def activation(net: nn.Module) -> Sites:
    """Another activation."""
    for name, module in modules(net, nn.ReLU, nn.ReLU6, nn.Sigmoid):
        for other in (nn.ReLU, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.ReLU6, nn.GELU, nn.Sigmoid, nn.Hardsigmoid):
            if not isinstance(module, other):
                yield replacing(name, instead(other))


def instead(other: Callable[[], nn.Module]) -> Callable[[nn.Module], nn.Module]:
    """Makes a module in the place of another."""

    def activation(_: nn.Module) -> nn.Module:
        return other()

    activation.__name__ = getattr(other, "__name__", "other")
    return activation


@kind("missing layer", "layer", "activation", "order")
def unscaled_tanh(net: nn.Module) -> Sites:
    """Tanh for the scaled one."""
    for name, _ in modules(net, lenet.ScaledTanh):
        yield replacing(name, instead(nn.Tanh))


@kind("dropout", verdict=DIFFERENT)
def dropout_missing(net: nn.Module) -> Sites:
    """A dropout left out."""
    for name, _ in modules(net, nn.Dropout):
        yield replacing(name, nothing)


@kind("dropout", verdict=DIFFERENT)
def dropout_added(net: nn.Module) -> Sites:
    """A dropout behind a convolution."""
    for name, _ in modules(net, nn.Conv2d):
        yield replacing(name, then_dropout)


def then_dropout(layer: Any) -> nn.Module:
    """The layer, and dropout."""
    return nn.Sequential(layer, nn.Dropout(0.1))


@kind("extra layer", "order", "layer", "wiring")
def norm_added(net: nn.Module) -> Sites:
    """A batch norm behind a convolution."""
    for name, _ in modules(net, nn.Conv2d):
        yield replacing(name, then_norm)


def then_norm(layer: Any) -> nn.Module:
    """The layer, and a batch norm."""
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels))


@kind("order", "layer", "dropout", verdict=DIFFERENT)
def dropout_moved(net: nn.Module) -> Sites:
    """Dropout behind the layer that it precedes."""
    for first in (nn.Linear, nn.Conv2d):
        for place in neighbors(net, nn.Dropout, first):
            yield swapping(*place)


@kind(
    "response norm",
    "scalar",
    "factor",
    "addend",
    "exponent",
    "wiring",
    "missing layer",
    "extra layer",
    "layer",
    "order",
)
def response_norm(net: nn.Module) -> Sites:
    """Other constants of a response normalization."""
    for name, module in modules(net, ResponseNorm):
        for values in ({"n": 3}, {"alpha": module.alpha / 5}, {"beta": 0.5}, {"k": module.k / 2}):
            yield setting(name, **values)


@kind("missing layer", "layer", "kernel size", "width", "order")
def rounding(net: nn.Module) -> Sites:
    """Sizes rounded down, not up."""
    for name, _ in modules(net, alexnet.RoundUp):
        yield replacing(name, nothing)
