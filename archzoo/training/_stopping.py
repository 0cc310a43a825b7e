"""A stop on a signal that waits for the end of an iteration."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archzoo.training._environment import is_one_of_several

if TYPE_CHECKING:
    from archzoo.training._distributed import Distributed

# A batch system or torchrun, Ctrl-C, and a terminal that is closed.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
NOTICE = b"\narchzoo: stopping after this iteration, with a checkpoint; Ctrl-C again stops at once\n"

_received: int | None = None


def handled_signals() -> list[int]:
    """The signals that ask for a stop, without those that are ignored or that Python could not set back."""
    return [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def last_signal() -> int | None:
    """The number of the signal that came in the last ``on_stop_signal``, to any process of the run; None without one.

    A run that has done its last iteration ends as if none had come. What would start the next one asks here.
    """
    return _received


def share_signal(distributed: "Distributed") -> None:
    """Let all processes of a run that has ended know of a signal that one of them got."""
    global _received
    _received = next(filter(None, distributed.gather(_received)), None)


@contextmanager
def on_stop_signal(request_stop: Callable[[int], None]) -> Iterator[None]:
    """Call ``request_stop`` with the number of SIGTERM, SIGINT or SIGHUP, in place of ending the process.

    A second SIGINT raises KeyboardInterrupt. A signal that is ignored stays so, as SIGHUP is under nohup, and one that
    a program around Python handles. Only the main thread can receive signals.
    """
    global _received
    _received = None
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    process, interrupts = os.getpid(), 0

    def handle(number: int, frame: Any) -> None:
        global _received
        nonlocal interrupts
        if os.getpid() != process:  # a worker process, which the signal of a terminal reaches too
            return
        _received = number
        request_stop(number)
        # torchrun passes on a Ctrl-C that its processes have received from the terminal already.
        if number == signal.SIGINT and not is_one_of_several():
            interrupts += 1
            if interrupts > 1:
                raise KeyboardInterrupt
            os.write(2, NOTICE)  # print may be interrupted itself

    previous = {number: signal.signal(number, handle) for number in handled_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
