"""Several processes, started by ``launch`` or torchrun: how they meet, and collectives."""

import gc
import os
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
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from archzoo.errors import DeviceError, TrainingError
from archzoo.training._environment import Member, read_environment, read_local_rank
from archzoo.training._launching import ERRORS, is_launched
from archzoo.training._meeting import PATIENCE, meet, patience

T = TypeVar("T")


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
    _meshes: list[DeviceMesh] = field(default_factory=list, repr=False, compare=False)

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

    def mesh(self) -> DeviceMesh:
        """All processes in a row, over which tensors are sharded."""
        self._meshes.append(init_device_mesh(self.device.type, (self.world_size,)))
        return self._meshes[-1]

    def end_group(self) -> None:
        """End the process group, also for the others, which may wait in it.

        torch keeps the meshes of sharded tensors in its caches, and each keeps the group and its connections open.
        """
        while self._meshes:
            vars(self._meshes.pop()).get("_pg_registry", {}).clear()
        dist.destroy_process_group()


@contextmanager
def join(device: str | None = None) -> Iterator[Distributed]:
    """Join the processes that ``launch`` or torchrun started, or run alone. The backend is gloo, or nccl on CUDA.

    A process that has joined a group already stays in it, and runs as one of its members. Raises DeviceError if there
    is no such device, and TrainingError where the environment does not say how the processes meet, they do not, or one
    of the others ends while this one waits for it.
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
    here = Distributed(member.rank, member.world_size, placed, launcher)
    try:
        yield here
    except BaseException as error:
        if ERRORS not in os.environ:  # else the launcher ends the others, for which this would wait
            _clear(error)
            here.end_group()
        if _is_lost_connection(error):
            raise TrainingError(
                f"process {member.rank} of {member.world_size} lost another one, whose error says why; rerun all of "
                f"them to resume from the last checkpoint"
            ) from error
        raise
    gc.collect()  # torch may wait for itself where a network of a group that ended is freed later
    here.end_group()


def _is_lost_connection(error: BaseException) -> bool:
    """Whether a collective failed since another process is gone. Gloo has no exception of its own."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


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
    # NCCL is stuck, and not one of the processes busy, where it waits longer than they do for each other.
    waits = patience() if backend == "gloo" else PATIENCE
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
