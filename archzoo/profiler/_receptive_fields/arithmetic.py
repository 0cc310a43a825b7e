"""Receptive fields of arithmetic: elementwise functions, reductions, normalization, matrix products.

Every rule takes the result of an operator, its operands that depend on the image, each with its field, and the
operator's own arguments.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor

from archzoo.profiler._intervals import Axis, Field, collapse, unite

Inputs: TypeAlias = Sequence[tuple[Tensor, Field]]  # the operands that depend on the image, each with its field


def pointwise(out: Any, inputs: Inputs, *_: Any, **__: Any) -> Field:
    """Elementwise functions of tensors that broadcast."""
    out = out[0] if isinstance(out, tuple | list) else out
    if len(inputs) == 1 and inputs[0][0].shape == out.shape:
        return inputs[0][1]
    broadcast = [_broadcast(field, tensor, out) for tensor, field in inputs]
    return unite(broadcast) if aligned(broadcast) else mixed(out, inputs)


def _broadcast(field: Field, tensor: Tensor, out: Tensor) -> Field:
    """The field of a tensor that broadcasts to a larger one: along an expanded dimension it does not move."""
    if all(dim is None or tensor.shape[dim] == out.shape[dim] for dim, _ in field):
        return field
    return tuple(
        axis
        if axis[0] is None or tensor.shape[axis[0]] == out.shape[axis[0]]
        else collapse(axis, tensor.shape[axis[0]])
        for axis in field
    )


def aligned(fields: Sequence[Field]) -> bool:
    """Whether no axis of the image runs along different dimensions in different tensors."""
    return all(len({dim for dim, _ in axes if dim is not None}) < 2 for axes in zip(*fields, strict=True))


def mixed(out: Any, inputs: Inputs, *_: Any, **__: Any) -> Field:
    """Functions that may depend on all positions of all inputs."""
    return unite(
        tuple(axis if axis[0] is None else collapse(axis, tensor.shape[axis[0]]) for axis in field)
        for tensor, field in inputs
    )


def reduction(out: Any, inputs: Inputs, x: Tensor, dim: Any = None, keepdim: Any = False, *_: Any, **__: Any) -> Field:
    """Reductions over some dimensions, which are removed or kept with length one."""
    if dim is None or not isinstance(dim, int | list | tuple):
        return mixed(out, inputs)
    dims = [dim] if isinstance(dim, int) else dim
    over = {d % x.dim() - x.dim() for d in dims} or set(range(-x.dim(), 0))
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] in over:
            axes.append(collapse(axis, x.shape[axis[0]]))  # type: ignore[index]
        elif axis[0] is None or keepdim is True:
            axes.append(axis)
        else:
            axes.append((axis[0] + sum(removed > axis[0] for removed in over), axis[1]))
    return tuple(axes)


def along(out: Any, inputs: Inputs, x: Tensor, dim: int, *_: Any, **__: Any) -> Field:
    """Functions that mix all positions of one dimension: softmax, cumulative sums."""
    mixed_dim = dim % x.dim() - x.dim()
    return tuple(
        axis if axis[0] != mixed_dim else (axis[0], collapse(axis, x.shape[mixed_dim])[1]) for axis in inputs[0][1]
    )


def batch_norm(
    out: Any, inputs: Inputs, x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool = False, *_: Any
) -> Field:
    """Batch normalization: elementwise with running statistics, all positions with those of the batch."""
    if not training:
        return pointwise(out, inputs)
    axes = (axis if axis[0] is None else (axis[0], collapse(axis, x.shape[axis[0]])[1]) for axis in inputs[0][1])
    return tuple(axes)


def layer_norm(out: Any, inputs: Inputs, x: Tensor, shape: Sequence[int], *_: Any) -> Field:
    """Normalization over the last dimensions."""
    field = inputs[0][1]
    for i in range(1, len(shape) + 1):
        field = along(out, [(x, field)], x, -i)
    return field


def product(out: Tensor, inputs: Inputs, *operands: Any, **_: Any) -> Field:
    """Matrix products: the last dimension of a left operand from the image is summed over."""
    left = operands[1] if len(operands) > 2 else operands[0]
    if len(inputs) > 1 or inputs[0][0] is not left:
        return mixed(out, inputs)
    return tuple(axis if axis[0] != -1 else collapse(axis, left.shape[-1]) for axis in inputs[0][1])
