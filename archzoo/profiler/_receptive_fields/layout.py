"""Receptive fields of operators that rearrange data: concatenation, reshaping, permutation, indexing."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from archzoo.profiler._intervals import Axis, Field, collapse, move, unite
from archzoo.profiler._receptive_fields.arithmetic import Inputs, aligned, along, mixed, reduction


def concatenation(out: Tensor, inputs: Inputs, parts: Any, dim: int = 0) -> Field:
    """Concatenation; along a dimension of the image all positions mix, as no interval says where a part begins."""
    joined = dim % out.dim() - out.dim()
    if any(axis[0] == joined for _, field in inputs for axis in field):
        return mixed(out, inputs)
    fields = [field for _, field in inputs]
    return unite(fields) if aligned(fields) else mixed(out, inputs)


def stacking(out: Tensor, inputs: Inputs, parts: Any, dim: int = 0) -> Field:
    """Stacking along a new dimension."""
    joined = dim % out.dim() - out.dim()
    fields = [field for _, field in inputs]
    together = unite(fields) if aligned(fields) else mixed(out, inputs)
    return tuple((dim if dim is None or dim > joined else dim - 1, intervals) for dim, intervals in together)


def reshaping(out: Tensor, inputs: Inputs, x: Tensor, *_: Any, **__: Any) -> Field:
    """Reshaping: a dimension survives if it and all dimensions after it keep their lengths."""
    return tuple(
        axis if axis[0] is None or x.shape[axis[0] :] == out.shape[axis[0] :] else collapse(axis, x.shape[axis[0]])
        for axis in inputs[0][1]
    )


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
