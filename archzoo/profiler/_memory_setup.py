"""What the passes of a memory profile run on: a copy of the model on the meta device, under the conditions of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from archzoo.errors import ProfileError
from archzoo.options import shown
from archzoo.profiler._cpu_attention import CpuAttention
from archzoo.profiler._cuda_tensors import CudaTensors
from archzoo.profiler._higher_order import flex_attention_refused
from archzoo.profiler._inputs import sizes_of, spell_sizes
from archzoo.profiler._memory_passes import Passes
from archzoo.profiler._memory_tracker import MemoryTracker
from archzoo.profiler._meta import (
    attributes_of,
    hint,
    is_lazy,
    materialize_lazy,
    meta_copy,
    modules_of,
    parameters_of,
    tensors_of,
)
from archzoo.profiler._scripted import is_scripted
from archzoo.profiler._sparse import sparse_constructors
from archzoo.profiler._sparse_layouts import INDICES
from archzoo.profiler._value_readers import refuse_nested
from archzoo.restoring import process_restored
from archzoo.wrappers import unwrapped

Outcome = TypeVar("Outcome")
Inputs = tuple[tuple[Any, ...], dict[str, Any]]  # positional and keyword arguments on the meta device
MakeTracker = Callable[[nn.Module], MemoryTracker]


@dataclass(frozen=True)
class Conditions:
    """Under which a model runs: as the arguments of ``memory`` with these names.

    With ``made_on_meta``, tensors that forward makes on the CPU are on the meta device, as the inputs are. With
    ``as_if_compiled``, forward is told that it is compiled, so that it reads no values.
    """

    device: Literal["cpu", "cuda"] = "cpu"
    autocast: torch.dtype | None = None
    channels_last: bool = False
    cuda_graph: bool = False
    made_on_meta: bool = False
    as_if_compiled: bool = False

    def check(self) -> None:
        """Raise ProfileError for an argument that is wrong, or that another one excludes."""
        if self.device not in ("cpu", "cuda"):
            raise ProfileError(f"device must be 'cpu' or 'cuda', not {shown(self.device)}")
        if self.autocast not in (None, torch.bfloat16, torch.float16):
            raise ProfileError(f"autocast must be torch.bfloat16, torch.float16 or None, not {shown(self.autocast)}")
        if self.device == "cpu" and (self.autocast is not None or self.cuda_graph):
            option = "cuda_graph" if self.cuda_graph else "autocast"
            raise ProfileError(f"{option} is modeled for device='cuda' alone, not for {self.device!r}")


def run_or_retry(run: Callable[[Conditions], Outcome], conditions: Conditions) -> Outcome:
    """What ``run`` returns under these conditions; where it fails, with ``made_on_meta`` or ``as_if_compiled``.

    These are second ways because tensors that forward makes have values, which it may read, in the first one alone.
    Raises the first error if all ways fail.
    """
    try:
        return run(conditions)
    except ProfileError:
        on_cpu = conditions.device == "cpu"
        for made_on_meta, compiled in ((True, False), (False, True), (True, True)):
            if on_cpu or not made_on_meta:
                with suppress(ProfileError):
                    return run(replace(conditions, made_on_meta=made_on_meta, as_if_compiled=compiled))
        raise


@contextmanager
def passes(
    model: nn.Module,
    inputs: Inputs,
    conditions: Conditions,
    input_size: Any,
    *,
    make_tracker: MakeTracker | None = None,
    change: Callable[[Passes], None] | None = None,
) -> Iterator[Passes]:
    """The passes of a copy of the model, which ``change`` may change. Raises ProfileError where one of them fails.

    The message names the part and ``input_size``. MemoryError is raised as it is.
    """
    model = unwrapped(model)
    _refuse_unmodeled(model, inputs)

    def tracker_of(net: nn.Module) -> MemoryTracker:
        tracker = make_tracker(net) if make_tracker else MemoryTracker(net, conditions.device)
        tracker.made_on_meta, tracker.as_if_compiled = conditions.made_on_meta, conditions.as_if_compiled
        return tracker

    args, kwargs = inputs
    with process_restored():
        net = meta_copy(model)
        tracker = tracker_of(net)
        try:
            if any(is_lazy(parameter) for parameter in parameters_of(net)):
                net = materialize_lazy(net, args, kwargs)
                tracker = tracker_of(net)
            if conditions.channels_last:
                net._apply(_channels_last)  # type: ignore[no-untyped-call]
                args, kwargs = tree_map(_channels_last, (args, kwargs))
            cuda = conditions.device == "cuda"
            mode = CudaTensors(conditions.autocast, cache=not conditions.cuda_graph) if cuda else None
            fused = nullcontext() if cuda else CpuAttention()
            running = Passes(net, (args, kwargs), tracker, mode, graph=conditions.cuda_graph)
            if change is not None:
                change(running)
            with fused, sparse_constructors(net), flex_attention_refused(), running:
                yield running
        except (ProfileError, MemoryError):
            raise
        except Exception as error:
            part = tracker.path() or type(model).__name__
            reason = f"{type(error).__name__}: {error}{hint(model, error)}"
            sizes = spell_sizes(sizes_of(input_size))
            raise ProfileError(f"an input of {sizes} fails in {part}: {reason}") from error


def _refuse_unmodeled(model: nn.Module, inputs: Inputs) -> None:
    """Raise ProfileError if parameters are in C++, where a copy does not replace them, or tensors have no strides."""
    modules = modules_of(model)
    held = [*tensors_of(modules), *attributes_of(modules), *tree_leaves(inputs)]
    tensors = [tensor for tensor in held if isinstance(tensor, Tensor)]
    if any(tensor.is_nested for tensor in tensors):
        refuse_nested()
    if any(tensor.layout in INDICES for tensor in tensors):
        raise ProfileError("the memory of sparse parameters, buffers and inputs is not modeled: give dense ones")
    if any(is_scripted(module) and parameters_of(module) for module in modules_of(model)):
        raise ProfileError(
            "the memory of scripted and traced modules with parameters is not modeled: give the module as it was before"
        )


def _channels_last(leaf: Any) -> Any:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    ordered = isinstance(leaf, Tensor) and leaf.dim() in formats
    return leaf.to(memory_format=formats[leaf.dim()]) if ordered else leaf
