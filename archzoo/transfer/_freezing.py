"""Freezing parts of a network: no gradients, and batch statistics that stay."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from archzoo.transfer._parts import find_part

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class FrozenBatchNorm1d(nn.BatchNorm1d):
    """Batch normalization that stays in eval mode: its running statistics are used and never updated."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm1d":
        return super().train(False)


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization that stays in eval mode: its running statistics are used and never updated."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm2d":
        return super().train(False)


class FrozenBatchNorm3d(nn.BatchNorm3d):
    """Batch normalization that stays in eval mode: its running statistics are used and never updated."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm3d":
        return super().train(False)


FROZEN_TYPES = dict(zip(BATCH_NORMS, (FrozenBatchNorm1d, FrozenBatchNorm2d, FrozenBatchNorm3d), strict=True))
UNFROZEN_TYPES = {frozen: norm for norm, frozen in FROZEN_TYPES.items()}


def freeze(net: nn.Module, *parts: str) -> int:
    """Freeze parts by name, or the whole network if none is named.

    Their parameters require no gradients, and batch normalizations keep their statistics, also after ``net.train()``.
    Returns how many parameters were frozen. Raises UnknownPart, and freezes nothing, if a part does not exist.
    """
    chosen = _find_parts(net, parts)
    count = _set_requires_grad(chosen, False)
    for module in {module for part in chosen for module in part.modules()}:
        if type(module) in FROZEN_TYPES:
            module.__class__ = FROZEN_TYPES[type(module)]  # type: ignore[index]
            module.train(False)
    return count


def unfreeze(net: nn.Module, *parts: str) -> int:
    """Unfreeze parts by name, or the whole network if none is named, and return how many parameters were unfrozen."""
    chosen = _find_parts(net, parts)
    count = _set_requires_grad(chosen, True)
    for module in {module for part in chosen for module in part.modules()}:
        if type(module) in UNFROZEN_TYPES:
            module.__class__ = UNFROZEN_TYPES[type(module)]  # type: ignore[index]
            module.train(net.training)
    return count


def _find_parts(net: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    return [find_part(net, name) for name in names] or [net]


def _set_requires_grad(parts: Sequence[nn.Module], value: bool) -> int:
    """Set ``requires_grad`` and return how many numbers it changed for."""
    changed = {parameter for part in parts for parameter in part.parameters() if parameter.requires_grad != value}
    for parameter in changed:
        parameter.requires_grad_(value)
    return sum(parameter.numel() for parameter in changed)


@contextmanager
def frozen(net: nn.Module, *parts: str) -> Iterator[None]:
    """Freeze parts inside the block; what was frozen before stays so. Raises UnknownPart."""
    required = [(parameter, parameter.requires_grad) for parameter in net.parameters()]
    types = [(module, type(module)) for module in net.modules()]
    freeze(net, *parts)
    try:
        yield
    finally:
        for parameter, requires_grad in required:
            parameter.requires_grad_(requires_grad)
        for module, kind in types:
            if type(module) is not kind:
                module.__class__ = kind
                module.train(net.training)
