"""Several processes started by torchrun: collectives, and ending with the launcher."""

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

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world_size > 1:
            dist.barrier()


@contextmanager
def join(device: str | None = None) -> Iterator[Distributed]:
    """Join the processes that torchrun started, or run alone. The backend is gloo on the CPU and nccl on CUDA.

    Raises DeviceError if there is no such device.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    requested = device or ("cuda" if torch.cuda.is_available() else "cpu")
    placed = _check_device(f"cuda:{local_rank}" if requested == "cuda" else requested)
    if placed.type == "cuda":
        torch.cuda.set_device(placed)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        end_with_parent()
    if world_size == 1:
        yield Distributed(device=placed)
        return
    # Images of one channel have strides of two layouts at once, and DDP remarks on its speed.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    dist.init_process_group("nccl" if placed.type == "cuda" else "gloo")
    try:
        yield Distributed(dist.get_rank(), world_size, placed)
    finally:
        dist.destroy_process_group()


def _check_device(name: str) -> torch.device:
    """The device of this name, after a tensor was put on it."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        available = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise DeviceError(f"cannot train on device {name!r}; available: {', '.join(available)}") from error
    return device


def end_with_parent() -> None:
    """End this process when its parent ends, even by kill -9. Linux only; elsewhere nothing is done."""
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # the parent ended in between
        os.kill(os.getpid(), signal.SIGKILL)


def launch(processes: int, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by torchrun with this many processes of ``archzoo``, which share the cores."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // processes, 1)))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # each process would remark on unused parameters
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "archzoo"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *command, *arguments])
