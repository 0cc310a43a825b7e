"""Receptive fields: the pixels of the input that an output can depend on, propagated through the graph.

Along one axis of the image, the output at position p of a map depends on the pixels from ``lo + p * jump`` to
``hi + p * jump``, both included: an affine interval. A window of k with stride s, padding d and dilation e turns it
into (s * jump, lo - d * jump, hi + (e * (k - 1) - d) * jump). Where branches join, the field is the union of theirs;
intervals with the same jump merge into one. Where a dimension of the map is reduced or mixed, what remains is an
interval that does not move (jump 0). After upsampling neighbors do not move evenly: their intervals have phases, which
repeat.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import TypeAlias

Number = int | Fraction
Span: TypeAlias = tuple[Number, Number]  # the first and the last pixel
MOST_PHASES = 4096  # with more of them, an interval that moves evenly is taken around them


@dataclass(frozen=True)
class Phases:
    """Intervals that repeat: position a * n + r depends on ``spans[r]`` + a * jump, where n is the number of spans.

    A span of None depends on no pixel.
    """

    jump: Number
    spans: tuple[Span | None, ...]


Interval: TypeAlias = tuple[Number, Number, Number] | Phases  # (jump, lo, hi)
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
        """The pixels that the field spans in the middle of the map, including those beyond the border.

        Behind upsampling, fields of neighbors have different sizes; this is the largest.
        """
        spans = ([_span(axis, position) for position in _around_the_middle(axis, self.shape)] for axis in self.axes)
        return tuple(max(ceil(hi - lo) for lo, hi in of_axis) + 1 for of_axis in spans)

    @property
    def stride(self) -> tuple[float | None, ...]:
        """The distance between the fields of neighboring outputs: 0 if they coincide, None if paths disagree."""
        jumps = [set(map(_jump, intervals)) for _, intervals in self.axes]
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


def _jump(interval: Interval) -> Number:
    """The distance between neighbors, on average."""
    return Fraction(interval.jump) / len(interval.spans) if isinstance(interval, Phases) else interval[0]


def _plain(number: Number) -> float:
    """An int if the number is integral, else a float."""
    return int(number) if number == int(number) else float(number)


def span_of(interval: Interval, position: int) -> Span | None:
    """The first and the last pixel that the element at ``position`` depends on, or None for no pixel."""
    if not isinstance(interval, Phases):
        jump, lo, hi = interval
        return lo + position * jump, hi + position * jump
    times, phase = divmod(position, len(interval.spans))
    span = interval.spans[phase]
    return None if span is None else (span[0] + times * interval.jump, span[1] + times * interval.jump)


def hull(spans: Iterable[Span | None]) -> Span | None:
    """The smallest span that has all of these in it."""
    ends = [span for span in spans if span is not None]
    return (min(lo for lo, _ in ends), max(hi for _, hi in ends)) if ends else None


def _span(axis: Axis, position: int) -> Span:
    """The first and the last pixel that one output depends on; an empty span for no pixel."""
    return hull(span_of(interval, position) for interval in axis[1]) or (0, -1)


def _around_the_middle(axis: Axis, shape: Sequence[int]) -> range:
    """Positions in the middle of the map, with all phases of the intervals among them."""
    if axis[0] is None:
        return range(1)
    length = shape[axis[0]]
    period = min(lcm(*(len(interval.spans) for interval in axis[1] if isinstance(interval, Phases))), length)
    first = min(length // 2, length - period)
    return range(first, first + max(period, 1))


def move(axis: Axis, stride: int, before: int, after: int, step: int = 1) -> Axis:
    """The axis after a window: position p reads every ``step``-th from p * stride + before to p * stride + after."""
    dim, intervals = axis
    first = intervals[0]
    if len(intervals) == 1 and not isinstance(first, Phases):  # nearly always: others come from upsampling
        jump, lo, hi = first
        return dim, ((jump * stride, lo + jump * before, hi + jump * after),)
    return reindex(axis, [range(before, after + 1, step)], stride)


def reindex(axis: Axis, reads: Sequence[Sequence[int]], shift: int) -> Axis:
    """The axis after an operator that repeats itself: position a * len(reads) + r reads ``reads[r]`` + a * shift."""
    return axis[0], tuple(_reindex(interval, reads, shift) for interval in axis[1])


def _reindex(interval: Interval, reads: Sequence[Sequence[int]], shift: int) -> Interval:
    period = len(interval.spans) if isinstance(interval, Phases) else 1
    repeats = period // gcd(period, shift)
    if len(reads) * repeats > MOST_PHASES and period > 1:
        interval, period, repeats = _bound(interval), 1, 1
    jump = interval.jump if isinstance(interval, Phases) else interval[0]
    spans = [
        hull(span_of(interval, position + times * shift) for position in _ends(positions, period))
        for times in range(repeats)
        for positions in reads
    ]
    return _simplified(Phases(jump * (shift * repeats // period), tuple(spans)))


def _ends(positions: Sequence[int], period: int) -> Sequence[int]:
    """The positions that decide the hull: the first and the last ones for intervals that move evenly."""
    return positions if period > 1 or len(positions) < 3 else (min(positions), max(positions))


def _simplified(phases: Phases) -> Interval:
    """A plain interval if all phases move evenly."""
    first, period = phases.spans[0], len(phases.spans)
    if first is None:
        return phases
    jump = Fraction(phases.jump) / period
    for phase, span in enumerate(phases.spans):
        if span is None or (span[0] - first[0], span[1] - first[1]) != (phase * jump, phase * jump):
            return phases
    return (int(jump) if jump.denominator == 1 else jump), *first


def _bound(interval: Interval) -> Interval:
    """A plain interval around one with phases."""
    if not isinstance(interval, Phases):
        return interval
    jump = Fraction(interval.jump) / len(interval.spans)
    ends = hull(span and (span[0] - phase * jump, span[1] - phase * jump) for phase, span in enumerate(interval.spans))
    return jump, *(ends or (0, -1))


def is_table(axis: Axis, length: int) -> bool:
    """Whether the axis has a span for each position of a map of this length, and none for those beyond its border."""
    return any(isinstance(interval, Phases) and len(interval.spans) >= length for interval in axis[1])


def does_not_move(axis: Axis, shift: int) -> bool:
    """Whether positions that are this far apart depend on the same pixels."""
    return all(
        interval[0] == 0
        if not isinstance(interval, Phases)
        else shift % len(interval.spans) == 0 and interval.jump == 0
        for interval in axis[1]
    )


def collapse(axis: Axis, length: int) -> Axis:
    """The axis of a value that depends on all positions of a map of this length."""
    spans: list[Span | None] = []
    for interval in axis[1]:
        period = len(interval.spans) if isinstance(interval, Phases) else 1
        positions = range(length) if length <= 2 * period else (*range(period), *range(length - period, length))
        spans += [span_of(interval, position) for position in positions]
    return None, ((0, *(hull(spans) or (0, -1))),)


def unite(fields: Iterable[Field]) -> Field:
    """The union of several fields, where branches join."""
    distinct = list(dict.fromkeys(fields))
    return distinct[0] if len(distinct) == 1 else tuple(map(_unite, zip(*distinct, strict=True)))


def _unite(axes: Sequence[Axis]) -> Axis:
    united: dict[tuple[Number, int], list[Interval]] = {}
    for interval in (interval for _, intervals in axes for interval in intervals):
        key = (interval.jump, len(interval.spans)) if isinstance(interval, Phases) else (interval[0], 0)
        united.setdefault(key, []).append(interval)
    dim = next((dim for dim, _ in axes if dim is not None), None)
    return dim, tuple(map(_union, united.values()))


def _union(intervals: Sequence[Interval]) -> Interval:
    """The union of intervals with the same jump and the same phases."""
    first = intervals[0]
    if not isinstance(first, Phases):
        return first[0], *(hull(span_of(interval, 0) for interval in intervals) or (0, -1))
    spans = [hull(span_of(interval, phase) for interval in intervals) for phase in range(len(first.spans))]
    return Phases(first.jump, tuple(spans))
