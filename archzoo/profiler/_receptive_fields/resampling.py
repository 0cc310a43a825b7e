"""Receptive fields of interpolation and of layers that move positions: shuffles, rolls, flips, borders of the map."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

from torch import Tensor

from archzoo.profiler._intervals import Axis, Field, move, reindex
from archzoo.profiler._receptive_fields.arithmetic import Inputs, mixed
from archzoo.profiler._receptive_fields.windows import scaled

HALF = Fraction(1, 2)


def nearest(out: Tensor, inputs: Inputs, x: Tensor, size: Any, *scales: Any) -> Field:
    """Nearest-neighbor interpolation: output p of m reads floor(p n / m)."""
    return _interpolated(out, inputs, x, scales, lambda p, ratio: [floor(p * ratio)])


def nearest_exact(out: Tensor, inputs: Inputs, x: Tensor, size: Any, *scales: Any) -> Field:
    """Output p of m reads the position below its center: floor((p + 1/2) n / m)."""
    return _interpolated(out, inputs, x, scales, lambda p, ratio: [floor((p + HALF) * ratio)])


def linear(out: Tensor, inputs: Inputs, x: Tensor, size: Any, align_corners: bool = False, *scales: Any) -> Field:
    """(Bi-, tri-)linear interpolation: the two positions around the place that is read."""
    return _between(out, inputs, x, align_corners, scales, 0, 1)


def cubic(out: Tensor, inputs: Inputs, x: Tensor, size: Any, align_corners: bool = False, *scales: Any) -> Field:
    """Bicubic interpolation: two positions on both sides."""
    return _between(out, inputs, x, align_corners, scales, -1, 2)


def antialiased_linear(out: Tensor, inputs: Inputs, x: Tensor, size: Any, align: bool = False, *scales: Any) -> Field:
    """Linear interpolation with a window that grows with the factor."""
    return _averaged(out, inputs, x, scales, 1)


def antialiased_cubic(out: Tensor, inputs: Inputs, x: Tensor, size: Any, align: bool = False, *scales: Any) -> Field:
    """Cubic interpolation with a window that grows with the factor."""
    return _averaged(out, inputs, x, scales, 2)


def _between(
    out: Tensor, inputs: Inputs, x: Tensor, align_corners: bool, scales: Sequence[Any], before: int, after: int
) -> Field:
    def around(place: Fraction) -> Sequence[int]:
        if place.denominator == 1:
            return [int(place)]
        return range(floor(place) + before, floor(place) + after + 1)

    if not align_corners:
        return _interpolated(out, inputs, x, scales, lambda p, ratio: around((p + HALF) * ratio - HALF))
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] is not None:
            n, m = x.shape[axis[0]], out.shape[axis[0]]
            step = Fraction(n - 1, m - 1) if m > 1 else Fraction(0)
            reads = [around(p * step) for p in range(step.denominator)]
            axis = reindex(axis, reads, step.numerator)
        axes.append(axis)
    return tuple(axes)


def _averaged(out: Tensor, inputs: Inputs, x: Tensor, scales: Sequence[Any], radius: int) -> Field:
    def window(p: int, ratio: Fraction) -> Sequence[int]:
        center, support = (p + HALF) * ratio, radius * max(ratio, Fraction(1))
        return range(floor(center - support + HALF), max(ceil(center + support - HALF), 1))

    return _interpolated(out, inputs, x, scales, window)


def _interpolated(
    out: Tensor,
    inputs: Inputs,
    x: Tensor,
    scales: Sequence[Any],
    reads: Callable[[int, Fraction], Sequence[int]],
) -> Field:
    """The field after interpolation, whose factor is that of the sizes, or one of ``scales`` if it is given."""
    for dim, factor in zip(range(-len(scales), 0), scales, strict=True):
        if factor is not None and factor * x.shape[dim] != out.shape[dim]:
            return mixed(out, inputs)  # the factor and the sizes disagree, by rounding
    return scaled(x, out, inputs[0][1], lambda p, n, m: reads(p, Fraction(n, m)))


def pixel_shuffle(out: Tensor, inputs: Inputs, x: Tensor, factor: int) -> Field:
    """Channels become positions: output p reads floor(p / factor)."""
    return tuple(axis if axis[0] not in (-1, -2) else reindex(axis, [[0]] * factor, 1) for axis in inputs[0][1])


def pixel_unshuffle(out: Tensor, inputs: Inputs, x: Tensor, factor: int) -> Field:
    """Positions become channels: an output reads a window without overlap."""
    return tuple(axis if axis[0] not in (-1, -2) else move(axis, factor, 0, factor - 1) for axis in inputs[0][1])


def unfolding(out: Tensor, inputs: Inputs, x: Tensor, dim: int, size: int, step: int) -> Field:
    """``Tensor.unfold``: windows of a dimension, along a new last dimension."""
    windows = dim % x.dim() - x.dim()
    moved = (move(axis, step, 0, size - 1) if axis[0] == windows else axis for axis in inputs[0][1])
    return tuple((dim if dim is None else dim - 1, intervals) for dim, intervals in moved)


def rolling(out: Tensor, inputs: Inputs, x: Tensor, shifts: Any, dims: Any = ()) -> Field:
    """Rolling: position p of n reads (p - shift) modulo n."""
    shifts, dims = ([value] if isinstance(value, int) else value for value in (shifts, dims))
    if not dims:
        return mixed(out, inputs)
    by_dim = {dim % x.dim() - x.dim(): shift for dim, shift in zip(dims, shifts, strict=True)}
    return _permuted(x, inputs[0][1], by_dim, lambda p, n, shift: (p - shift) % n)


def flipping(out: Tensor, inputs: Inputs, x: Tensor, dims: Sequence[int]) -> Field:
    """Flipping: position p of n reads n - 1 - p."""
    by_dim = dict.fromkeys((dim % x.dim() - x.dim() for dim in dims), 0)
    return _permuted(x, inputs[0][1], by_dim, lambda p, n, _: n - 1 - p)


def _permuted(x: Tensor, field: Field, by_dim: dict[int, int], read: Callable[[int, int, int], int]) -> Field:
    axes: list[Axis] = []
    for axis in field:
        if axis[0] in by_dim:
            n = x.shape[axis[0]]
            axis = reindex(axis, [[read(p, n, by_dim[axis[0]])] for p in range(n)], n)
        axes.append(axis)
    return tuple(axes)


def reflecting(out: Tensor, inputs: Inputs, x: Tensor, pad: Sequence[int]) -> Field:
    """Padding by reflection at the border."""
    return _bordered(out, inputs, x, pad, lambda p, n: n - 1 - abs(n - 1 - abs(p)))


def replicating(out: Tensor, inputs: Inputs, x: Tensor, pad: Sequence[int]) -> Field:
    """Padding by the pixels of the border."""
    return _bordered(out, inputs, x, pad, lambda p, n: min(max(p, 0), n - 1))


def _bordered(out: Tensor, inputs: Inputs, x: Tensor, pad: Sequence[int], read: Callable[[int, int], int]) -> Field:
    before = {-1 - i: pad[2 * i] for i in range(len(pad) // 2)}
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] in before:
            n, m = x.shape[axis[0]], out.shape[axis[0]]
            axis = reindex(axis, [[read(p - before[axis[0]], n)] for p in range(m)], m)
        axes.append(axis)
    return tuple(axes)
