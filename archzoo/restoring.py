"""Restoring what a pass changes outside the model: random generators, hooks, modes and settings of torch."""

import copy
import gc
import random
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.utils import _python_dispatch as dispatch

T = TypeVar("T")
# A trace of torch.fx replaces how modules are called in all threads, and sets back what it found: one at a time.
TRACING = threading.RLock()
Undo = Callable[[], object]  # has the same effect when it is done twice
Setting = tuple[Callable[[], Any], Callable[[Any], object]]


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
def undone(undo: Sequence[Undo]) -> Iterator[None]:
    """Do all of ``undo`` on exit, however often Ctrl-C is pressed."""
    try:
        try:
            yield
        finally:
            _do_all(undo)
    except BaseException:
        _do_all(undo)
        raise


def generators_restored() -> AbstractContextManager[None]:
    """Restore the random generators of Python, numpy and torch on exit."""
    return undone(restore_generators())


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


def _device_of_settings() -> Any:
    return getattr(getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None), "device", None)


def _determinism() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_determinism(values: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(values[0], warn_only=values[1])


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _set_anomaly(values: tuple[bool, bool]) -> None:
    torch.autograd.set_detect_anomaly(*values)


def _autocast(device: str) -> Setting:
    def read() -> tuple[bool, torch.dtype]:
        return torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)

    def write(values: tuple[bool, torch.dtype]) -> None:
        torch.set_autocast_enabled(device, values[0])
        torch.set_autocast_dtype(device, values[1])

    return read, write


# What a forward pass may set for the whole process: how each is read, and how it is set.
SETTINGS: tuple[Setting, ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (_device_of_settings, torch.set_default_device),
    (torch.get_num_threads, torch.set_num_threads),
    (_determinism, _set_determinism),
    (_anomaly, _set_anomaly),
    (torch._C._get_float32_matmul_precision, torch._C._set_float32_matmul_precision),
    (torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
    (torch._C._get_cudnn_enabled, torch._C._set_cudnn_enabled),
    (torch._C._get_cudnn_benchmark, torch._C._set_cudnn_benchmark),
    (torch._C._get_cudnn_deterministic, torch._C._set_cudnn_deterministic),
    (torch._C._get_flash_sdp_enabled, torch._C._set_sdp_use_flash),
    (torch._C._get_mem_efficient_sdp_enabled, torch._C._set_sdp_use_mem_efficient),
    (torch._C._get_math_sdp_enabled, torch._C._set_sdp_use_math),
    (torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
    *map(_autocast, ("cpu", "cuda")),
)


def restore_settings() -> list[Undo]:
    """Steps that set torch's settings to what they are when this is called."""

    def restore(setting: Setting, before: Any) -> None:
        if setting[0]() != before:
            setting[1](before)

    return [partial(restore, setting, setting[0]()) for setting in SETTINGS]


def process_restored() -> AbstractContextManager[None]:
    """Restore random generators, modes and settings on exit."""
    return undone([*restore_generators(), *restore_modes(), *restore_settings()])


def copy_to_run(model: nn.Module) -> nn.Module:
    """A copy of a model, which its forward pass may change; the model itself where it cannot be copied."""
    try:
        return copy.deepcopy(model)
    except Exception:  # locks, tensors with a history, whatever a class refuses
        return model


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
