"""Several processes of one command on this machine: started together, ended together, one error. Imports no torch."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from typing import NoReturn

from archzoo.errors import ArchzooError
from archzoo.processes import end_with_parent, say
from archzoo.training._stopping import NOTICE, SIGNALS, handled_signals

GRACE = 10.0  # seconds from the first process that ends otherwise than well to the end of the others
INTERVAL = 0.05  # seconds between two looks at the processes
STOPPED = 143  # the exit code of a process that SIGTERM ended
SOCKET, ERRORS = "ARCHZOO_SOCKET", "ARCHZOO_ERRORS"  # in the environment of a launched process: file descriptors


def launch(processes: int, arguments: Sequence[str]) -> NoReturn:
    """Run ``archzoo`` with these arguments in this many processes, which share the cores; exit as they do.

    They meet over a socket of this machine that is bound before they start. All end with this process, even where it
    is killed (on Linux, from their first moment on), and all end soon after one fails. Only the first error is shown,
    and this process exits with its code. SIGTERM, Ctrl-C and a closed terminal stop all of them, with a checkpoint, and
    the code is 128 and the number of that signal; Ctrl-C again ends them at once.
    """
    sys.stdout.flush()
    with Launched(processes, list(arguments)) as launched, forwarding(launched):
        code = launched.wait()
    sys.exit(code)


def is_launched() -> bool:
    """Whether ``launch`` or torchrun started this process, as one of several."""
    return ERRORS in os.environ or "TORCHELASTIC_RUN_ID" in os.environ


@dataclass
class Launched:
    """Processes of one command, and what is known of their ends.

    Attributes:
        processes: How many.
        arguments: What each is called with.
        command: What they are arguments of.
        ranks: The processes, by rank.
        pipes: Where each writes why it ends.
        received: What each has written there, by rank.
        stopping: The signal that asked them to stop, or 0.
    """

    processes: int
    arguments: list[str]
    command: tuple[str, ...] = (sys.executable, "-m", "archzoo")
    ranks: list[subprocess.Popen[bytes]] = field(default_factory=list)
    pipes: list[FileIO] = field(default_factory=list)
    received: dict[int, bytes] = field(default_factory=dict)
    stopping: int = 0

    def __enter__(self) -> "Launched":
        # Bound and listening before the first process starts: no other one can take the port, and none comes too early.
        with socket.create_server(("127.0.0.1", 0), backlog=self.processes) as server:
            try:
                for rank in range(self.processes):
                    self.ranks.append(self._start(rank, server))
            except BaseException as error:
                self.__exit__()
                if isinstance(error, OSError):
                    raise ArchzooError(
                        f"process {len(self.ranks)} of {self.processes} could not be started ({error.strerror}): "
                        f"lower --nproc"
                    ) from error
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for pipe in self.pipes:
            pipe.close()

    def _start(self, rank: int, server: socket.socket) -> "subprocess.Popen[bytes]":
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self.pipes.append(FileIO(reading))
        try:
            return self._open(rank, server, writing)
        finally:
            os.close(writing)

    def _open(self, rank: int, server: socket.socket, errors: int) -> "subprocess.Popen[bytes]":
        environment = {
            # Else each process would remark on unused parameters.
            "TORCH_CPP_LOG_LEVEL": "ERROR",
            "OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // self.processes, 1)),
            **os.environ,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(self.processes),
            "LOCAL_WORLD_SIZE": str(self.processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(server.getsockname()[1]),
            SOCKET: str(server.fileno()),
            ERRORS: str(errors),
        }
        launcher = os.getpid()

        def prepare() -> None:
            end_with_parent(launcher)
            for number in SIGNALS:  # those of a terminal are for the launcher, which asks all of them to stop
                if number != signal.SIGTERM:
                    signal.signal(number, signal.SIG_IGN)

        return subprocess.Popen(
            [*self.command, *self.arguments],
            env=environment,
            pass_fds=(errors, server.fileno()) if rank == 0 else (errors,),
            preexec_fn=prepare,
        )

    def wait(self) -> int:
        """Wait for all processes, end those that outlive a failed one, show the first error, and return its code."""
        end = math.inf
        while None in (codes := [process.poll() for process in self.ranks]) and time.monotonic() < end:
            self._receive()
            if end == math.inf and (self.received or any(codes)):
                end = time.monotonic() + GRACE
            time.sleep(INTERVAL)
        self._receive()
        codes = [process.poll() for process in self.ranks]
        self.end()
        return self._show_first(codes)

    def _receive(self) -> None:
        for rank, pipe in enumerate(self.pipes):
            while data := pipe.read(1 << 16):  # None where there is nothing yet
                self.received[rank] = self.received.get(rank, b"") + data

    def _show_first(self, codes: list[int | None]) -> int:
        """Show the first error, and return the exit code for it. A killed process comes first: it explains the rest."""
        killed = [(rank, -code) for rank, code in enumerate(codes) if code is not None and code < 0]
        if self.received:  # a process may abort since another one has failed
            killed = [(rank, number) for rank, number in killed if number != signal.SIGABRT]
        stopped = [number for _, number in killed if number == signal.SIGTERM]
        # Where one stops before it meets the others, they lose it.
        if self.stopping and (stopped or STOPPED in codes or not self.received):
            if stopped:
                _show("stopped; rerun the command to resume")
            return 128 + self.stopping if any(codes) else 0
        if killed:
            rank, number = killed[0]
            _show(_describe_killed(rank, number))
            return 128 + number
        errors = sorted(map(json.loads, self.received.values()), key=lambda error: float(error["time"]))
        if errors:
            _show(errors[0]["message"], errors[0]["code"])
            return int(errors[0]["code"])
        return next((code for code in codes if code), 0)

    def stop(self, number: int) -> None:
        """Ask every process to stop, as this signal asks. A second Ctrl-C raises KeyboardInterrupt."""
        if number == signal.SIGINT:
            if self.stopping == number:
                raise KeyboardInterrupt
            with suppress(OSError):
                os.write(2, NOTICE)
        self.stopping = number
        for process in self.ranks:
            process.terminate()

    def end(self) -> None:
        """End all processes that are still running."""
        for process in self.ranks:
            if process.poll() is None:
                process.kill()
        for process in self.ranks:
            process.wait()


def _describe_killed(rank: int, number: int) -> str:
    name = signal.Signals(number).name if number in signal.valid_signals() else f"signal {number}"
    reason = {
        "SIGKILL": "perhaps as memory ran out: use a smaller batch_size, or fewer --nproc and --workers",
        "SIGBUS": "a file that it had mapped into memory was truncated",
    }.get(name, "not by archzoo")
    return f"process {rank} was ended by {name}, {reason}; rerun the command to resume from the last checkpoint"


def _show(message: str, code: int = 2) -> None:
    """Print one line, where someone reads it; a traceback, of a bug, as it is."""
    say(f"archzoo: {message}" if code in (2, STOPPED) else message)


@contextmanager
def forwarding(launched: Launched) -> Iterator[None]:
    """Ask all processes to stop where a signal asks this one."""
    previous = {number: signal.signal(number, lambda number, _: launched.stop(number)) for number in handled_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def report_error(message: str, code: int) -> bool:
    """Tell the launcher of this process why it ends; False where there is none."""
    if ERRORS not in os.environ:
        return False
    report = json.dumps({"message": message, "code": code, "time": time.monotonic()})
    try:
        with open(int(os.environ[ERRORS]), "w", encoding="utf-8") as pipe:
            pipe.write(report)
    except OSError:  # the launcher is gone
        return False
    return True
