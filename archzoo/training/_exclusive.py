"""One training at a time in a process: the generators that it seeds are the process's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from archzoo.errors import TrainingError

_training = threading.RLock()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Raise TrainingError where another thread trains, whose random numbers would be mixed with those of this one."""
    if not _training.acquire(blocking=False):
        raise TrainingError(
            "another thread of this process is training, and both would draw from the same generators: wait until it "
            "ends, or train in a process of its own"
        )
    try:
        yield
    finally:
        _training.release()


@contextmanager
def generators_kept(device: torch.device) -> Iterator[None]:
    """Set torch's generators of the CPU and of this device back at the end."""
    devices = [device] if device.type == "cuda" and torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices):
        yield
