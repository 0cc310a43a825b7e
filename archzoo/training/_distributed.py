"""Several processes, started by ``launch`` or torchrun: how they meet, and collectives."""

import gc
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from archzoo.errors import DeviceError, TrainingError
from archzoo.training._environment import Member, read_environment, read_local_rank
from archzoo.training._launching import ERRORS, is_launched
from archzoo.training._meeting import meet, patience

T = TypeVar("T")
LOST = re.compile("Connection (closed|reset) by peer|Broken pipe")  # what gloo says of a process that has ended


@dataclass(frozen=True)
class Distributed:
    """This process in a run of one or several processes.

    Attributes:
        rank: From 0 to ``world_size - 1``.
        world_size: The number of processes.
        device: The device that it trains on.
        launcher: The id of the process that started it, where torchrun or ``launch`` did.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    launcher: int | None = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    @property
    def is_orphan(self) -> bool:
        """Whether its launcher has ended, and nobody waits for this process any more."""
        return self.launcher not in (None, os.getppid())

    def all_reduce(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def broadcast_buffers(self, net: nn.Module) -> None:
        """Copy the main process's buffers, such as batch statistics, to all processes."""
        if self.world_size > 1:
            for buffer in net.buffers():
                dist.broadcast(buffer, 0)

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank: plain ones, such as texts."""
        values: list[Any] = [value]
        if self.world_size > 1:
            values *= self.world_size
            dist.all_gather_object(values, value)
        return values

    def share(self, value: T) -> T:
        """The main process's value, in all processes."""
        values = [value]
        if self.world_size > 1:
            dist.broadcast_object_list(values, 0)
        return values[0]

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world_size > 1:
            dist.barrier()


@contextmanager
def join(device: str | None = None) -> Iterator[Distributed]:
    """Join the processes that ``launch`` or torchrun started, or run alone. The backend is gloo, or nccl on CUDA.

    A process that has joined a group already stays in it, and runs as one of its members. Raises DeviceError if there
    is no such device, and TrainingError where the environment does not say how the processes meet, or they do not.
    """
    member = this_member()
    placed = choose_device(device)
    if member.world_size == 1:
        yield Distributed(device=placed)
        return
    # Images of one channel have strides of two layouts at once, and DDP remarks on its speed.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    if dist.is_initialized():
        yield Distributed(member.rank, member.world_size, placed)
        return
    launcher = os.getppid() if is_launched() else None  # before they meet, which fails where it has ended
    _start_group("nccl" if placed.type == "cuda" else "gloo", member)
    try:
        yield Distributed(member.rank, member.world_size, placed, launcher)
    except BaseException as error:
        if ERRORS not in os.environ:  # else the launcher ends the others, for which this would wait
            _clear(error)
            dist.destroy_process_group()
        if isinstance(error, RuntimeError) and LOST.search(str(error)):
            raise TrainingError(
                f"process {member.rank} of {member.world_size} lost another one, which has ended, perhaps with an "
                f"error of its own ({str(error).partition(chr(10))[0]}); rerun the command to resume"
            ) from error
        raise
    gc.collect()  # torch may wait for itself where a network of a group that ended is freed later
    dist.destroy_process_group()


def _clear(error: BaseException) -> None:
    """Let go of what failed: the others wait as long as this process keeps a network of the group, and it may go on."""
    reason: BaseException | None = error
    while reason is not None:
        traceback.clear_frames(reason.__traceback__)
        reason = reason.__cause__ or reason.__context__
    gc.collect()


def this_member() -> Member:
    """This process in the group that it has joined, or as the environment says. Raises TrainingError as that does."""
    if not dist.is_initialized():
        return read_environment()
    return Member(dist.get_rank(), dist.get_world_size())


def _start_group(backend: str, member: Member) -> None:
    """Start the process group of one run."""
    store, hook = meet(member), sys.excepthook
    # NCCL finds out by its own, shorter time that it is stuck.
    waits = patience() if backend == "gloo" else None
    dist.init_process_group(backend, store=store, rank=member.rank, world_size=member.world_size, timeout=waits)
    sys.excepthook = hook  # torch wraps it once more for each group, and never takes that back


def choose_device(name: str | None = None) -> torch.device:
    """The device of this name, or the GPU if there is one; ``cuda`` is that of this process. Raises DeviceError."""
    requested = name or ("cuda" if torch.cuda.is_available() else "cpu")
    device = _check_device(f"cuda:{read_local_rank()}" if requested == "cuda" else requested)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _check_device(name: str) -> torch.device:
    """The device of this name, after a tensor was put on it."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        available = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise DeviceError(f"cannot train on device {name!r}; available: {', '.join(available)}") from error
    return device
