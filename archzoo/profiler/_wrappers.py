"""Running and copying modules that are inside of others: compiled, data-parallel and sharded ones."""

import copy
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.errors import ProfileError
from archzoo.restoring import attribute_set
from archzoo.wrappers import inner_names, unwrapped

SHARDED = "FSDP"  # with which ``fully_shard`` begins the name of the class that it makes


def run_eagerly() -> AbstractContextManager[Any]:
    """Compiled functions run as they are written in this context."""
    if "torch._dynamo.eval_frame" not in sys.modules:  # nothing is compiled: importing it takes a second
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


def as_if_compiled(pretended: bool) -> AbstractContextManager[None]:
    """Tell a forward that it is compiled, and so shall not read values: many skip a mask that leaves nothing out."""
    return attribute_set(torch.compiler, "_is_compiling_flag", torch.compiler._is_compiling_flag or pretended)


def original_class(kind: Any) -> Any:
    """The class that a sharded module had before, from its own; any other class as it is."""
    if not kind.__name__.startswith(SHARDED):
        return kind
    sharding: Any = sys.modules.get("torch.distributed.fsdp")
    is_sharded = sharding is not None and issubclass(kind, sharding.FSDPModule)
    return kind.__mro__[getattr(kind, "_orig_cls_mro_index", 2)] if is_sharded else kind


def remove_sharding_hooks(module: nn.Module) -> None:
    """Remove the hooks that gather and free parameters."""
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        for key, hook in list(hooks.items()):
            if str(getattr(hook, "__module__", "")).startswith("torch.distributed"):
                del hooks[key]


def copied_without_wrappers(model: nn.Module, tensors: dict[int, Tensor]) -> nn.Module:
    """A deep copy whose tensors are these, by the ids of the model's, and that has no wrappers in it.

    Raises ProfileError for a sharded model, which cannot be copied.
    """
    model = unwrapped(model)
    memo: dict[int, Any] = dict(tensors)
    for module in _all_modules(model, set()):
        if original_class(type(module)) is not type(module):
            kind = original_class(type(module)).__name__
            raise ProfileError(f"a {kind} sharded by fully_shard cannot be copied: give the model as it was before")
        if type(module) in inner_names():
            memo[id(module)] = copy.deepcopy(unwrapped(module), memo)
    return copy.deepcopy(model, memo)


def _all_modules(module: nn.Module, seen: set[int]) -> Iterator[nn.Module]:
    """A module and all inside of it, the innermost ones first."""
    seen.add(id(module))
    for inner in module._modules.values():
        if inner is not None and id(inner) not in seen:
            yield from _all_modules(inner, seen)
    yield module
