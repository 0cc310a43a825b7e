"""Files that are written: a regular file is replaced as a whole, or stays as it was; a device is written through."""

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archzoo.errors import OutputError

# The files that this process has open already, by number. To open them anew would truncate what a shell appends to.
OPEN_FILES = re.compile(r"/(?:dev|proc/self)/fd/(\d+)|/dev/std(out|err)")


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``target`` once the block ends and the data is on disk.

    Missing folders are made. A link stays a link, and the file that it names is replaced; a new file has the mode that
    the umask gives, another one keeps its own. What is no regular file, such as a device or a pipe, gets the bytes.
    The path is this call's own, however many write ``target`` at once: the last one to end replaces it. If the block
    raises, ``target`` is unchanged and the temporary file is removed. Raises OSError where ``target`` cannot be
    written.
    """
    if is_stream(target):
        with _written_through(target) as partial:
            yield partial
        return
    file = _real(target)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(file)
    try:
        mode = _new_mode(partial)
        yield partial
        with suppress(OSError):  # a file system without modes
            partial.chmod(stat.S_IMODE(file.stat().st_mode) if file.exists() else mode)
        with partial.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic_write(target) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(target: Path, content: bytes) -> None:
    """Write a binary file atomically."""
    with atomic_write(target) as partial:
        partial.write_bytes(content)


def check_writable(target: Path) -> None:
    """Raise OutputError where ``atomic_write`` could not write this file. Leaves no folder and no file behind."""
    try:
        if is_stream(target):
            if not os.access(target, os.W_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            return
        file = _real(target)
        with _folders(file.parent):
            probe = _partial(file)
            probe.touch()
            probe.unlink()
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from error
    except ValueError as error:  # a null character in the name, or one that is none
        raise OutputError(f"{target} cannot be written: {error}") from error


def check_folder(folder: Path) -> None:
    """Raise OutputError where files cannot be written in this folder, which need not exist. Leaves nothing behind."""
    try:
        with _folders(folder):
            (folder / ".part").touch()
            (folder / ".part").unlink()
    except OSError as error:
        raise OutputError(f"{folder} cannot be a folder for output: {error.strerror}") from error
    except ValueError as error:
        raise OutputError(f"{folder} cannot be a folder for output: {error}") from error


def is_stream(target: Path) -> bool:
    """Whether a path is a device, a pipe or another open file of this process, which no file may replace."""
    try:
        status = target.stat()
    except OSError:
        return False
    if stat.S_ISBLK(status.st_mode):
        raise OSError(errno.EPERM, "it is a disk")
    return OPEN_FILES.fullmatch(str(target)) is not None or not (
        stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    )


def _real(target: Path) -> Path:
    """The file that is to be replaced: what a link names. Raises OSError for a folder and a file that is read-only."""
    file = Path(os.path.realpath(target))
    if file.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if file.is_dir():
        raise OSError(errno.EISDIR, "it is a folder")
    if file.exists() and not os.access(file, os.W_OK):
        raise OSError(errno.EACCES, "it is read-only")
    return file


def _partial(file: Path) -> Path:
    own = f"{os.getpid()}-{secrets.token_hex(4)}"
    return file.with_name(f".{file.stem}.{own}.part{file.suffix}")  # some writers choose the format by the suffix


def _new_mode(partial: Path) -> int:
    """The mode that the umask gives a new file: writers such as safetensors' make theirs for the owner alone."""
    partial.unlink(missing_ok=True)
    partial.touch()
    return stat.S_IMODE(partial.stat().st_mode)


@contextmanager
def _written_through(target: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder) / target.name
        yield partial
        number = _open_file(target)
        handle = os.open(target, os.O_WRONLY | os.O_APPEND) if number is None else os.dup(number)
        with partial.open("rb") as source, os.fdopen(handle, "wb") as stream:
            shutil.copyfileobj(source, stream)


def _open_file(target: Path) -> int | None:
    """The number of an open file of this process."""
    match = OPEN_FILES.fullmatch(str(target))
    if match is None:
        return None
    return int(match[1]) if match[1] else {"out": 1, "err": 2}[match[2]]


@contextmanager
def _folders(folder: Path) -> Iterator[None]:
    """The missing folders of a path, which are removed again."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{part} is a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for part in missing:
            with suppress(OSError):
                part.rmdir()
