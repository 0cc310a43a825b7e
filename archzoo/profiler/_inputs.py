"""Model inputs on the meta device, from the sizes or example tensors that the caller gives."""

from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from archzoo.errors import ProfileError
from archzoo.options import shown
from archzoo.profiler._meta import modules_of
from archzoo.profiler._shapes import META
from archzoo.profiler._sparse_layouts import INDICES

PLAIN = (bool, int, float, complex, str, torch.dtype, torch.device)  # what a forward may take beside tensors


def common_axis(input_size: Any, batch: int | None, batch_axis: int | None) -> int | None:
    """The batch axis of the inputs, or None if example tensors have different lengths along it.

    Raises ProfileError for an axis that an example tensor lacks, for a ``batch`` that the inputs do not have, and for
    nested tensors.
    """
    if any(isinstance(leaf, Tensor) and leaf.is_nested for leaf in _leaves(input_size)):
        raise ProfileError("a nested tensor has no single size: give an input of the padded size, or one for each size")
    if batch is not None and (not isinstance(batch, int) or isinstance(batch, bool) or batch < 1):
        raise ProfileError(f"batch must be a positive integer, not {shown(batch)}")
    if batch_axis is None:
        if batch is not None:
            raise ProfileError(f"batch_axis=None counts the whole call, so that batch={shown(batch)} has no meaning")
        return None
    if not isinstance(batch_axis, int) or isinstance(batch_axis, bool) or batch_axis < 0:
        raise ProfileError(f"batch_axis must be None or an integer from 0 on, not {shown(batch_axis)}")
    lengths = _lengths(input_size, batch_axis)
    if 0 in lengths:
        raise ProfileError("an example tensor must have at least one input in its batch, not 0")
    if batch is not None and lengths - {batch}:
        counts = " and ".join(map(str, sorted(lengths | {batch})))
        raise ProfileError(f"all inputs must have one batch, not {counts}")
    return batch_axis if len(lengths) < 2 else None


def _leaves(input_size: Any) -> list[Any]:
    try:
        return tree_flatten(input_size)[0]
    except RecursionError as error:
        raise ProfileError("input_size is nested too deep, or holds itself") from error


def _lengths(input_size: Any, axis: int) -> set[int]:
    """The lengths of all example tensors along an axis, but those of single numbers."""
    tensors = [leaf for leaf in _leaves(input_size) if isinstance(leaf, Tensor) and leaf.dim()]
    for tensor in tensors:
        if tensor.dim() <= axis:
            raise ProfileError(f"an input of {spell_sizes(tuple(tensor.shape))} has no dimension {axis} for the batch")
    return {tensor.shape[axis] for tensor in tensors}


def meta_inputs(
    model: nn.Module, input_size: Any, batch: int | None, batch_axis: int | None = 0
) -> tuple[tuple[Any, ...], dict[str, Any], int]:
    """Positional arguments, keyword arguments and the batch size, for an ``input_size`` as the caller gives it.

    A size is (channels, height, width) without the batch; an example tensor has its batch dimension, and its values
    are not read. A list or tuple of these gives several inputs, a dict inputs by name; nested ones are passed as they
    are, and so are numbers, strings and None. Raises ProfileError for anything else.
    """
    axis = common_axis(input_size, batch, batch_axis)
    lengths = set() if axis is None else _lengths(input_size, axis)
    size, dtype = lengths.pop() if lengths else batch or 1, _dtype(model)

    def make(value: Any) -> Any:
        return _input(value, size, axis, dtype)

    if isinstance(input_size, dict):
        return (), {name: make(value) for name, value in input_size.items()}, size
    if isinstance(input_size, Tensor) or _is_size(input_size):
        return (make(input_size),), {}, size
    if not isinstance(input_size, list | tuple) or not _has_tensor(input_size):
        raise ProfileError(_no_size(input_size))
    return tuple(map(make, input_size)), {}, size


def _input(value: Any, batch: int, axis: int | None, dtype: torch.dtype) -> Any:
    try:
        if isinstance(value, Tensor) and value.layout in INDICES:
            return value.detach()  # how many elements it has is no shape
        if isinstance(value, Tensor):
            return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device=META)
        if _is_size(value):
            return torch.empty(_with_batch(tuple(map(int, value)), batch, axis), dtype=dtype, device=META)
    except (RuntimeError, TypeError, OverflowError) as error:  # sparse, or more elements than 64 bits count
        reason = str(error).partition("\n")[0]
        raise ProfileError(f"no input can be made of {_kind(value)} in a batch of {shown(batch)}: {reason}") from error
    if isinstance(value, dict):
        return {name: _input(inner, batch, axis, dtype) for name, inner in value.items()}
    if isinstance(value, list | tuple) and (not value or _has_tensor(value)):
        return type(value)(_input(inner, batch, axis, dtype) for inner in value)
    if value is None or isinstance(value, PLAIN):
        return value
    raise ProfileError(_no_size(value))


def _has_tensor(value: Any) -> bool:
    """Whether a tensor or a size is somewhere in it."""
    if isinstance(value, Tensor) or _is_size(value):
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(map(_has_tensor, inner))


def _with_batch(size: Any, batch: int, axis: int | None) -> tuple[int, ...]:
    if axis is None:
        return tuple(size)
    if axis > len(size):
        raise ProfileError(f"an input of {spell_sizes(tuple(size))} has no dimension {axis} for the batch")
    return (*size[:axis], batch, *size[axis:])


def without_batch(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    """A shape without its batch axis."""
    return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])


def _is_size(value: Any) -> bool:
    """Whether it is a tuple of positive integers, Python's or numpy's."""
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_side, value))


def _is_side(side: Any) -> bool:
    return type(side) is not bool and isinstance(side, Integral) and int(side) > 0


def _kind(value: Any) -> str:
    return f"a tensor of layout {value.layout}" if isinstance(value, Tensor) else f"size {shown(value)}"


def _no_size(value: Any) -> str:
    return (
        "input_size must be positive integers such as (3, 224, 224), without the batch, an example tensor, a list of "
        f"these for several inputs, or a dict for inputs by name, not {shown(value)}"
    )


def _dtype(model: nn.Module) -> torch.dtype:
    """The dtype of the model's parameters, or the default dtype."""
    tensors = (tensor for module in modules_of(model) for tensor in module._parameters.values() if tensor is not None)
    dtypes = (tensor.dtype for tensor in tensors if tensor.is_floating_point())
    return next(dtypes, torch.get_default_dtype())


def sizes_of(input_size: Any, axis: int | None = 0) -> Any:
    """The sizes of the inputs without the batch: tuples, in dicts where the caller gave dicts. Numbers stay."""
    if isinstance(input_size, Tensor):
        return without_batch(tuple(input_size.shape), axis)
    if isinstance(input_size, dict):
        return {name: sizes_of(value, axis) for name, value in input_size.items()}
    if not isinstance(input_size, list | tuple):
        return input_size
    if _is_size(input_size):
        return tuple(map(int, input_size))
    return tuple(sizes_of(value, axis) for value in input_size)


def spell_sizes(sizes: Any) -> str:
    """Sizes as text: 3x224x224."""
    if isinstance(sizes, dict):
        return ", ".join(f"{name} {spell_sizes(size)}" for name, size in sizes.items())
    if not isinstance(sizes, tuple):
        return str(sizes)
    return "x".join(map(str, sizes)) if _is_size(sizes) else " and ".join(map(spell_sizes, sizes))
