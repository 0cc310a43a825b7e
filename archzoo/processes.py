"""Processes that end with the one that started them, whom they obey, and what they say."""

import ctypes
import os
import signal
import sys
import threading
from contextlib import suppress


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


def obey_parent_alone() -> None:
    """End this process on SIGTERM of its parent alone. Called in the main thread, before there are others.

    A batch system sends it to all processes of a job, and the parent still needs this one to end well. Linux only.
    """
    if sys.platform != "linux":
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_on_sigterm_of, args=(os.getppid(),), daemon=True).start()


def _end_on_sigterm_of(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def say(line: str) -> None:
    """Print a line to standard error. Where nobody reads it any more, or its disk is full, nothing ends by that."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):  # Python would try again at exit
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())
            os.close(nowhere)
