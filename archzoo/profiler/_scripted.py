"""Modules of TorchScript, scripted and traced: their state is in C++, and their parts run without module hooks."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import nn


def is_scripted(module: nn.Module) -> bool:
    """Whether a module is scripted or traced."""
    return isinstance(module, torch.jit.ScriptModule)


@contextmanager
def scripted_in_eval(modules: Collection[nn.Module]) -> Iterator[None]:
    """Set eval mode of scripted modules inside the block. Frozen ones have no mode."""
    scripted = [module for module in modules if is_scripted(module) and hasattr(module, "training")]
    modes = [module.training for module in scripted]
    try:
        for module in scripted:
            module.training = False
        yield
    finally:
        for module, mode in zip(scripted, modes, strict=True):
            module.training = mode
