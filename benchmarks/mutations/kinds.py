"""Kinds of change, which register themselves by name, and what all of them are made of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import nn

from archzoo.layers import (
    ResponseNorm,
    SamePadding,
)
from archzoo.models import (
    densenet,
)


@dataclass(frozen=True)
class Mutant:
    """A change of one network, at one place."""

    kind: str
    network: str
    where: str
    net: nn.Module
    verdict: str | None  # None: what the outputs with the same weights show
    reasons: frozenset[str]


Sites = Iterator[tuple[str, Callable[[nn.Module], None]]]


@dataclass(frozen=True)
class Kind:
    """A kind of change: its sites in a network, the verdict where it is known, and the reasons that name it."""

    sites: Callable[[nn.Module], Sites]
    verdict: str | None
    reasons: frozenset[str]


KINDS: dict[str, Kind] = {}


def kind(*reasons: str, verdict: str | None = None) -> Callable[[Callable[[nn.Module], Sites]], Any]:
    """Register a kind of change by its function's name."""

    def register(sites: Callable[[nn.Module], Sites]) -> Any:
        KINDS[sites.__name__] = Kind(sites, verdict, frozenset(reasons))
        return sites

    return register


def modules(net: nn.Module, *classes: type) -> Iterator[tuple[str, Any]]:
    """The modules of these classes, by name."""
    return ((name, module) for name, module in net.named_modules() if isinstance(module, classes))


def setting(name: str, **values: Any) -> tuple[str, Callable[[nn.Module], None]]:
    """A change of attributes of the module of this name."""

    def change(net: nn.Module) -> None:
        for key, value in values.items():
            setattr(net.get_submodule(name), key, value)

    return f"{name} {values}", change


def replacing(name: str, new: Callable[[nn.Module], nn.Module]) -> tuple[str, Callable[[nn.Module], None]]:
    """Another module in the place of one."""

    def change(net: nn.Module) -> None:
        parent, _, own = name.rpartition(".")
        module = new(net.get_submodule(name)).eval()
        setattr(net.get_submodule(parent), own, module)

    return f"{name} {new.__name__}", change


def of_class(name: str, other: type, **values: Any) -> tuple[str, Callable[[nn.Module], None]]:
    """Another class, with another forward, for the module of this name."""

    def change(net: nn.Module) -> None:
        module = net.get_submodule(name)
        module.__class__ = other
        for key, value in values.items():
            setattr(module, key, value)

    return f"{name} {other.__name__} {values or ''}", change


def neighbors(net: nn.Module, first: type, second: type) -> Iterator[tuple[str, str, str]]:
    """Pairs of neighbors in sequences, as the sequence and two names."""
    for name, module in modules(net, nn.Sequential):
        children = list(module.named_children())
        for (a, x), (b, y) in pairwise(children):
            if isinstance(x, first) and isinstance(y, second):
                yield name, a, b


def swapping(sequence: str, a: str, b: str) -> tuple[str, Callable[[nn.Module], None]]:
    """Two modules of a sequence in each other's place."""

    def change(net: nn.Module) -> None:
        parts = net.get_submodule(sequence)._modules
        parts[a], parts[b] = parts[b], parts[a]

    return f"{sequence} {a} <-> {b}", change


CHAINS = (nn.Sequential, densenet.DenseLayer)
BETWEEN = (nn.ReLU, nn.ReLU6, nn.Tanh, nn.Dropout, nn.MaxPool2d, nn.AvgPool2d, ResponseNorm, SamePadding, nn.Identity)


def leaves(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a sequence, one after another, and those of sequences in it; others are one layer."""
    for child, part in module.named_children():
        inner = f"{name}.{child}".lstrip(".")
        yield from leaves(inner, part) if type(part) in CHAINS else [(inner, part)]
