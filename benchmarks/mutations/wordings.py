"""The same function, written in another way."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers import (
    ChannelShuffle,
    Padded,
    Residual,
    SamePadding,
    Select,
    SqueezeExcitation,
)
from archzoo.models import (
    fractalnet,
    inception_v4,
)
from archzoo.models import stochastic_depth as stochastic
from mutations.joins import MaxPadded, shuffled
from mutations.kinds import Sites, kind, modules, of_class, replacing, setting
from mutations.networks import EQUAL
from mutations.orders import instead


def functional(_: nn.Module) -> nn.Module:
    """ReLU as a function."""

    class Rectified(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return F.relu(maps)

    return Rectified()


def clamped(_: nn.Module) -> nn.Module:
    """ReLU as a clamp."""

    class Clamped(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.clamp(min=0)

    return Clamped()


def averaged(_: nn.Module) -> nn.Module:
    """Global pooling as a mean."""

    class Averaged(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.mean((2, 3), keepdim=True)

    return Averaged()


def viewed(_: nn.Module) -> nn.Module:
    """A flattening as a reshape."""

    class Viewed(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.reshape(maps.size(0), -1)

    return Viewed()


class AsLinear(SqueezeExcitation):
    """SE with linear layers."""

    def forward(self, maps: Tensor) -> Tensor:
        units = self.relu(F.linear(self.squeeze(maps).flatten(1), self.fc1.weight.flatten(1), self.fc1.bias))
        scales: Tensor = self.gate(F.linear(units, self.fc2.weight.flatten(1), self.fc2.bias))
        return scales[:, :, None, None] * maps


class Added(inception_v4.ScaledResidual):
    """The factor of a residual as that of an addition."""

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.activation(torch.add(maps, self.layers(maps), alpha=self.scale))
        return out


class Bounded(nn.Module):
    """ReLU6 as a clamp."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.clamp(0, 6)


class Viewed(ChannelShuffle):
    """A shuffle as views."""

    def forward(self, maps: Tensor) -> Tensor:
        return shuffled(maps, self.groups)


class Indexed(Select):
    """An index layer as an indexing."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps[:, self.index]


class Gathered(Select):
    """An index layer as a gathering."""

    def forward(self, maps: Tensor) -> Tensor:
        places = self.index.view(1, -1, *(1,) * (maps.dim() - 2))
        return maps.gather(1, places.expand(len(maps), -1, *maps.shape[2:]))


class Written(SamePadding):
    """TensorFlow's padding as a module of torch."""

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        sides = (*self.before_and_after(width), *self.before_and_after(height))
        padded: Tensor = nn.ConstantPad2d(sides, self.value)(maps)
        return padded


class ShortcutFirst(Residual):
    """The shortcut runs before the layers, and is the first operand of the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        assert self.shortcut is not None
        shortcut = self.shortcut(maps)
        return torch.relu(shortcut + self.layers(maps))


@kind(verdict=EQUAL)
def written_anew(net: nn.Module) -> Sites:
    """The same layers in other words."""
    for name, _ in modules(net, nn.ReLU):
        yield replacing(name, functional)
        yield replacing(name, clamped)
    for name, module in modules(net, nn.AdaptiveAvgPool2d):
        if module.output_size == 1:
            yield replacing(name, averaged)
    for name, _ in modules(net, nn.Flatten):
        yield replacing(name, viewed)
    for name, _ in modules(net, nn.BatchNorm2d, nn.Conv2d):
        yield replacing(name, wrapped)
    for name, module in modules(net, Residual):
        if module.shortcut is not None:
            yield of_class(name, ShortcutFirst)
    for name, _ in modules(net, Padded):
        yield of_class(name, MaxPadded)
    for name, _ in modules(net, nn.ReLU6):
        yield replacing(name, instead(Bounded))
    for old, others in (
        (SqueezeExcitation, (AsLinear,)),
        (inception_v4.ScaledResidual, (Added,)),
        (ChannelShuffle, (Viewed,)),
        (Select, (Indexed, Gathered)),
        (SamePadding, (Written,)),
    ):
        for name, _ in modules(net, old):
            yield from (of_class(name, other) for other in others)


def wrapped(layer: Any) -> nn.Module:
    """The layer among modules that do nothing."""
    return nn.Sequential(nn.Identity(), layer, nn.Dropout(0.0))


@kind("survival", "factor")
def survival(net: nn.Module) -> Sites:
    """Another probability of survival, which scales a branch in eval mode."""
    for name, _ in modules(net, stochastic.StochasticBlock):
        yield setting(name, survival=0.123)


@kind("wiring", "order", "missing layer", "layer", "pooling", "extra layer", "other")
def join_first(net: nn.Module) -> Sites:
    """Columns joined before the pooling."""
    for name, _ in modules(net, fractalnet.Block):
        yield setting(name, join_first=True)
