"""Receptive fields: which pixels of the input an output can depend on, carried through the graph.

Along one axis of the image, the output at position p of a map sees the pixels from ``lo + p * jump`` to
``hi + p * jump``, both included: an affine interval. A window of k with stride s, padding d and dilation e makes
(s * jump, lo - d * jump, hi + (e * (k - 1) - d) * jump) of it. Where branches meet, an output sees what any of them
saw; intervals of one jump unite into one. Where a dimension of the map is summed up or mixed, what is left is an
interval that does not move (jump 0).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TypeAlias

Number = int | Fraction
Interval: TypeAlias = tuple[Number, Number, Number]  # (jump, lo, hi)
Axis: TypeAlias = tuple[int | None, tuple[Interval, ...]]  # (dimension of the map from the end, or None; intervals)
Field: TypeAlias = tuple[Axis, ...]  # one axis for each axis of the image


@dataclass(frozen=True)
class ReceptiveField:
    """What one output of a map sees of the image, axis by axis, in pixels.

    ``axes`` are the intervals of every axis of the image, ``shape`` is that of the map, batch and channels included.
    """

    axes: Field
    shape: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """How many pixels the widest path spans, those beyond the border included, in the middle of the map."""
        spans = (_span(axis, self.shape[axis[0]] // 2 if axis[0] is not None else 0) for axis in self.axes)
        return tuple(ceil(hi - lo) + 1 for lo, hi in spans)

    @property
    def stride(self) -> tuple[float | None, ...]:
        """How far the field moves from one output to the next: 0 if all see the same, None where paths disagree."""
        jumps = [{interval[0] for interval in intervals} for _, intervals in self.axes]
        return tuple(_plain(each.pop()) if len(each) == 1 else None for each in jumps)

    @property
    def offset(self) -> tuple[float, ...]:
        """The center of the first output's field, where 0 is the center of the first pixel."""
        return tuple(_plain(Fraction(sum(_span(axis, 0))) / 2) for axis in self.axes)

    def pixels(self, position: Sequence[int], image: Sequence[int]) -> list[range]:
        """The pixels, axis by axis, that the output at this position can see of an image with these sides."""
        spans = [_span(axis, at) for axis, at in zip(self.axes, position, strict=True)]
        return [
            range(max(ceil(lo), 0), min(floor(hi), side - 1) + 1) for (lo, hi), side in zip(spans, image, strict=True)
        ]


def whole_image(axes: int) -> Field:
    """The field of the image itself: every position sees its own pixel."""
    pixel = ((1, 0, 0),)
    return tuple((at - axes, pixel) for at in range(axes))


def _span(axis: Axis, position: int) -> tuple[Number, Number]:
    """The first and the last pixel that one output sees."""
    reach = [(lo + position * jump, hi + position * jump) for jump, lo, hi in axis[1]]
    return min(lo for lo, _ in reach), max(hi for _, hi in reach)


def _plain(number: Number) -> float:
    """An integer where it is one, else a float."""
    return int(number) if number == int(number) else float(number)


def move(axis: Axis, stride: Number, before: Number, after: Number) -> Axis:
    """The axis behind a window: position p reads positions from p * stride + before to p * stride + after."""
    dim, intervals = axis
    if len(intervals) == 1:  # nearly always: several are left only where paths of different strides meet
        ((jump, lo, hi),) = intervals
        return dim, ((jump * stride, lo + jump * before, hi + jump * after),)
    return dim, tuple((jump * stride, lo + jump * before, hi + jump * after) for jump, lo, hi in intervals)


def collapse(axis: Axis, length: int) -> Axis:
    """The axis of a number that depends on all positions of a map of this length."""
    reach = length - 1
    lo = min(min(lo, lo + jump * reach) for jump, lo, _ in axis[1])
    hi = max(max(hi, hi + jump * reach) for jump, _, hi in axis[1])
    return None, ((0, lo, hi),)


def unite(fields: Iterable[Field]) -> Field:
    """What is seen where branches meet: the axes of all fields, united."""
    distinct = list(dict.fromkeys(fields))
    return distinct[0] if len(distinct) == 1 else tuple(map(_unite, zip(*distinct, strict=True)))


def _unite(axes: Sequence[Axis]) -> Axis:
    reached: dict[Number, tuple[Number, Number]] = {}
    for jump, lo, hi in (interval for _, intervals in axes for interval in intervals):
        low, high = reached.get(jump, (lo, hi))
        reached[jump] = min(lo, low), max(hi, high)
    dim = next((dim for dim, _ in axes if dim is not None), None)
    return dim, tuple((jump, *both) for jump, both in reached.items())
