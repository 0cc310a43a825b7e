"""Receptive fields of windows: convolution, pooling, interpolation, slices and borders."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd
from typing import Any

from torch import Tensor

from archzoo.profiler._intervals import Axis, Field, collapse, move
from archzoo.profiler._receptive_fields.arithmetic import Inputs, mixed


def convolution(out: Tensor, inputs: Inputs, x: Tensor, weight: Tensor, *rest: Any) -> Field:
    """Convolutions, transposed ones too."""
    if len(inputs) > 1 or inputs[0][0] is not x:
        return mixed(out, inputs)
    _, stride, padding, dilation, transposed, _, _ = rest
    kernel = weight.shape[2:]
    stride, padding, dilation = (_per_axis(value, len(kernel)) for value in (stride, padding, dilation))
    if not transposed:
        return _windowed(x, inputs[0][1], kernel, stride, padding, dilation)
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
        s, reach = stride[dim], dilation[dim] * (kernel[dim] - 1)
        axes.append(move(axis, Fraction(1, s), Fraction(padding[dim] - reach, s), Fraction(padding[dim], s)))
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
    return _windowed(x, inputs[0][1], kernel, stride, padding, dilation)


def _windowed(
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
        window = axis[1], kernel[dim], stride[dim], padding[dim], dilation[dim]
        if window == before:  # square windows over square fields: the axes are equal
            out.append((dim, out[-1][1]))
            continue
        _, k, s, p, d = before = window
        out.append(move(axis, s, -p, d * (k - 1) - p))
    return tuple(out)


def _per_axis(value: Sequence[int], axes: int) -> Sequence[int]:
    """A value for each axis; torch may give a single one if they are equal."""
    return list(value) * axes if len(value) == 1 else value


def adaptive_pooling(out: Any, inputs: Inputs, x: Tensor, *_: Any, **__: Any) -> Field:
    """Adaptive pooling: output p of m reads from floor(p n / m) to ceil((p + 1) n / m) - 1."""
    pooled = out[0] if isinstance(out, tuple) else out
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] is not None:
            n, m = x.shape[axis[0]], pooled.shape[axis[0]]
            axis = move(axis, Fraction(n, m), -_rounding(n, m), Fraction(n, m) - 1 + _rounding(n, m))
        axes.append(axis)
    return tuple(axes)


def upsampling(out: Tensor, inputs: Inputs, x: Tensor, *_: Any, **__: Any) -> Field:
    """Nearest-neighbor interpolation: output p of m reads floor(p n / m)."""
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] is not None:
            n, m = x.shape[axis[0]], out.shape[axis[0]]
            axis = move(axis, Fraction(n, m), -_rounding(n, m), 0)
        axes.append(axis)
    return tuple(axes)


def _rounding(n: int, m: int) -> Fraction:
    """The most by which rounding can move a multiple of n / m."""
    parts = m // gcd(n, m)
    return Fraction(parts - 1, parts)


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
