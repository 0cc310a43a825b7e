"""Model inputs on the meta device, from the sizes or example tensors that the caller gives."""

from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from archzoo.errors import ProfileError
from archzoo.options import shown
from archzoo.profiler._shapes import META


def meta_inputs(model: nn.Module, input_size: Any, batch: int | None) -> tuple[tuple[Any, ...], dict[str, Any], int]:
    """Positional arguments, keyword arguments and the batch size, for an ``input_size`` as the caller gives it.

    A size is (channels, height, width) without the batch; an example tensor has its batch dimension, and its values
    are not read. A list or tuple of these gives several inputs, a dict inputs by name; nested ones are passed as they
    are. Raises ProfileError for anything else, and for inputs with different batch sizes.
    """
    if batch is not None and (not isinstance(batch, int) or isinstance(batch, bool) or batch < 1):
        raise ProfileError(f"batch must be a positive integer, not {batch!r}")
    leaves = tree_flatten(input_size)[0]
    batches = {leaf.shape[0] for leaf in leaves if isinstance(leaf, Tensor) and leaf.dim()}
    batches |= set() if batch is None else {batch}
    if len(batches) > 1:
        raise ProfileError(f"all inputs must have one batch, not {' and '.join(map(str, sorted(batches)))}")
    size, dtype = batches.pop() if batches else 1, _dtype(model)
    if isinstance(input_size, dict):
        return (), {name: _input(value, size, dtype) for name, value in input_size.items()}, size
    if isinstance(input_size, Tensor) or _is_size(input_size):
        return (_input(input_size, size, dtype),), {}, size
    if not isinstance(input_size, list | tuple) or not input_size or isinstance(input_size[0], int | float):
        raise ProfileError(_no_size(input_size))
    return tuple(_input(value, size, dtype) for value in input_size), {}, size


def _input(value: Any, batch: int, dtype: torch.dtype) -> Any:
    try:
        if isinstance(value, Tensor):
            return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device=META)
        if _is_size(value):
            return torch.empty(batch, *map(int, value), dtype=dtype, device=META)
    except (RuntimeError, TypeError, OverflowError) as error:  # sparse, or more elements than 64 bits count
        raise ProfileError(f"no input can be made of {_kind(value)} in a batch of {batch}: {error}") from error
    if isinstance(value, dict):
        return {name: _input(inner, batch, dtype) for name, inner in value.items()}
    if isinstance(value, list | tuple) and value and not isinstance(value[0], int | float):
        return type(value)(_input(inner, batch, dtype) for inner in value)
    raise ProfileError(_no_size(value))


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
    dtypes = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next(dtypes, torch.get_default_dtype())


def sizes_of(input_size: Any) -> Any:
    """The sizes of the inputs without the batch: tuples, in dicts where the caller gave dicts."""
    if isinstance(input_size, Tensor):
        return tuple(input_size.shape[1:])
    if isinstance(input_size, dict):
        return {name: sizes_of(value) for name, value in input_size.items()}
    return tuple(map(int, input_size)) if _is_size(input_size) else tuple(map(sizes_of, input_size))


def spell_sizes(sizes: Any) -> str:
    """Sizes as text: 3x224x224."""
    if isinstance(sizes, dict):
        return ", ".join(f"{name} {spell_sizes(size)}" for name, size in sizes.items())
    return "x".join(map(str, sizes)) if isinstance(sizes[0], int) else " and ".join(map(spell_sizes, sizes))
