"""The content of a data set's file, gzipped or not: it is read as far as its header says, and no further."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from archzoo.errors import DataError

GZIP = b"\x1f\x8b"
EXPANSION = 1032  # bytes that DEFLATE makes of one, at most
MOST = 2**31  # bytes: the largest published file, SVHN's extra images, has 1.6 billion
PART = 2**20


class Content:
    """An open file of a data set.

    Attributes:
        path: The file.
        room: The bytes of its content, or more than these where it is gzipped.
    """

    def __init__(self, path: Path, file: BinaryIO, room: int) -> None:
        self.path, self.room, self.md5s = path, room, hashlib.md5(usedforsecurity=False)
        self._file, self._read = file, 0

    @property
    def md5(self) -> str:
        """The MD5 of what was read, by which releases name their files."""
        return self.md5s.hexdigest()

    def check_room(self, count: int, what: str) -> None:
        """Raise DataError, before any memory is taken, where the file cannot hold so many bytes more."""
        if count > MOST:
            raise DataError(f"{self.path}: {what} would have {count:,} bytes, and at most {MOST:,} are read")
        if count > self.room - self._read:
            raise DataError(
                f"{self.path}: its header says {count:,} bytes of {what}, and the file has at most "
                f"{self.room - self._read:,}: it is truncated, or no file of this kind; download it again"
            )

    def read(self, count: int, what: str) -> bytearray:
        """So many bytes. Raises DataError where the file ends before."""
        self.check_room(count, what)
        data = bytearray()
        while len(data) < count:
            part = self._file.read(min(count - len(data), PART))
            if not part:
                raise DataError(
                    f"{self.path} is truncated: it has {len(data):,} of {count:,} bytes of {what}; download it again"
                )
            data += part
        self.md5s.update(data)
        self._read += count
        return data

    def read_all(self, most: int) -> bytearray:
        """All bytes of a file that has no header. Raises DataError where there are more than ``most``."""
        data = bytearray()
        while part := self._file.read(PART):
            data += part
            if len(data) > most:
                raise DataError(f"{self.path} has more than {most:,} bytes: it is no file of this kind")
        self.md5s.update(data)
        return data

    def end(self) -> None:
        """Raise DataError where the file goes on, or a gzipped one has a wrong checksum."""
        if self._file.read(1):
            raise DataError(f"{self.path} goes on after what its header says: it is no file of this kind")


@contextmanager
def open_content(path: Path) -> Iterator[Content]:
    """The content of a file, decompressed where it is gzipped, whatever its name.

    Raises DataError where it cannot be read, or its compression is corrupt.
    """
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            is_gzipped = file.read(len(GZIP)) == GZIP
            file.seek(0)
            if is_gzipped:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield Content(path, unpacked, size * EXPANSION)  # type: ignore[arg-type]
            else:
                yield Content(path, file, size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is corrupt ({error}): download it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def find_file(folder: Path, name: str) -> Path | None:
    """The file of this name in a folder, or its gzipped form; None without either."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def need_file(folder: Path, name: str) -> Path:
    """The same. Raises DataError without either."""
    path = find_file(folder, name)
    if path is None:
        raise DataError(f"{folder} has no {name}: the data set is incomplete; add the file, gzipped or not")
    return path
