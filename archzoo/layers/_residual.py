"""Residual networks: stages of blocks, the shortcuts of ResNet, and its basic block."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers._modules import conv1x1, conv3x3, sequence

Shortcut = Callable[[int, int, int], nn.Module]  # (in_channels, out_channels, stride)


class Block(Protocol):
    """Makes one block of a residual network, which returns ``expansion`` * ``width`` feature maps."""

    @property
    def expansion(self) -> int: ...

    def __call__(self, in_channels: int, width: int, stride: int, /) -> nn.Module: ...


def stages(block: Block, in_channels: int, widths: Sequence[int], lengths: Sequence[int]) -> dict[str, nn.Module]:
    """Stages conv2_x, conv3_x and so on, with the width and the number of blocks of each.

    The first block of every stage but the first has stride 2.
    """
    parts: dict[str, nn.Module] = {}
    for number, (width, length) in enumerate(zip(widths, lengths, strict=True), 2):
        stage = nn.Sequential()
        for i in range(length):
            stage.add_module(f"block{i + 1}", block(in_channels, width, 2 if number > 2 and i == 0 else 1))
            in_channels = block.expansion * width
        parts[f"conv{number}_x"] = stage
    return parts


class Padded(nn.Module):
    """A shortcut without parameters: every ``stride``-th position, followed by ``missing`` feature maps of zeros."""

    def __init__(self, missing: int, stride: int) -> None:
        super().__init__()
        self.missing = missing
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))

    def extra_repr(self) -> str:
        return f"missing={self.missing}, stride={self.stride}"


def padded(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Shortcut of option A (ResNet, Sec. 3.3): the identity, with zeros for the added feature maps."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return Padded(out_channels - in_channels, stride)


def projected(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Shortcut of option B (ResNet, Sec. 3.3): a projection where the shape changes, else the identity."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return projection(in_channels, out_channels, stride)


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A 1x1 convolution and batch normalization."""
    return sequence(conv=conv1x1(in_channels, out_channels, stride), bn=nn.BatchNorm2d(out_channels))


class Residual(nn.Module):
    """ReLU(F(x) + x), Eq. 1 of ResNet, from the layers F and a shortcut. Without a shortcut it is ReLU(F(x))."""

    def __init__(self, layers: nn.Sequential, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers(maps)
        if self.shortcut is not None:
            out = out + self.shortcut(maps)
        return F.relu(out, inplace=True)


class ResidualSum(nn.Module):
    """F(x) + x, from the layers F and a shortcut: no activation follows the sum (PyramidNet, Fig. 6d)."""

    def __init__(self, layers: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        residual: Tensor = self.layers(maps)
        shortcut: Tensor = self.shortcut(maps)
        return residual + shortcut


@dataclass(frozen=True)
class Basic:
    """The basic block (ResNet, Fig. 5 left): two 3x3 convolutions, the stride in the first."""

    shortcut: Shortcut | None
    expansion: int = 1

    def __call__(self, in_channels: int, width: int, stride: int, /) -> Residual:
        layers = sequence(
            conv1=conv3x3(in_channels, width, stride),
            bn1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width),
            bn2=nn.BatchNorm2d(width),
        )
        return Residual(layers, self.shortcut and self.shortcut(in_channels, width, stride))
