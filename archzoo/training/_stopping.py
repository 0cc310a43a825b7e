"""A stop on a signal that waits for the end of an iteration."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# A batch system or torchrun, Ctrl-C, and a terminal that is closed.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NOTICE = b"\narchzoo: stopping after this iteration, with a checkpoint; Ctrl-C again stops at once\n"

_received: int | None = None


def last_signal() -> int | None:
    """The number of the signal that came in the last ``on_stop_signal``; None where none came.

    A run that has done its last iteration ends as if none had come. What would start the next one asks here.
    """
    return _received


@contextmanager
def on_stop_signal(request_stop: Callable[[int], None]) -> Iterator[None]:
    """Call ``request_stop`` with the number of SIGTERM, SIGINT or SIGHUP, in place of ending the process.

    A second SIGINT raises KeyboardInterrupt. A signal that is ignored stays so, as SIGHUP is under nohup. Only the main
    thread can receive signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _received
    process, interrupts, _received = os.getpid(), 0, None

    def handle(number: int, frame: Any) -> None:
        global _received
        nonlocal interrupts
        if os.getpid() != process:  # a worker process, which the signal of a terminal reaches too
            return
        _received = number
        request_stop(number)
        # torchrun passes on a Ctrl-C that its processes have received from the terminal already.
        if number == signal.SIGINT and "RANK" not in os.environ:
            interrupts += 1
            if interrupts > 1:
                raise KeyboardInterrupt
            os.write(2, NOTICE)  # print may be interrupted itself

    handled = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, handle) for number in handled}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
