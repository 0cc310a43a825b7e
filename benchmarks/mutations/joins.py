"""Changes of shortcuts, concatenations and the shuffles of ShuffleNet V2."""

from collections import Counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers import (
    Inception,
    Padded,
    Residual,
)
from archzoo.models import (
    densenet,
    lenet,
    mobilenet_v2,
    preact_resnet,
    shufflenet_v2,
    squeezenet,
)
from mutations.kinds import Sites, kind, modules, of_class, replacing, setting
from mutations.networks import PERMUTED


class Centered(Padded):
    """Zeros on both sides, as in a much-used implementation."""

    def forward(self, maps: Tensor) -> Tensor:
        before = self.missing // 2
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.missing - before))


class ZerosFirst(Padded):
    """Zeros before the maps."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.missing, 0))


class PooledPadded(Padded):
    """Average pooling in place of every other position."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(F.avg_pool2d(maps, self.stride), (0, 0, 0, 0, 0, self.missing))


class MaxPadded(Padded):
    """Max pooling of a single position, which is every other position."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(F.max_pool2d(maps, 1, self.stride), (0, 0, 0, 0, 0, self.missing))


@kind(verdict=PERMUTED)
def centered_padding(net: nn.Module) -> Sites:
    """The zeros of option A on both sides or in front: in all shortcuts, or in one."""
    names = [name for name, _ in modules(net, Padded)]
    for other in (Centered, ZerosFirst):
        for chosen in [names, *([name] for name in names)] if names else []:

            def change(net: nn.Module, other: type = other, chosen: list[str] = chosen) -> None:
                for name in chosen:
                    net.get_submodule(name).__class__ = other

            yield f"{chosen} {other.__name__}", change


@kind("pooling", "subsample", "layer", "positions", "wiring")
def shortcut_pooled(net: nn.Module) -> Sites:
    """Averages in a shortcut of option A."""
    for name, _ in modules(net, Padded):
        yield of_class(name, PooledPadded)


@kind("missing layer", "order", "layer", "wiring", "width")
def shortcut_missing(net: nn.Module) -> Sites:
    """No shortcut."""
    for name, _ in modules(net, Residual):
        yield setting(name, shortcut=None)
    for name, module in modules(net, mobilenet_v2.InvertedResidual):
        if module.shortcut:
            yield setting(name, shortcut=False)


class RawProjection(preact_resnet.Unit):
    """A projection that reads the input, not its activation."""

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers(self.activation(maps.clone()))
        shortcut: Tensor = maps if self.project is None else self.project(maps)
        return out + shortcut


@kind("wiring", "order", "missing layer", "layer", "channel order", "extra layer")
def raw_projection(net: nn.Module) -> Sites:
    """A projection before the activation, not behind it."""
    for name, module in modules(net, preact_resnet.Unit):
        if module.project is not None and not isinstance(module.activation, nn.Identity):
            yield of_class(name, RawProjection)


class NewFirst(densenet.DenseLayer):
    """The new maps before those of the input."""

    def forward(self, maps: Tensor) -> Tensor:
        new = maps
        for layer in self:
            new = layer(new)
        return torch.cat([new, maps], dim=1)


class Reversed(Inception):
    """The branches in reverse."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in list(self)[::-1]], dim=1)


class LargeFirst(squeezenet.Fire):
    """The 3x3 maps before the 1x1 maps."""

    def forward(self, maps: Tensor) -> Tensor:
        squeezed = torch.relu(self.squeeze(maps))
        return torch.relu(torch.cat([self.expand3x3(squeezed), self.expand1x1(squeezed)], dim=1))


@kind(verdict=PERMUTED)
def swapped_concatenation(net: nn.Module) -> Sites:
    """What is concatenated in another order."""
    for old, new in ((densenet.DenseLayer, NewFirst), (Inception, Reversed), (squeezenet.Fire, LargeFirst)):
        for name, _ in modules(net, old):
            yield of_class(name, new)


@kind(verdict=PERMUTED)
def reversed_table(net: nn.Module) -> Sites:
    """The maps of LeNet-5's C3 in another order."""
    for name, _ in modules(net, lenet.SparseConv):
        yield replacing(name, reversed_columns)


def reversed_columns(_: nn.Module) -> nn.Module:
    """C3 with its maps in reverse."""
    return lenet.SparseConv(lenet.TABLE_I[::-1])


@kind("wiring", "channel order", "width", "groups")
def other_table(net: nn.Module) -> Sites:
    """Another map of S2 for the first of C3."""
    for name, _ in modules(net, lenet.SparseConv):
        yield replacing(name, other_columns)


def other_columns(_: nn.Module) -> nn.Module:
    """C3 by another table."""
    return lenet.SparseConv(((0, 2, 4), *lenet.TABLE_I[1:]))


def shuffled(maps: Tensor, number: int) -> Tensor:
    """Maps shuffled by a number of groups."""
    batch, channels, height, width = maps.shape
    return maps.reshape(batch, number, channels // number, height, width).transpose(1, 2).flatten(1, 2)


class OtherShuffle(shufflenet_v2.Unit):
    """A shuffle of ``groups`` groups."""

    groups: int

    def forward(self, maps: Tensor) -> Tensor:
        left, right = maps.chunk(2, dim=1)
        return shuffled(torch.cat([left, self.branch(right)], dim=1), self.groups)


class OtherDown(shufflenet_v2.DownUnit):
    """The same at the end of a unit that halves the resolution."""

    groups: int

    def forward(self, maps: Tensor) -> Tensor:
        return shuffled(torch.cat([self.left(maps), self.branch(maps)], dim=1), self.groups)


class LeftTransformed(shufflenet_v2.Unit):
    """The other half is transformed."""

    def forward(self, maps: Tensor) -> Tensor:
        left, right = maps.chunk(2, dim=1)
        return shufflenet_v2.shuffle(torch.cat([self.branch(left), right], dim=1))


SHUFFLES = (1, 2, 3, 4, 6, 8)


@kind("channel order", "wiring", "width")
def channel_shuffle(net: nn.Module) -> Sites:
    """Another number of groups, in all units of a network or in one."""
    units = [name for name, _ in modules(net, shufflenet_v2.Unit, shufflenet_v2.DownUnit)]
    for number in SHUFFLES if units else ():
        for chosen in (units, *([unit] for unit in units)):

            def change(net: nn.Module, number: int = number, chosen: list[str] = chosen) -> None:
                for name in chosen:
                    unit: Any = net.get_submodule(name)
                    unit.__class__ = OtherDown if isinstance(unit, shufflenet_v2.DownUnit) else OtherShuffle
                    unit.groups = number

            yield f"{'all' if chosen is units else chosen[0]} {number}", change


@kind("channel order", "wiring", "width")
def other_half(net: nn.Module) -> Sites:
    """Units that transform their left half."""
    for name, _ in modules(net, shufflenet_v2.Unit):
        yield of_class(name, LeftTransformed)


Channel = tuple[str, ...]  # the life of a channel: who wrote it, and who read it


def lives(net: nn.Module) -> Counter[Channel]:
    """The life of every channel of a ShuffleNet V2 in its stages, of which none is ever added to another.

    Two such networks are the same up to a permutation exactly if as many channels have each life: channels of one
    layer can be renamed at will, and there is nothing else that tells them apart.
    """
    ended: Counter[Channel] = Counter()
    maps: list[Channel] = [("stem",)] * 24
    new: list[Channel]
    for name, unit in modules(net, shufflenet_v2.Unit, shufflenet_v2.DownUnit):
        number = getattr(unit, "groups", 2)
        new = [(f"{name}.branch",)] * unit.branch.expand.conv.out_channels
        if hasattr(unit, "left"):
            ended.update((*channel, name) for channel in maps)
            maps = [(f"{name}.left",)] * unit.left.expand.conv.out_channels + new
        else:
            half = len(maps) // 2
            left, right = maps[:half], maps[half:]
            if isinstance(unit, LeftTransformed):
                left, right = right, left
            ended.update((*channel, f"{name}.last") for channel in right)
            joined = new + left if isinstance(unit, LeftTransformed) else left + new
            maps = joined
        columns = len(maps) // number
        maps = [maps[row * columns + column] for column in range(columns) for row in range(number)]
        maps = [(*channel, name) if channel[-1] != name else channel for channel in maps]
    ended.update((*channel, "conv5") for channel in maps)
    return ended
