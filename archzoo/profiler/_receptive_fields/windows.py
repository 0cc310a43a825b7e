"""Receptive fields of windows: convolution, pooling, interpolation, slices and borders."""

from collections.abc import Callable, Sequence
from math import gcd
from typing import Any

from torch import Tensor

from archzoo.profiler._intervals import Axis, Field, collapse, is_table, move, reindex
from archzoo.profiler._receptive_fields.arithmetic import Inputs, mixed


def convolution(out: Tensor, inputs: Inputs, x: Tensor, weight: Tensor, *rest: Any) -> Field:
    """Convolutions, transposed ones too."""
    if len(inputs) > 1 or inputs[0][0] is not x:
        return mixed(out, inputs)
    _, stride, padding, dilation, transposed, _, _ = rest
    kernel = weight.shape[2:]
    stride, padding, dilation = (_per_axis(value, len(kernel)) for value in (stride, padding, dilation))
    if not transposed:
        return _windowed(out, x, inputs[0][1], kernel, stride, padding, dilation)
    return _transposed(x, inputs[0][1], kernel, stride, padding, dilation)


def _transposed(
    tensor: Tensor,
    field: Field,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Field:
    """Every input is spread over a window of the output."""
    axes: list[Axis] = []
    for axis in field:
        dim = axis[0]
        if dim is None or dim < -len(kernel):
            axes.append(axis if dim is None else collapse(axis, tensor.shape[dim]))
            continue
        s = stride[dim]
        taps = range(0, dilation[dim] * kernel[dim], dilation[dim])
        reads = [
            [(phase + padding[dim] - tap) // s for tap in taps if (phase + padding[dim] - tap) % s == 0]
            for phase in range(s)
        ]
        axes.append(reindex(axis, reads, 1))
    return tuple(axes)


def pooling(
    out: Any,
    inputs: Inputs,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Any = (1,),
    *_: Any,
    **__: Any,
) -> Field:
    """Pooling by windows (the fifth operand of average pooling is ``ceil_mode``, not a dilation)."""
    dilation = (1,) if isinstance(dilation, bool) else dilation
    kernel, stride, padding, dilation = (
        _per_axis(value, x.dim() - 2) for value in (kernel, stride or kernel, padding, dilation)
    )
    return _windowed(out[0] if isinstance(out, tuple) else out, x, inputs[0][1], kernel, stride, padding, dilation)


def _windowed(
    windowed: Tensor,
    tensor: Tensor,
    field: Field,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Field:
    out: list[Axis] = []
    before: tuple[Any, ...] = ()
    for axis in field:
        dim = axis[0]
        if dim is None or dim < -len(kernel):  # no dimension, or the channels, which are read as a whole
            out.append(axis if dim is None else collapse(axis, tensor.shape[dim]))
            continue
        window = axis[1], kernel[dim], stride[dim], padding[dim], dilation[dim], tensor.shape[dim]
        if window == before:  # square windows over square fields: the axes are equal
            out.append((dim, out[-1][1]))
            continue
        _, k, s, p, d, length = before = window
        if is_table(axis, length):
            starts = range(-p, windowed.shape[dim] * s - p, s)
            out.append(reindex(axis, [_inside(range(q, q + d * k, d), length) for q in starts], 0))
            continue
        out.append(move(axis, s, -p, d * (k - 1) - p, d))
    return tuple(out)


def _inside(positions: Sequence[int], length: int) -> list[int]:
    return [position for position in positions if 0 <= position < length]


def _per_axis(value: Sequence[int], axes: int) -> Sequence[int]:
    """A value for each axis; torch may give a single one if they are equal."""
    return list(value) * axes if len(value) == 1 else value


def adaptive_pooling(out: Any, inputs: Inputs, x: Tensor, *_: Any, **__: Any) -> Field:
    """Adaptive pooling: output p of m reads from floor(p n / m) to ceil((p + 1) n / m) - 1."""
    pooled = out[0] if isinstance(out, tuple) else out

    def reads(p: int, n: int, m: int) -> Sequence[int]:
        return range(p * n // m, -(-(p + 1) * n // m))

    return scaled(x, pooled, inputs[0][1], reads)


def scaled(x: Tensor, out: Tensor, field: Field, reads: Callable[[int, int, int], Sequence[int]]) -> Field:
    """The field of a map of another size, of which position p of m reads ``reads(p, n, m)`` of n positions."""
    axes: list[Axis] = []
    for axis in field:
        if axis[0] is not None:  # for channels, n is m, and position p reads p
            n, m = x.shape[axis[0]], out.shape[axis[0]]
            period = m // gcd(n, m)
            axis = reindex(axis, [reads(p, n, m) for p in range(period)], period * n // m)
        axes.append(axis)
    return tuple(axes)


def slicing(
    out: Tensor,
    inputs: Inputs,
    x: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Field:
    """Slices: every ``step``-th position from ``start`` on."""
    sliced = dim % x.dim() - x.dim()
    first = start or 0
    first = max(first + x.shape[sliced], 0) if first < 0 else min(first, x.shape[sliced])
    return tuple(move(axis, step, first, first) if axis[0] == sliced else axis for axis in inputs[0][1])


def padding(out: Tensor, inputs: Inputs, x: Tensor, pad: Sequence[int], *_: Any, **__: Any) -> Field:
    """Constant padding, given from the last dimension backwards: position p reads p minus the border."""
    before = {-1 - i: pad[2 * i] for i in range(len(pad) // 2)}
    return tuple(
        axis if axis[0] not in before else move(axis, 1, -before[axis[0]], -before[axis[0]]) for axis in inputs[0][1]
    )
