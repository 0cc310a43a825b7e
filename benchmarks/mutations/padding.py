"""Changes of TensorFlow's padding."""

import copy
from itertools import pairwise
from typing import Any

from torch import nn

from archzoo.layers import (
    SamePadding,
)
from mutations.kinds import Sites, kind, modules, of_class, replacing


class ZerosBefore(SamePadding):
    """The odd row or column above and on the left."""

    def before_and_after(self, side: int) -> tuple[int, int]:
        before, after = super().before_and_after(side)
        return after, before


@kind("pad", "padding", "order")
def same_padding_mirrored(net: nn.Module) -> Sites:
    """The odd row of zeros above the maps."""
    for name, _ in modules(net, SamePadding):
        yield of_class(name, ZerosBefore)


@kind("padding", "missing layer", "layer", "pad", "kernel size", "pooling", "width")
def same_padding_symmetric(net: nn.Module) -> Sites:
    """Padding alike on all sides in the place of TensorFlow's."""
    for name, module in modules(net, nn.Sequential):
        for (a, x), (b, y) in pairwise(module.named_children()):
            if isinstance(x, SamePadding) and isinstance(y, nn.Conv2d | nn.MaxPool2d):

                def change(net: nn.Module, name: str = name, a: str = a, b: str = b) -> None:
                    parts: Any = net.get_submodule(name)
                    sides = parts.get_submodule(a).kernel_size // 2
                    setattr(parts, a, nn.Identity())
                    parts.get_submodule(b).padding = (
                        sides if isinstance(getattr(parts, b), nn.MaxPool2d) else (sides,) * 2
                    )

                yield f"{name} {a} -> {b}", change


@kind("padding", "extra layer", "layer", "pad")
def padding_to_same(net: nn.Module) -> Sites:
    """TensorFlow's padding in the place of one that is alike on all sides."""
    for name, module in modules(net, nn.Conv2d):
        if module.stride == (2, 2) and module.padding != (0, 0):
            yield replacing(name, padded_as_tensorflow)


def padded_as_tensorflow(conv: Any) -> nn.Module:
    """The convolution with TensorFlow's padding."""
    conv = copy.deepcopy(conv)
    conv.padding = (0, 0)
    return nn.Sequential(SamePadding(conv.kernel_size[0], 2), conv)
