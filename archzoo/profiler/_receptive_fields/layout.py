"""Receptive fields of operators that rearrange data: concatenation, reshaping, permutation, indexing."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from archzoo.profiler._intervals import MOST_PHASES, Axis, Field, collapse, move, reindex, unite
from archzoo.profiler._receptive_fields.arithmetic import Inputs, aligned, along, mixed, reduction


def concatenation(out: Tensor, inputs: Inputs, parts: Sequence[Tensor], dim: int = 0) -> Field:
    """Concatenation; along a dimension of the image, every position has the field of its part."""
    joined = dim % out.dim() - out.dim()
    fields = [field for _, field in inputs]
    if not aligned(fields):
        return mixed(out, inputs)
    if not any(axis[0] == joined for field in fields for axis in field) or out.shape[joined] > MOST_PHASES:
        return unite(fields) if all(axis[0] != joined for field in fields for axis in field) else mixed(out, inputs)
    placed, first, remaining = [], 0, list(inputs)
    for part in parts:
        if remaining and part is remaining[0][0]:
            placed.append(_placed(remaining.pop(0)[1], joined, part.shape[joined], first, out.shape[joined]))
        first += part.shape[joined]
    return unite(placed)


def _placed(field: Field, dim: int, length: int, first: int, whole: int) -> Field:
    """The field of a part of a longer dimension, whose other positions depend on nothing."""
    reads = [[position - first] if 0 <= position - first < length else [] for position in range(whole)]
    return tuple(reindex(axis, reads, 0) if axis[0] == dim else axis for axis in field)


def stacking(out: Tensor, inputs: Inputs, parts: Any, dim: int = 0) -> Field:
    """Stacking along a new dimension."""
    joined = dim % out.dim() - out.dim()
    fields = [field for _, field in inputs]
    together = unite(fields) if aligned(fields) else mixed(out, inputs)
    return tuple((dim if dim is None or dim > joined else dim - 1, intervals) for dim, intervals in together)


def transposition(out: Tensor, inputs: Inputs, x: Tensor, a: int, b: int) -> Field:
    """Swapping two dimensions."""
    order = list(range(x.dim()))
    order[a], order[b] = order[b], order[a]
    return permutation(out, inputs, x, order)


def permutation(out: Tensor, inputs: Inputs, x: Tensor, order: Sequence[int]) -> Field:
    """Permuting dimensions."""
    dims = [dim % x.dim() - x.dim() for dim in order]
    return tuple((dim if dim is None else dims.index(dim) - x.dim(), intervals) for dim, intervals in inputs[0][1])


def turning(out: Tensor, inputs: Inputs, x: Tensor) -> Field:
    """Transposing a matrix."""
    return transposition(out, inputs, x, 0, 1) if x.dim() == 2 else inputs[0][1]


def unsqueezing(out: Tensor, inputs: Inputs, x: Tensor, dim: int) -> Field:
    """Inserting a dimension of length one."""
    return stacking(out, inputs, [x], dim)


def squeezing(out: Tensor, inputs: Inputs, x: Tensor, dim: Any = None) -> Field:
    """Removing dimensions of length one."""
    dims = range(x.dim()) if dim is None else [dim] if isinstance(dim, int) else dim
    removed = [dim for dim in dims if x.shape[dim] == 1]
    return reduction(out, inputs, x, removed) if removed else inputs[0][1]


def selecting(out: Tensor, inputs: Inputs, x: Tensor, dim: int, index: int) -> Field:
    """Selecting one position of a dimension, which is removed."""
    selected, index = dim % x.dim() - x.dim(), index % x.shape[dim]
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] == selected:
            axis = collapse(move(axis, 1, index, index), 1)
        elif axis[0] is not None and axis[0] < selected:
            axis = (axis[0] + 1, axis[1])
        axes.append(axis)
    return tuple(axes)


def splitting(out: Any, inputs: Inputs, x: Tensor, sizes: Any, dim: int = 0) -> Field:
    """Splitting one dimension; the field is that of all pieces together."""
    return along(out, inputs, x, dim)


def indexing(out: Tensor, inputs: Inputs, x: Tensor, indices: Sequence[Any]) -> Field:
    """Indexing: the dimensions after the indexed ones keep their fields."""
    if len(inputs) > 1:
        return mixed(out, inputs)
    last = max(dim for dim, index in enumerate(indices) if index is not None) - x.dim()
    return tuple(
        axis if axis[0] is None or axis[0] > last else collapse(axis, x.shape[axis[0]]) for axis in inputs[0][1]
    )


def gathering(out: Tensor, inputs: Inputs, x: Tensor, dim: int, index: Any) -> Field:
    """Taking positions of one dimension in any order: the other dimensions keep their fields."""
    return along(out, inputs, x, dim) if len(inputs) == 1 else mixed(out, inputs)
