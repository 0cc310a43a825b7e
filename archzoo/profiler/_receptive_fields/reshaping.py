"""Receptive fields through reshapes: dimensions that survive, are split, or are merged with others."""

from collections.abc import Sequence
from math import prod
from typing import Any

from torch import Tensor

from archzoo.profiler._intervals import MOST_PHASES, Axis, Field, collapse, does_not_move, move, reindex
from archzoo.profiler._receptive_fields.arithmetic import Inputs


def reshaping(out: Tensor, inputs: Inputs, x: Tensor, *_: Any, **__: Any) -> Field:
    """Reshaping: dimensions that survive keep their intervals, split ones go where they move, merged ones repeat."""
    if x.shape == out.shape:
        return inputs[0][1]
    return tuple(axis if axis[0] is None else _reshaped(axis, x.shape, out.shape) for axis in inputs[0][1])


def _reshaped(axis: Axis, before: Sequence[int], after: Sequence[int]) -> Axis:
    dim = axis[0]
    assert dim is not None
    length, below = before[dim], prod(before[dim + 1 :]) if dim < -1 else 1
    for position in range(-1, -len(after) - 1, -1):
        stride = prod(after[position + 1 :]) if position < -1 else 1
        if stride == below and after[position] == length:
            return position, axis[1]
        if stride <= below and length * below <= stride * after[position]:
            merged = _merged(axis, length, below // stride, stride * after[position], below)
            return merged if merged[0] is None else (position, merged[1])
    return _split(axis, length, below, after)


def _merged(axis: Axis, length: int, inner: int, whole: int, below: int) -> Axis:
    """The axis along a dimension with ``inner`` positions for each of its own; it repeats if others are outside."""
    if below % inner or length * inner > MOST_PHASES:
        return collapse(axis, length)
    if length * below == whole:  # nothing is outside of it: it is not repeated
        return reindex(axis, [[0]] * inner, 1)
    return reindex(axis, [[position // inner] for position in range(length * inner)], 0)


def _split(axis: Axis, length: int, below: int, after: Sequence[int]) -> Axis:
    """The axis along one of the dimensions into which it is split, or none if they do not begin and end with it."""
    parts = []
    for position in range(-1, -len(after) - 1, -1):
        stride = prod(after[position + 1 :]) if position < -1 else 1
        if below <= stride < below * length:
            parts.append((position, after[position], stride // below))
    if not parts or parts[0][2] != 1 or prod(size for _, size, _ in parts) != length:
        return collapse(axis, length)
    for position, size, stride in parts:
        if does_not_move(axis, size * stride):  # what is outside of this part repeats it
            return position, move(axis, stride, 0, stride - 1)[1]
    position, _, stride = parts[-1]
    return position, move(axis, stride, 0, stride - 1)[1]
