"""A model on meta tensors: shapes without values, and the model itself as it was afterwards.

Nothing here counts. Counting and following the memory are both such passes.
"""

import copy
import gc
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._pytree import tree_flatten

from archzoo.errors import ProfileError
from archzoo.profiler.shapes import META

Enter = Callable[[nn.Module, Any], None]
Leave = Callable[[nn.Module, Any, Any], None]


def meta_inputs(model: nn.Module, input_size: Any, batch: int | None) -> tuple[tuple[Any, ...], dict[str, Any], int]:
    """Positional inputs, inputs by name, and the batch, for what a caller gave as the size.

    A size is (channels, height, width) without the batch, or an example tensor with it, whose values are not read.
    A list or tuple of these is several inputs, a dict inputs by name; nested ones are passed on as they are.
    """
    if batch is not None and (not isinstance(batch, int) or isinstance(batch, bool) or batch < 1):
        raise ProfileError(f"batch must be a positive integer, not {batch!r}")
    batches = {one.shape[0] for one in tree_flatten(input_size)[0] if isinstance(one, Tensor) and one.dim()}
    batches |= set() if batch is None else {batch}
    if len(batches) > 1:
        raise ProfileError(f"all inputs must have one batch, not {' and '.join(map(str, sorted(batches)))}")
    size, dtype = batches.pop() if batches else 1, _dtype(model)
    if isinstance(input_size, dict):
        return (), {name: _input(one, size, dtype) for name, one in input_size.items()}, size
    if isinstance(input_size, Tensor) or _is_size(input_size):
        return (_input(input_size, size, dtype),), {}, size
    if not isinstance(input_size, list | tuple) or not input_size or isinstance(input_size[0], int | float):
        raise ProfileError(_no_size(input_size))
    return tuple(_input(one, size, dtype) for one in input_size), {}, size


def _input(one: Any, batch: int, dtype: torch.dtype) -> Any:
    if isinstance(one, Tensor):
        return torch.empty_strided(one.size(), one.stride(), dtype=one.dtype, device=META)
    if _is_size(one):
        return torch.empty(batch, *one, dtype=dtype, device=META)
    if isinstance(one, dict):
        return {name: _input(inner, batch, dtype) for name, inner in one.items()}
    if isinstance(one, list | tuple) and one and not isinstance(one[0], int | float):
        return type(one)(_input(inner, batch, dtype) for inner in one)
    raise ProfileError(_no_size(one))


def _is_size(given: Any) -> bool:
    return isinstance(given, list | tuple) and bool(given) and all(type(side) is int and side > 0 for side in given)


def _no_size(given: Any) -> str:
    return (
        "input_size must be positive integers such as (3, 224, 224), without the batch, an example tensor, a list of "
        f"these for several inputs, or a dict for inputs by name, not {given!r}"
    )


def _dtype(model: nn.Module) -> torch.dtype:
    """The type of the model's parameters, or the default."""
    found = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next(found, torch.get_default_dtype())


def sizes_of(input_size: Any) -> Any:
    """What was given as input, as sizes without the batch: tuples, in dicts where there were dicts."""
    if isinstance(input_size, Tensor):
        return tuple(input_size.shape[1:])
    if isinstance(input_size, dict):
        return {name: sizes_of(one) for name, one in input_size.items()}
    return tuple(input_size) if _is_size(input_size) else tuple(map(sizes_of, input_size))


def spell_sizes(sizes: Any) -> str:
    """Sizes as people write them: 3x224x224."""
    if isinstance(sizes, dict):
        return ", ".join(f"{name} {spell_sizes(size)}" for name, size in sizes.items())
    return "x".join(map(str, sizes)) if isinstance(sizes[0], int) else " and ".join(map(spell_sizes, sizes))


def modules_of(model: nn.Module) -> dict[nn.Module, str]:
    """Every module once, under the first name by which it is reached."""
    found: dict[nn.Module, str] = {}
    _walk(model, "", found)
    return found


def _walk(module: nn.Module, name: str, found: dict[nn.Module, str]) -> None:
    found[module] = name
    for part, inner in module._modules.items():
        if inner is not None and inner not in found:
            _walk(inner, f"{name}.{part}" if name else part, found)


class Ghosts:
    """The meta tensors that stand for a model's own: always the same one, so that writes to it meet again."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        tensors = (each.values() for module in modules for each in (module._parameters, module._buffers) if each)
        self.own = {id(tensor): tensor for several in tensors for tensor in several if tensor is not None}
        self._ghosts: dict[int, Tensor] = {}

    def of(self, tensor: Tensor) -> Tensor:
        """The ghost of a tensor; a meta tensor that is not the model's own needs none."""
        key = id(tensor)
        if tensor.is_meta and key not in self.own:
            return tensor
        if key not in self._ghosts:
            self.own.setdefault(key, tensor)  # keeps it alive, and its id with it
            ghost = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
            self._ghosts[key] = ghost
        return self._ghosts[key]

    def instead(self, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The operands of a call with ghosts in the place of real tensors."""
        named = {name: self._instead(one) for name, one in kwargs.items()}
        if named.get("device") is not None:
            named["device"] = META
        return [self._instead(one) for one in args], named

    def _instead(self, one: Any) -> Any:
        if isinstance(one, Tensor):
            return self.of(one)
        return type(one)(map(self._instead, one)) if isinstance(one, list | tuple) else one


@contextmanager
def preserved(modules: Collection[nn.Module], training: bool) -> Iterator[None]:
    """In training or evaluation mode inside; every attribute of every module as it was outside."""
    saved = [
        (state, state.copy(), [(each, each.copy()) for each in (state["_parameters"], state["_buffers"]) if each])
        for state in map(vars, modules)
    ]
    try:
        for module in modules:
            module.__dict__["training"] = training
        yield
    finally:
        for now, before, tensors in saved:
            now.clear()
            now.update(before)
            for each, then in tensors:
                each.clear()
                each.update(then)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without looking for garbage: a pass keeps what it makes, and the search would take longer than the pass."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def following(enter: Enter, leave: Leave) -> Iterator[None]:
    """Tell which modules run, through hooks that the model itself never sees."""
    handles = [hooks.register_module_forward_pre_hook(enter), hooks.register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def meta_copy(model: nn.Module) -> nn.Module:
    """A copy of the model on meta tensors, which shares nothing with it. Lazy parameters stay lazy."""
    tensors = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(tensor): _ghost(tensor) for tensor in tensors})


def _ghost(tensor: Tensor) -> Tensor:
    if is_lazy(tensor):
        lazy: type[Any] = type(tensor)
        return cast(Tensor, lazy(device=META, dtype=tensor.dtype))
    ghost = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
    return nn.Parameter(ghost, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else ghost


def materialized(model: nn.Module, args: Any, kwargs: dict[str, Any]) -> nn.Module:
    """A copy on meta tensors of a model with lazy parameters, which has met its first input."""
    lazy = meta_copy(model).eval()
    with torch.no_grad():
        lazy(*args, **kwargs)
    return lazy


def is_lazy(tensor: Tensor) -> bool:
    """Whether a parameter gets its shape only from the first input."""
    return isinstance(tensor, UninitializedParameter | UninitializedBuffer)


def hint(model: nn.Module, error: Exception) -> str:
    """What to do about a forward pass that failed, where it can be told."""
    said = str(error)
    if isinstance(error, TypeError) and ("required" in said or "unexpected keyword" in said):
        takes = inspect.signature(model.forward)
        return f"; its forward takes {takes}: give a list of sizes for several inputs, a dict for inputs by name"
    if any(sign in said for sign in ("item()", "_local_scalar_dense", "nonzero", "out of meta tensor", "is_nonzero")):
        return (
            "; the forward there depends on the value of a tensor, and shapes do not tell it: count the parts before "
            "and behind by themselves"
        )
    return ""
