"""Paths that all processes draw alike: a sharded network cannot skip modules in one process that another one runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.data import derive_seed


@contextmanager
def shared_paths(net: nn.Module, seed: Callable[[], int]) -> Iterator[None]:
    """Let the modules of a network that skip others draw from the same numbers in all processes.

    Such modules have a ``survival`` or a ``drop_path`` (``archzoo.profiler.skips_modules``), and draw from torch's CPU
    generator as they begin. ``seed`` gives the numbers of a pass, which must be the same in all processes. Other random
    numbers, such as those of dropout, are drawn as before: each process has another share of the batch.
    """
    hooks = [
        hook for number, module in enumerate(net.modules()) if _skips(module) for hook in _attach(module, number, seed)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _skips(module: nn.Module) -> bool:
    """Whether a module skips some of its own: one that scales what they return, in a module ``drop_path``, does not."""
    return hasattr(module, "survival") or not isinstance(getattr(module, "drop_path", module), nn.Module)


def _attach(module: nn.Module, number: int, seed: Callable[[], int]) -> list[Any]:
    """Set the CPU generator when the module is called, and set it back when it returns or fails."""
    states: list[Tensor] = []

    def before(module: nn.Module, inputs: Any) -> None:
        states.append(torch.get_rng_state())
        torch.default_generator.manual_seed(derive_seed("paths", seed(), number))

    def after(module: nn.Module, inputs: Any, outputs: Any) -> None:
        torch.set_rng_state(states.pop())

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after, always_call=True)]
