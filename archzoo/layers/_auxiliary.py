"""Auxiliary classifiers: features and a classifier that return more in training than in evaluation."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from archzoo.layers._graphs import is_scripting


class Tapped(nn.Sequential):
    """Features that in training return a tuple of maps: the last, and those of the parts ``taps``, in order."""

    def __init__(self, parts: Mapping[str, nn.Module], taps: Collection[str]) -> None:
        super().__init__(OrderedDict(parts))
        self.taps = frozenset(taps)

    def forward(self, maps: Tensor) -> Tensor:
        if self.training and not is_scripting():
            return cast(Tensor, self.tapped(maps))  # TorchScript has no type for one or the other
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

    __jit_unused_properties__: ClassVar = ["auxiliary"]

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        auxiliary: Mapping[str, nn.Module],
        logits: Callable[..., tuple[Tensor, ...]],
    ) -> None:
        super().__init__(OrderedDict({**parts, **auxiliary}))
        self.main = len(parts)
        self.logits = logits

    def forward(self, maps: Tensor) -> Tensor:
        if not is_scripting():
            return cast(Tensor, self.all_logits(maps))
        if self.training:
            raise RuntimeError("auxiliary classifiers do not run in TorchScript: call eval() first")
        return self.main_logits(maps)

    def main_logits(self, maps: Tensor) -> Tensor:
        """The logits of the main classifier."""
        for place, layer in enumerate(self):
            if place < self.main:
                maps = layer(maps)
        return maps

    @torch.jit.unused
    def all_logits(self, maps: Any) -> Any:
        """The logits of the main classifier, and for a tuple of maps those of each auxiliary one."""
        if not isinstance(maps, tuple):
            return self.main_logits(maps)
        last, *tapped = maps
        main = self.main_logits(last)
        return self.logits(main, *(layer(read) for layer, read in zip(self.auxiliary, tapped, strict=True)))

    @property
    def auxiliary(self) -> list[nn.Module]:
        """The auxiliary classifiers."""
        return list(self)[self.main :]
