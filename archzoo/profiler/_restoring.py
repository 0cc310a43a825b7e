"""Restoring what a pass changes outside the model: random generators, hooks, modes and the garbage collector."""

import gc
import random
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch.nn.modules import module as module_hooks
from torch.utils import _python_dispatch as dispatch

T = TypeVar("T")
Undo = Callable[[], object]  # has the same effect when it is done twice


def and_restore(work: Callable[[], T], undo: Sequence[Undo]) -> T:
    """The result of ``work``, and after it all of ``undo``, whatever it raises and however often Ctrl-C is pressed."""
    try:
        try:
            return work()
        finally:
            _do_all(undo)
    except BaseException:
        _do_all(undo)  # an interrupt may have come before the first line there
        raise


def _do_all(undo: Sequence[Undo]) -> None:
    """Do all steps, from the start again after an interrupt, which is raised at the end."""
    interrupt: KeyboardInterrupt | None = None
    done = False
    while not done:
        try:
            for step in undo:
                step()
            done = True
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


@contextmanager
def generators_restored() -> Iterator[None]:
    """Restore the random generators of Python, numpy and torch on exit."""
    undo = restore_generators()
    try:
        yield
    finally:
        _do_all(undo)


def restore_generators() -> list[Undo]:
    """Steps that set the global random generators to where they are when this is called.

    numpy's is among them if it is imported, and those of devices that torch has initialized.
    """
    steps: list[Undo] = [
        partial(random.setstate, random.getstate()),
        partial(torch.set_rng_state, torch.get_rng_state()),
    ]
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        steps.append(partial(numpy.random.set_state, numpy.random.get_state()))
    for name in ("cuda", "xpu"):
        device: Any = getattr(torch, name)
        if device.is_initialized():
            steps.append(partial(device.set_rng_state_all, device.get_rng_state_all()))
    return steps


def restore_modes() -> list[Undo]:
    """Steps that leave torch's dispatch and grad modes, and the garbage collector, as they are when this is called."""
    depth = torch._C._len_torch_dispatch_stack()
    # Of the whole process: one that another thread has set is not ours to restore.
    flags = {name: False for name, value in vars(dispatch).items() if name.startswith("_is_in_") and value is False}
    tell_compiler = getattr(dispatch, "set_is_in_mode_without_ignore_compile_internals", None)

    def leave_dispatch_modes() -> None:
        while torch._C._len_torch_dispatch_stack() > depth:
            dispatch._pop_mode()
        vars(dispatch).update(flags)
        if tell_compiler is not None:
            tell_compiler(dispatch._is_in_any_mode_without_ignore_compile_internals)

    steps: list[Undo] = [leave_dispatch_modes, partial(torch._C._set_grad_enabled, torch.is_grad_enabled())]
    return [*steps, gc.enable] if gc.isenabled() else steps


@contextmanager
def attribute_set(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an attribute another value inside the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def remove_hooks(functions: Collection[Any]) -> None:
    """Remove these functions from torch's hooks of all modules, and leave those of others, also of other threads."""
    for hooks in (module_hooks._global_forward_pre_hooks, module_hooks._global_forward_hooks):
        for key in [key for key, function in list(hooks.items()) if function in functions]:
            hooks.pop(key, None)
