"""Auxiliary classifiers: features and a classifier that return more in training than in evaluation."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor, nn


class Tapped(nn.Sequential):
    """Features that in training return a tuple of maps: the last, and those of the parts ``taps``, in order."""

    def __init__(self, parts: Mapping[str, nn.Module], taps: Collection[str]) -> None:
        super().__init__(OrderedDict(parts))
        self.taps = frozenset(taps)

    def forward(self, maps: Tensor) -> Tensor | tuple[Tensor, ...]:
        tapped = []
        for name, part in self.named_children():
            maps = part(maps)
            if self.training and name in self.taps:
                tapped.append(maps)
        return (maps, *tapped) if tapped else maps


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

    def forward(self, maps: Tensor | tuple[Tensor, ...]) -> Any:
        out, *tapped = maps if isinstance(maps, tuple) else (maps,)
        for layer in list(self)[: self.main]:
            out = layer(out)
        if not tapped:
            return out
        return self.logits(out, *(layer(maps) for layer, maps in zip(self.auxiliary, tapped, strict=True)))

    @property
    def auxiliary(self) -> list[nn.Module]:
        """The auxiliary classifiers."""
        return list(self)[self.main :]
