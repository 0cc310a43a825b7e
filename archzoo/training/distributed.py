"""Several processes as torchrun starts them: who we are, what all have together, and an end with the launcher."""

import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn

from archzoo.errors import DeviceError


@dataclass(frozen=True)
class Distributed:
    """This process among those of a run."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def same_buffers(self, net: nn.Module) -> None:
        """The first process's buffers, such as batch statistics, in all."""
        if self.world > 1:
            for buffer in net.buffers():
                dist.broadcast(buffer, 0)

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def joined(device: str | None = None) -> Iterator[Distributed]:
    """This process among those that torchrun started, or alone. gloo on the CPU, nccl on CUDA.

    Raises DeviceError where there is no such device.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    where = _device(f"cuda:{local}" if kind == "cuda" else kind)
    if where.type == "cuda":
        torch.cuda.set_device(where)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        die_with_parent()
    if world == 1:
        yield Distributed(device=where)
        return
    # Of pictures with one channel, whose strides mean two layouts at once: only a remark on speed.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    try:
        yield Distributed(dist.get_rank(), world, where)
    finally:
        dist.destroy_process_group()


def _device(name: str) -> torch.device:
    """A device that something can be put on."""
    try:
        where = torch.device(name)
        torch.zeros(1, device=where).item()
    except (RuntimeError, AssertionError) as error:  # an assertion where torch was built without CUDA
        there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise DeviceError(f"there is no device {name!r} to train on; there is {', '.join(there)}") from error
    return where


def die_with_parent() -> None:
    """End as soon as the process that started this one ends, even by kill -9 (Linux; elsewhere nothing is done)."""
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended in between
        os.kill(os.getpid(), signal.SIGKILL)


def launch(processes: int, arguments: Sequence[str]) -> NoReturn:
    """Become torchrun with so many processes of ``archzoo`` with these arguments, each with its share of the cores."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // processes, 1)))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else each process remarks on unused parameters
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "archzoo"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *run, *arguments])
