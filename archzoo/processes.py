"""Processes that end with the one that started them."""

import ctypes
import os
import signal
import sys


def end_with_parent(parent: int | None = None) -> None:
    """End this process when its parent ends, even by kill -9. Linux only; elsewhere nothing is done.

    ``parent`` is its process id where the caller knows it; where it ended before this call, this process ends too.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid() if parent is None else parent
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # the parent ended in between
        os.kill(os.getpid(), signal.SIGKILL)
