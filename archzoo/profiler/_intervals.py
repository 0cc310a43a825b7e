"""Receptive fields: the pixels of the input that an output can depend on, propagated through the graph.

Along one axis of the image, the output at position p of a map depends on the pixels from ``lo + p * jump`` to
``hi + p * jump``, both included: an affine interval. A window of k with stride s, padding d and dilation e turns it
into (s * jump, lo - d * jump, hi + (e * (k - 1) - d) * jump). Where branches join, the field is the union of theirs;
intervals with the same jump merge into one. Where a dimension of the map is reduced or mixed, what remains is an
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
    """The pixels of the image that one output of a map depends on, axis by axis.

    ``axes`` has the intervals of every axis of the image, ``shape`` is the map's, batch and channels included.
    """

    axes: Field
    shape: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """The pixels that the field spans in the middle of the map, including those beyond the border."""
        spans = (_span(axis, self.shape[axis[0]] // 2 if axis[0] is not None else 0) for axis in self.axes)
        return tuple(ceil(hi - lo) + 1 for lo, hi in spans)

    @property
    def stride(self) -> tuple[float | None, ...]:
        """The distance between the fields of neighboring outputs: 0 if they coincide, None if paths disagree."""
        jumps = [{interval[0] for interval in intervals} for _, intervals in self.axes]
        return tuple(_plain(distinct.pop()) if len(distinct) == 1 else None for distinct in jumps)

    @property
    def offset(self) -> tuple[float, ...]:
        """The center of the first output's field, where 0 is the center of the first pixel."""
        return tuple(_plain(Fraction(sum(_span(axis, 0))) / 2) for axis in self.axes)

    def pixels(self, position: Sequence[int], image: Sequence[int]) -> list[range]:
        """The pixels, axis by axis, that the output at ``position`` depends on in an image with these sides."""
        spans = [_span(axis, index) for axis, index in zip(self.axes, position, strict=True)]
        return [
            range(max(ceil(lo), 0), min(floor(hi), side - 1) + 1) for (lo, hi), side in zip(spans, image, strict=True)
        ]


def whole_image(axes: int) -> Field:
    """The field of the image itself: every position depends on its own pixel."""
    pixel = ((1, 0, 0),)
    return tuple((axis - axes, pixel) for axis in range(axes))


def _span(axis: Axis, position: int) -> tuple[Number, Number]:
    """The first and the last pixel that one output depends on."""
    reach = [(lo + position * jump, hi + position * jump) for jump, lo, hi in axis[1]]
    return min(lo for lo, _ in reach), max(hi for _, hi in reach)


def _plain(number: Number) -> float:
    """An int if the number is integral, else a float."""
    return int(number) if number == int(number) else float(number)


def move(axis: Axis, stride: Number, before: Number, after: Number) -> Axis:
    """The axis after a window: position p reads positions from p * stride + before to p * stride + after."""
    dim, intervals = axis
    if len(intervals) == 1:  # nearly always: several are left only where paths of different strides meet
        ((jump, lo, hi),) = intervals
        return dim, ((jump * stride, lo + jump * before, hi + jump * after),)
    return dim, tuple((jump * stride, lo + jump * before, hi + jump * after) for jump, lo, hi in intervals)


def collapse(axis: Axis, length: int) -> Axis:
    """The axis of a value that depends on all positions of a map of this length."""
    reach = length - 1
    lo = min(min(lo, lo + jump * reach) for jump, lo, _ in axis[1])
    hi = max(max(hi, hi + jump * reach) for jump, _, hi in axis[1])
    return None, ((0, lo, hi),)


def unite(fields: Iterable[Field]) -> Field:
    """The union of several fields, where branches join."""
    distinct = list(dict.fromkeys(fields))
    return distinct[0] if len(distinct) == 1 else tuple(map(_unite, zip(*distinct, strict=True)))


def _unite(axes: Sequence[Axis]) -> Axis:
    spans: dict[Number, tuple[Number, Number]] = {}
    for jump, lo, hi in (interval for _, intervals in axes for interval in intervals):
        low, high = spans.get(jump, (lo, hi))
        spans[jump] = min(lo, low), max(hi, high)
    dim = next((dim for dim, _ in axes if dim is not None), None)
    return dim, tuple((jump, *span) for jump, span in spans.items())
