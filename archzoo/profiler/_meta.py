"""Running a model on meta tensors (shapes without values) and leaving the model as it was."""

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

from archzoo.profiler._scripted import is_scripted
from archzoo.profiler._shapes import META

Enter = Callable[[nn.Module, Any], None]
Leave = Callable[[nn.Module, Any, Any], None]


def modules_of(model: nn.Module) -> dict[nn.Module, str]:
    """Every module once, with the first name by which it is reached."""
    names: dict[nn.Module, str] = {}
    _add_modules(model, "", names)
    return names


def _add_modules(module: nn.Module, name: str, names: dict[nn.Module, str]) -> None:
    names[module] = name
    for part, inner in module._modules.items():
        if inner is not None and inner not in names:
            _add_modules(inner, f"{name}.{part}" if name else part, names)


def tensors_of(module: nn.Module) -> list[Tensor]:
    """The parameters and buffers of a module itself."""
    tensors = (*module._parameters.values(), *module._buffers.values())
    return [tensor for tensor in tensors if tensor is not None]


class MetaTensors:
    """Meta tensors that stand in for a model's parameters and buffers.

    A parameter always gets the same stand-in, so that a later call sees what an earlier one wrote into it.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        own = (tensors.values() for module in modules for tensors in (module._parameters, module._buffers) if tensors)
        self.own = {id(tensor): tensor for tensors in own for tensor in tensors if tensor is not None}
        self._stand_ins: dict[int, Tensor] = {}

    def stand_in(self, tensor: Tensor) -> Tensor:
        """The meta tensor for a tensor: itself if it is a meta tensor that does not belong to the model."""
        key = id(tensor)
        if tensor.is_meta and key not in self.own:
            return tensor
        if key not in self._stand_ins:
            self.own.setdefault(key, tensor)  # keeps it alive, and its id with it
            meta = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
            self._stand_ins[key] = meta
        return self._stand_ins[key]

    def substitute(self, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The operands of a call, with every real tensor replaced by its stand-in."""
        named = {name: self._substitute(value) for name, value in kwargs.items()}
        if named.get("device") is not None:
            named["device"] = META
        return [self._substitute(value) for value in args], named

    def _substitute(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.stand_in(value)
        return type(value)(map(self._substitute, value)) if isinstance(value, list | tuple) else value


@contextmanager
def state_preserved(modules: Collection[nn.Module], training: bool) -> Iterator[None]:
    """Set train or eval mode inside the block; restore every attribute of every module after it."""
    modules = [module for module in modules if not is_scripted(module)]
    saved = [
        (state, state.copy(), [(held, held.copy()) for held in (state["_parameters"], state["_buffers"]) if held])
        for state in map(vars, modules)
    ]
    try:
        for module in modules:
            module.__dict__["training"] = training
        yield
    finally:
        for state, state_before, tensors in saved:
            state.clear()
            state.update(state_before)
            for held, held_before in tensors:
                held.clear()
                held.update(held_before)


@contextmanager
def gc_disabled() -> Iterator[None]:
    """Turn the garbage collector off: a profiling pass keeps all its tensors, so that a collection finds nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def module_hooks(enter: Enter, leave: Leave) -> Iterator[None]:
    """Call ``enter`` before and ``leave`` after every module, through global hooks that the model never sees."""
    handles = [hooks.register_module_forward_pre_hook(enter), hooks.register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def meta_copy(model: nn.Module) -> nn.Module:
    """A copy of the model on the meta device that shares nothing with it. Lazy parameters stay lazy."""
    tensors = [tensor for module in modules_of(model) for tensor in tensors_of(module)]
    return copy.deepcopy(model, {id(tensor): _meta_tensor(tensor) for tensor in tensors})


def _meta_tensor(tensor: Tensor) -> Tensor:
    if is_lazy(tensor):
        lazy: type[Any] = type(tensor)
        return cast(Tensor, lazy(device=META, dtype=tensor.dtype))
    meta = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
    return nn.Parameter(meta, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else meta


def materialize_lazy(model: nn.Module, args: Any, kwargs: dict[str, Any]) -> nn.Module:
    """A copy on the meta device whose lazy parameters got their shapes from these inputs."""
    copied = meta_copy(model).eval()
    with torch.no_grad():
        copied(*args, **kwargs)
    return copied


def is_lazy(tensor: Tensor) -> bool:
    """Whether a parameter gets its shape only from the first input."""
    return isinstance(tensor, UninitializedParameter | UninitializedBuffer)


def hint(model: nn.Module, error: Exception) -> str:
    """Advice on a failed forward pass, or an empty string."""
    message = str(error)
    if isinstance(error, TypeError) and ("required" in message or "unexpected keyword" in message):
        signature = inspect.signature(model.forward)
        return f"; its forward takes {signature}: give a list of sizes for several inputs, a dict for inputs by name"
    signs = ("item()", "_local_scalar_dense", "nonzero", "out of meta tensor", "is_nonzero")
    if any(sign in message for sign in signs):
        return (
            "; the forward there depends on the value of a tensor, and shapes do not tell it: count the parts before "
            "and behind by themselves"
        )
    return ""
