"""Atomic file writes: a file is replaced as a whole, or stays as it was."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that replaces it once the block ends and the data is on disk.

    The file has the mode of the one that it replaces, or else that of the umask, whatever its writer chooses.
    If the block raises, ``target`` is unchanged and the temporary file is removed. Raises OSError, before the block,
    for a device, a FIFO or a folder: taking the place of /dev/null would break the machine.
    """
    if target.exists() and not target.is_file():
        raise OSError(errno.EEXIST, "There is something else than a file", str(target))
    partial = target.with_name(f".{target.stem}.part{target.suffix}")  # some writers choose the format by the suffix
    try:
        partial.touch()
        mode = (target if target.exists() else partial).stat().st_mode
        yield partial
        partial.chmod(stat.S_IMODE(mode))
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic_write(target) as partial:
        partial.write_text(text, encoding="utf-8")
