"""Several processes, started by ``launch`` or torchrun: how they meet, and collectives."""

import itertools
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
from torch.distributed.rendezvous import rendezvous

from archzoo.errors import DeviceError
from archzoo.training._launching import ERRORS, SOCKET

_runs = itertools.count()  # of this process: all processes make the same calls, and count alike


@dataclass(frozen=True)
class Distributed:
    """This process in a run of one or several processes."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

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

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world_size > 1:
            dist.barrier()


@contextmanager
def join(device: str | None = None) -> Iterator[Distributed]:
    """Join the processes that ``launch`` or torchrun started, or run alone. The backend is gloo, or nccl on CUDA.

    A process that has joined a group already stays in it, and runs as one of its members. Raises DeviceError if there
    is no such device.
    """
    world_size = dist.get_world_size() if dist.is_initialized() else int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    requested = device or ("cuda" if torch.cuda.is_available() else "cpu")
    placed = _check_device(f"cuda:{local_rank}" if requested == "cuda" else requested)
    if placed.type == "cuda":
        torch.cuda.set_device(placed)
    if world_size == 1:
        yield Distributed(device=placed)
        return
    # Images of one channel have strides of two layouts at once, and DDP remarks on its speed.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    if dist.is_initialized():
        yield Distributed(dist.get_rank(), world_size, placed)
        return
    _meet("nccl" if placed.type == "cuda" else "gloo", world_size)
    try:
        yield Distributed(dist.get_rank(), world_size, placed)
    except BaseException:
        if ERRORS not in os.environ:  # else the launcher ends the others, for which this would wait
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def _meet(backend: str, world_size: int) -> None:
    """Start the process group of one run, which finds nothing of the runs before it in the store that they share."""
    store = _open_store(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), int(os.environ["RANK"]), world_size)
    own = PrefixStore(f"run-{next(_runs)}", store)
    dist.init_process_group(backend, store=own, rank=int(os.environ["RANK"]), world_size=world_size)


@cache
def _open_store(address: str, port: int, rank: int, world_size: int) -> Store:
    """The store where the processes meet, over the socket that ``launch`` has bound or as torchrun's environment says.

    It stays open as long as the process. With a store per run, a process that is done with one run meets those that
    are not in the store that they are about to close, and waits for the next run in vain.
    """
    if SOCKET not in os.environ:
        store: Store = next(rendezvous("env://"))[0]
        return store
    return TCPStore(
        address,
        port,
        world_size,
        is_master=rank == 0,
        wait_for_workers=False,
        master_listen_fd=int(os.environ[SOCKET]) if rank == 0 else None,
    )


def _check_device(name: str) -> torch.device:
    """The device of this name, after a tensor was put on it."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        available = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise DeviceError(f"cannot train on device {name!r}; available: {', '.join(available)}") from error
    return device
