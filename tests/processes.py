"""Two processes that exchange tensors, for tests.

They are forked from a process that has done nothing but import torch, which takes seconds; the one that runs the tests
has threads, and cannot be forked.
"""

import multiprocessing
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
