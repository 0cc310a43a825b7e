"""Changes of index layers, and of shuffles of groups."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers import (
    ChannelShuffle,
    Select,
    ShuffleDownUnit,
)
from archzoo.models import (
    condensenet,
)
from mutations.kinds import Sites, kind, modules, replacing, setting
from mutations.networks import DIFFERENT, PERMUTED


@kind(verdict=PERMUTED)
def index_within_a_group(net: nn.Module) -> Sites:
    """The maps that a group reads in another order."""
    for name, module in modules(net, condensenet.DenseLayer):
        if "select" in dict(module.named_children()):
            yield replacing(f"{name}.select", rolled_in_groups(module.conv1.groups))


def rolled_in_groups(number: int) -> Callable[[nn.Module], nn.Module]:
    """Makes an index layer whose groups read the same maps, the last one first."""

    def rolled(select: Any) -> nn.Module:
        return Select(select.index.view(number, -1).roll(1, dims=1).flatten(), select.inputs)

    return rolled


@kind("channel order", "wiring", verdict=DIFFERENT)
def index_doubled(net: nn.Module) -> Sites:
    """One map is read twice by a group, and another not at all: as many read each map no more."""
    for name, module in modules(net, condensenet.DenseLayer):
        if "select" in dict(module.named_children()):
            yield replacing(f"{name}.select", doubled)


def doubled(select: Any) -> nn.Module:
    """An index layer of which the second place reads what the first does."""
    index = select.index.clone()
    index[1] = index[0]
    return Select(index, select.inputs)


def exchanged(groups: int, number: int, maps: int) -> Tensor:
    """How many maps a shuffle of ``number`` groups brings from each of ``groups`` to each of them."""
    writers = torch.arange(maps) // (maps // groups)
    readers = torch.arange(maps) // (maps // groups)
    moved = writers.view(number, -1).t().flatten()
    counts = torch.zeros(groups, groups, dtype=torch.long)
    return counts.index_put((moved, readers), torch.ones(maps, dtype=torch.long), accumulate=True)


def shuffles(net: nn.Module) -> Iterator[tuple[str, ChannelShuffle, int, int, bool]]:
    """Shuffles between two convolutions: name, shuffle, groups, maps, and whether only the second has groups."""
    for name, module in modules(net, nn.Sequential):
        layers = dict(module.named_children())
        if not isinstance(layers.get("shuffle"), ChannelShuffle):
            continue
        convs = [part for part in module.modules() if isinstance(part, nn.Conv2d) and part.groups != part.in_channels]
        if len(convs) == 2:
            yield f"{name}.shuffle", layers["shuffle"], convs[1].groups, convs[1].in_channels, convs[0].groups == 1


@kind("channel order", "wiring")
def shuffle_groups(net: nn.Module) -> Sites:
    """A shuffle of another number of groups, or the other way round."""
    for name, shuffle, _, maps, _ in shuffles(net):
        for number in sorted({1, 2, 3, 4, 5, 6, 8, maps // shuffle.groups}):
            if number != shuffle.groups and maps % number == 0:
                yield setting(name, groups=number)


def truth_of_a_shuffle(net: nn.Module, mutant: nn.Module) -> str | None:
    """The verdict on another shuffle: by how many maps go from each group to each other. None where that is open.

    Maps of one group are read alike and can be renamed. Without groups before the shuffle, all of them can.
    """
    theirs = {name: shuffle.groups for name, shuffle, *_ in shuffles(mutant)}
    for name, shuffle, groups, maps, free in shuffles(net):
        if theirs[name] == shuffle.groups or free:
            continue
        first, second = exchanged(groups, shuffle.groups, maps), exchanged(groups, theirs[name], maps)
        if first.flatten().sort().values.tolist() != second.flatten().sort().values.tolist():
            return DIFFERENT
        if not torch.equal(first, second):
            return None
    return PERMUTED


class BranchFirst(ShuffleDownUnit):
    """The maps of the branch before those of the pooling."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([F.relu(self.branch(maps)), self.pool(maps)], dim=1)


@kind(verdict=PERMUTED)
def mirrored_concatenations(net: nn.Module) -> Sites:
    """All units of ShuffleNet v1 that halve the resolution with their maps in reverse.

    Their groups then read the same maps with the last group first, and each shuffle is the same from its end.
    """
    names = [name for name, _ in modules(net, ShuffleDownUnit)]

    def change(net: nn.Module) -> None:
        for name in names:
            net.get_submodule(name).__class__ = BranchFirst

    if names:
        yield "all", change
