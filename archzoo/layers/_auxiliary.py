"""Auxiliary classifiers: features and a classifier that return more in training than in evaluation."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

SCRIPTED = "auxiliary classifiers do not run in TorchScript: call eval() first, or train the network as it is"


class Tapped(nn.Sequential):
    """Features that in training return a tuple of maps: the last, and those of the parts ``taps``, in order."""

    def __init__(self, parts: Mapping[str, nn.Module], taps: Collection[str]) -> None:
        super().__init__(OrderedDict(parts))
        self.taps = frozenset(taps)

    def forward(self, maps: Tensor) -> Any:
        if self.training and not torch.jit.is_scripting():
            return self.tapped(maps)
        for part in self:
            maps = part(maps)
        return maps

    @torch.jit.unused
    def tapped(self, maps: Tensor) -> tuple[Tensor, ...]:
        """The maps of training: the last, and those of the taps."""
        tapped = []
        for name, part in self.named_children():
            maps = part(maps)
            if name in self.taps:
                tapped.append(maps)
        return maps, *tapped


class Classifiers(nn.Sequential):
    """A classifier, and auxiliary classifiers that run in training, each on one of the maps that Tapped returns.

    ``logits`` makes a named tuple of the main and the auxiliary logits.
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        auxiliary: Mapping[str, nn.Module],
        logits: Callable[..., tuple[Tensor, ...]],
    ) -> None:
        super().__init__(OrderedDict({**parts, **auxiliary}))
        self.main = len(parts)
        self.logits = logits

    def forward(self, maps: Any) -> Any:
        if not torch.jit.is_scripting() and isinstance(maps, tuple):
            return self.all_logits(*maps)
        if torch.jit.is_scripting() and self.training:
            raise RuntimeError(SCRIPTED)
        for place, layer in enumerate(self):
            if place < self.main:
                maps = layer(maps)
        return maps

    @torch.jit.unused
    def all_logits(self, maps: Tensor, *tapped: Tensor) -> tuple[Tensor, ...]:
        """The logits of training: those of the main classifier, and of each auxiliary one."""
        for layer in list(self)[: self.main]:
            maps = layer(maps)
        return self.logits(maps, *(layer(read) for layer, read in zip(self.auxiliary, tapped, strict=True)))

    @property
    def auxiliary(self) -> list[nn.Module]:
        """The auxiliary classifiers."""
        return list(self)[self.main :]
