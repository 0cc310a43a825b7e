"""Inception modules: branches side by side, and how the figures of the later Inception papers write them."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from archzoo.layers._batch_norm import batch_norm
from archzoo.layers._modules import Conv2d, sequence

# A convolution or pooling and the maps that it returns: "3x3/2 V" has stride 2 and no padding, as V says. All others
# are padded to keep the size of the maps, or to halve it. "1x3 | 3x1" are two convolutions side by side. Poolings
# return as many maps as they read, and have 0. "max/2" keeps the incomplete windows at the lower and right edge, as
# Caffe does, and "max/2 V" leaves them out.
Layer = tuple[str, int]
Branches = Mapping[str, tuple[Layer, ...]]
MAX_POOLINGS: Mapping[str, Callable[[], nn.Module]] = {
    "max": partial(nn.MaxPool2d, 3, stride=1, padding=1),
    "max/2": partial(nn.MaxPool2d, 3, stride=2, ceil_mode=True),
    "max/2 V": partial(nn.MaxPool2d, 3, stride=2),
}
POOLINGS = ("average", *MAX_POOLINGS)


class Inception(nn.Sequential):
    """Parallel branches on the same maps, with concatenated outputs (GoogLeNet, Fig. 2)."""

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__(OrderedDict(branches))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self], dim=1)


@dataclass(frozen=True)
class InceptionLayers:
    """Convolutions with batch normalization and ReLU, poolings, and the modules that they make.

    Batch normalization has this epsilon, with or without a scale. ``count_include_pad`` is whether average poolings
    count their padding.
    """

    eps: float = 0.001
    scale: bool = True
    count_include_pad: bool = False

    def conv(self, inputs: int, text: str, maps: int, *, norm: bool = True) -> nn.Sequential:
        """A convolution without bias, batch normalization and ReLU. Without ``norm`` it has a bias."""
        size, stride, padded = read_convolution(text)
        padding = (size[0] // 2, size[1] // 2) if padded else 0
        conv = Conv2d(inputs, maps, size, stride, padding, bias=not norm)
        bn = {"bn": batch_norm(maps, self.eps, scale=self.scale)} if norm else {}
        return sequence(conv=conv, **bn, relu=nn.ReLU(inplace=True))

    def layer(self, inputs: int, layer: Layer) -> tuple[nn.Module, int]:
        """A pooling, a convolution, or two of them side by side, and the maps that it returns."""
        text, maps = layer
        if text == "average":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=self.count_include_pad), inputs
        if text in MAX_POOLINGS:
            return MAX_POOLINGS[text](), inputs
        pair = text.split(" | ")
        if len(pair) > 1:
            return Inception({part: self.conv(inputs, part, maps) for part in pair}), len(pair) * maps
        return self.conv(inputs, text, maps), maps

    def branch(self, inputs: int, layers: tuple[Layer, ...]) -> tuple[nn.Sequential, int]:
        """Layers one after another, and the maps that the last one returns."""
        parts: dict[str, nn.Module] = {}
        for layer in layers:
            name = "pool" if layer[0] in POOLINGS else f"conv{len(parts.keys() - {'pool'}) + 1}"
            parts[name], inputs = self.layer(inputs, layer)
        return sequence(**parts), inputs

    def module(self, inputs: int, branches: Branches) -> tuple[Inception, int]:
        """Branches side by side, and the maps that they return together."""
        made = {name: self.branch(inputs, layers) for name, layers in branches.items()}
        return Inception({name: branch for name, (branch, _) in made.items()}), sum(maps for _, maps in made.values())

    def parts(self, inputs: int, table: Mapping[str, Layer | Branches]) -> tuple[dict[str, nn.Module], int]:
        """The layers and modules of a table, one after another, and the maps that the last one returns."""
        parts: dict[str, nn.Module] = {}
        for name, part in table.items():
            made = self.layer(inputs, part) if isinstance(part, tuple) else self.module(inputs, part)
            parts[name], inputs = made
        return parts, inputs


def read_convolution(text: str) -> tuple[tuple[int, int], int, bool]:
    """The kernel size and the stride of a convolution, and whether it is padded: "3x3/2 V"."""
    match = re.fullmatch(r"(\d)x(\d)(?:/(\d))?( V)?", text)
    assert match is not None
    return (int(match[1]), int(match[2])), int(match[3] or 1), match[4] is None
