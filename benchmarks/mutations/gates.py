"""Changes of squeeze and excitation, and of the gates of Highway networks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.layers import (
    Residual,
    SqueezeExcitation,
)
from archzoo.models import (
    highway,
)
from mutations.kinds import Sites, kind, modules, of_class, replacing
from mutations.orders import nothing


@kind("missing layer", "layer", "order", "wiring", "pooling")
def gate_missing(net: nn.Module) -> Sites:
    """A block of SE left out."""
    for name, _ in modules(net, SqueezeExcitation):
        yield replacing(name, nothing)


@kind("width")
def gate_reduction(net: nn.Module) -> Sites:
    """Half as many units in a block of SE, or twice as many."""
    for name, module in modules(net, SqueezeExcitation):
        if module.fc1.out_channels > 1:
            yield replacing(name, with_half_the_units)
        yield replacing(name, with_twice_the_units)


def with_half_the_units(block: Any) -> nn.Module:
    """A block of half the units."""
    return with_units(block, block.fc1.out_channels // 2)


def with_twice_the_units(block: Any) -> nn.Module:
    """A block of twice the units."""
    return with_units(block, block.fc1.out_channels * 2)


def with_units(block: Any, units: int) -> nn.Module:
    """A block of so many units."""
    channels, bias = block.fc2.out_channels, block.fc2.bias is not None
    other = SqueezeExcitation(channels, 1, bias=bias)
    other.add_module("fc1", nn.Conv2d(channels, units, 1, bias=bias))
    other.add_module("fc2", nn.Conv2d(units, channels, 1, bias=bias))
    return other


@kind("order", "missing layer", "extra layer", "layer", "wiring", "width", "pooling", "kernel size", "groups", "stride")
def gate_moved(net: nn.Module) -> Sites:
    """SE before the last batch norm, in front of the branch, behind the sum, or on the shortcut."""
    for name, module in modules(net, Residual):
        layers = dict(module.layers.named_children())
        if [*layers][-1] != "se":
            continue
        for place in (before_the_norm, in_front, behind_the_sum, on_the_shortcut):

            def change(net: nn.Module, name: str = name, place: Callable[..., None] = place) -> None:
                place(net.get_submodule(name))

            yield f"{name} {place.__name__}", change


def before_the_norm(block: Any) -> None:
    """SE changes places with the layer before it."""
    *first, last, (_, gate) = block.layers.named_children()
    block.layers = nn.Sequential(*(layer for _, layer in first), gate, last[1])


def in_front(block: Any) -> None:
    """SE is the first layer of the branch, of as many units."""
    *layers, gate = block.layers
    channels = layers[0].in_channels
    units = gate.fc1.out_channels
    front: Any = with_units(gate, units)
    front.fc1, front.fc2 = nn.Conv2d(channels, units, 1), nn.Conv2d(units, channels, 1)
    block.layers = nn.Sequential(front, *layers)


class GatedSum(Residual):
    """SE scales the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        assert self.shortcut is not None
        *layers, gate = self.layers
        out = nn.Sequential(*layers)(maps) + self.shortcut(maps)
        return torch.relu(gate(out))


class GatedShortcut(Residual):
    """SE scales the shortcut."""

    def forward(self, maps: Tensor) -> Tensor:
        assert self.shortcut is not None
        *layers, gate = self.layers
        return torch.relu(nn.Sequential(*layers)(maps) + gate(self.shortcut(maps)))


def behind_the_sum(block: Any) -> None:
    """SE scales the sum."""
    block.__class__ = GatedSum


def on_the_shortcut(block: Any) -> None:
    """SE scales the shortcut."""
    block.__class__ = GatedShortcut


class SummedGate(SqueezeExcitation):
    """What scales the maps is added to them."""

    def forward(self, maps: Tensor) -> Tensor:
        scales: Tensor = self.gate(self.fc2(self.relu(self.fc1(self.squeeze(maps)))))
        return maps + scales


@kind("layer", "missing layer", "extra layer", "order")
def gate_added(net: nn.Module) -> Sites:
    """A block of SE that adds."""
    for name, _ in modules(net, SqueezeExcitation):
        yield of_class(name, SummedGate)


class NoCarry(highway.Highway):
    """The whole input beside the gated transform."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.transform(maps)) * torch.sigmoid(self.gate(maps)) + maps


class SwappedGates(highway.Highway):
    """The gate carries, and what is left of it transforms."""

    def forward(self, maps: Tensor) -> Tensor:
        carry = torch.sigmoid(self.gate(maps))
        return torch.relu(self.transform(maps)) * (1 - carry) + maps * carry


@kind("missing layer", "layer", "order", "wiring", "extra layer")
def carry_gate(net: nn.Module) -> Sites:
    """A highway layer that carries all of its input, or whose gates are swapped."""
    for name, _ in modules(net, highway.Highway):
        yield of_class(name, NoCarry)
        yield of_class(name, SwappedGates)
