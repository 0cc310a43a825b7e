"""What is checked around the reading of a file that may be hostile: what it is, how much it claims, how it fails."""

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from archzoo.errors import WeightsError
from archzoo.escaping import one_line
from archzoo.weights._nesting import check_nesting

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
GROWTH, FREE = 64, 64 << 20  # a file may claim so many times its own size in memory, and so many bytes more


def check_regular(path: Path) -> None:
    """Raise WeightsError unless there is a file at ``path``: reading a FIFO or a device would never end."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise WeightsError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise WeightsError(f"{path} cannot be read: {getattr(error, 'strerror', '') or error}") from error
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in KINDS if is_kind(mode)), "no regular file")
        raise WeightsError(f"{path} is {kind}, not a file of weights")


@contextmanager
def reading(path: Path, what: str = "a file of weights") -> Iterator[None]:
    """Turn every error of a reader into a WeightsError, in one line, and have torch check sparse indices.

    Indices out of bounds would be written to memory that belongs to something else.
    """
    try:
        _check_archive(path)
        check_nesting(path)
        with torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
            yield
    except WeightsError:
        raise
    except MemoryError as error:
        raise WeightsError(f"{path} needs more memory than there is") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or one_line(str(error), 200)}") from error
    except Exception as error:  # a hostile file makes readers raise anything
        reason = one_line(str(error).strip().partition("\n")[0] or type(error).__name__, 200)
        raise WeightsError(f"{path} is corrupt or not {what}: {reason}") from error


def allowance(path: Path) -> int:
    """The bytes that the tensors of a file may have in memory: a file of a few kilobytes must not fill it."""
    return GROWTH * path.stat().st_size + FREE


def _check_archive(path: Path) -> None:
    """Raise WeightsError for an archive whose members are far larger than it is. Torch never compresses them."""
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeError):
        return  # none that Python reads; its reader says what is wrong
    if claimed > allowance(path):
        raise WeightsError(f"{path} has {path.stat().st_size:,} bytes and would unpack to {claimed:,}")
