"""A lock on a run directory, which the system gives back when the process that holds it ends, however it ends."""

import errno
import os
import socket
import stat
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

from archzoo.errors import TrainingError
from archzoo.training._writing import writing

if sys.platform != "win32":
    import fcntl

NAME = ".lock"
PATIENCE = 3.0  # seconds that a process that was killed may take to end
INTERVAL = 0.05
WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class Identity(NamedTuple):
    """Which file or folder this is, whatever its name."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        return cls(status.st_dev, status.st_ino)


# Of this process: the system's locks are between processes, and closing any descriptor of a file gives its lock back.
HELD: set[Identity] = set()


class Lock:
    """The lock of one run directory, held from the time it is made until ``release``.

    It is a POSIX lock on the file ``.lock``: no child inherits it, and NFS has it too. On a file system without locks a
    warning says so. Raises TrainingError, with the process that holds it, if there is one.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir, self.file = run_dir, run_dir / NAME
        self.folder = Identity.of(run_dir.stat())
        if self.folder in HELD:
            raise TrainingError(_refusal(run_dir, f"process {os.getpid()}, this one"))
        with writing(self.file):
            self.descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._take()
            with writing(self.file):
                os.ftruncate(self.descriptor, 0)
                os.pwrite(self.descriptor, f"{os.getpid()} {socket.gethostname()}".encode(), 0)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.identity = Identity.of(os.fstat(self.descriptor))
        HELD.add(self.folder)

    def _take(self) -> None:
        end = time.monotonic() + PATIENCE
        while (refused := self._try()) is not None:
            if refused.errno in WITHOUT_LOCKS:
                reason = f"{self.run_dir} cannot be locked ({refused.strerror})"
                warnings.warn(f"archzoo: {reason}: see that no other run uses it", stacklevel=2)
                return
            if time.monotonic() > end:
                raise TrainingError(_refusal(self.run_dir, self._holder())) from refused
            time.sleep(INTERVAL)

    def _try(self) -> OSError | None:
        if sys.platform == "win32":
            return None
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error
        return None

    def _holder(self) -> str:
        number, _, host = os.pread(self.descriptor, 300, 0).decode(errors="replace").partition(" ")
        if not number.isdecimal():
            return "another process"
        return f"process {number}" if host in ("", socket.gethostname()) else f"process {number} on {host}"

    def check(self) -> None:
        """Raise TrainingError where the directory is no longer the one that was locked."""
        try:
            is_here = Identity.of(self.file.stat()) == self.identity
        except OSError:
            is_here = False
        if not is_here:
            raise TrainingError(
                f"{self.run_dir} was removed, moved or replaced while it was trained in, and nothing more is written: "
                f"move it back and rerun the command to resume, or start over in another directory"
            )

    def release(self) -> None:
        """Give the lock back."""
        HELD.discard(self.folder)
        os.close(self.descriptor)


def _refusal(run_dir: Path, holder: str) -> str:
    return f"{run_dir} is in use by {holder}: wait until it ends, end it, or choose another directory"


def check_is_file(path: Path) -> None:
    """Raise TrainingError where there is something other than a file, such as a FIFO, which would be waited for."""
    try:
        mode = path.stat().st_mode
    except OSError:  # also a link that leads nowhere: a file takes its place
        return
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "FIFO" if stat.S_ISFIFO(mode) else "special file"
        raise TrainingError(f"{path} is a {kind}, not a file: remove it, or choose another directory")
