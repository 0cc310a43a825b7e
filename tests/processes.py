"""Two processes that exchange tensors, for tests.

They are forked from a process that has done nothing but import torch, which takes seconds; the one that runs the tests
has threads, and cannot be forked.
"""

import gc
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

IMPORTED = ["pytest", "torch.distributed.fsdp", "archzoo.estimate", "archzoo.training", "archzoo.training._parallel"]


def run_two(function: Callable[..., None], folder: Path, *args: Any) -> None:
    """Call ``function(rank, folder, *args)`` in each of two processes, in one group; raise what either raises."""
    multiprocessing.set_forkserver_preload(IMPORTED)
    start_processes(_join, (function, folder, *args), nprocs=2, start_method="forkserver")


def _join(rank: int, function: Callable[..., None], folder: Path, *args: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    function(rank, folder, *args)
    dist.destroy_process_group()


def run_as_torchrun(function: Callable[..., None], folder: Path, *args: Any) -> None:
    """As ``run_two``, with the environment of torchrun's processes and no group: what is called joins one itself.

    Raises ProcessException where a process raised or was killed; the other one is ended then.
    """
    multiprocessing.set_forkserver_preload(IMPORTED)
    port = find_port()
    start_processes(_with_environment, (port, function, folder, *args), nprocs=2, start_method="forkserver")


def find_port() -> int:
    """A port of this machine that nobody listens to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _with_environment(rank: int, port: int, function: Callable[..., None], folder: Path, *args: Any) -> None:
    torch.set_num_threads(1)
    gc.freeze()  # each run looks for cycles at its end, and what was imported has none to free
    ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in ranks.items()})
    function(rank, folder, *args)
