"""Which channels a tensor holds, and how movements (views, slices, concatenations) rearrange them."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archzoo.comparison._graph import ZERO, Slots


@dataclass(frozen=True)
class Maps:
    """A tensor (1, C, ...) whose channel c is slot ``slots[c]``."""

    slots: Slots


@dataclass(frozen=True)
class Labels:
    """A tensor of any other layout: the slot of each element, and its position in maps of size ``side``."""

    slots: Tensor
    positions: Tensor
    side: tuple[int, ...]


@dataclass(frozen=True)
class Moved:
    """Channels of which only some positions are left, or of another order: ``positions`` for every channel."""

    slots: Slots
    positions: Slots
    side: tuple[int, ...]


@dataclass(frozen=True)
class Flattened:
    """A tensor (1, F) of single elements of maps."""

    slots: Slots
    positions: Slots


Holding = Maps | Labels
Result = Maps | Labels | Moved | Flattened


def labels_of(value: Holding, shape: tuple[int, ...]) -> Labels:
    """The slot and the position of every element of a tensor of this shape."""
    if isinstance(value, Labels):
        return value
    side = tuple(shape[2:])
    slots = torch.from_numpy(value.slots).view(1, -1, *(1 for _ in side)).expand(shape)
    positions = torch.arange(prod(side)).view(1, 1, *side).expand(shape)
    return Labels(slots, positions, side)


def zeros_like(shape: tuple[int, ...]) -> Labels:
    """The labels of a tensor of zeros."""
    zeros = torch.full((1,), ZERO, dtype=torch.int64).expand(shape)
    return Labels(zeros, zeros, tuple(shape[2:]))


def move_channels(move: Callable[[list[Tensor]], Any], operands: list[Maps]) -> list[Maps]:
    """Movements along the channels alone, made on one element of each channel."""
    result = move([torch.from_numpy(maps.slots).view(1, -1, 1, 1) for maps in operands])
    return [Maps(out.reshape(-1).numpy()) for out in (result if isinstance(result, list | tuple) else [result])]


def move_elements(move: Callable[[list[Tensor]], Any], operands: list[Labels]) -> list[Result]:
    """Any movement, made on the slot and the position of every element."""
    sides = {labels.side for labels in operands if bool((labels.slots != ZERO).any())}
    side = sides.pop() if len(sides) == 1 else (-1,)
    slots = move([labels.slots for labels in operands])
    positions = move([labels.positions for labels in operands])
    if not isinstance(slots, list | tuple):
        slots, positions = [slots], [positions]
    return [_compressed(*pair, side) for pair in zip(slots, positions, strict=True)]


def _compressed(slots: Tensor, positions: Tensor, side: tuple[int, ...]) -> Result:
    if slots.dim() == 2 and slots.shape[0] == 1:
        flat = slots[0].numpy().copy()
        return Maps(flat) if prod(side) == 1 else Flattened(flat, positions[0].numpy().copy())
    if slots.dim() < 3 or slots.shape[0] != 1:
        return Labels(slots, positions, side)
    rows, places = slots[0].flatten(1), positions[0].flatten(1)
    if not rows.shape[1] or not bool((rows == rows[:, :1]).all()):
        return Labels(slots, positions, side)
    channels = rows[:, 0].numpy().copy()
    real = places[rows[:, 0] != ZERO]
    if not len(real):
        return Maps(channels)
    if not bool((real == real[:1]).all()):
        return Labels(slots, positions, side)
    pattern = real[0].numpy().copy()
    if tuple(slots.shape[2:]) == side and np.array_equal(pattern, np.arange(prod(side))):
        return Maps(channels)
    return Moved(channels, pattern, side)
