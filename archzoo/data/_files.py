"""Encoded images where they are: files of a folder, or one packed file of the original bytes."""

import contextlib
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from archzoo.errors import DataError

CHANGED = "was deleted or changed after its folder was scanned: run again, to scan it again"


def spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers from 0 to ``count`` - 1, evenly spread."""
    numbers: list[int] = torch.linspace(0, count - 1, min(count, most), dtype=torch.float64).long().tolist()
    return numbers


@dataclass(frozen=True)
class Names:
    """Strings in two tensors, which worker processes share: a list would be copied into each, string by string."""

    text: Tensor  # uint8, one name after another
    ends: Tensor  # (N,)

    @classmethod
    def of(cls, names: Iterable[str]) -> "Names":
        """Names from strings."""
        encoded = [os.fsencode(name) for name in names]
        text = torch.frombuffer(bytearray(b"".join(encoded) or b"\0"), dtype=torch.uint8)
        return cls(text, torch.tensor([len(name) for name in encoded], dtype=torch.long).cumsum(0))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> str:
        first = int(self.ends[number - 1]) if number else 0
        return os.fsdecode(self.text[first : int(self.ends[number])].numpy().tobytes())


class EncodedImages(Protocol):
    """Where the bytes of encoded images come from, by number."""

    @property
    def names(self) -> Names:
        """What an image is called in messages, and in the digest of its set."""

    @property
    def lengths(self) -> Tensor:
        """The bytes of each image, (N,)."""

    def name(self, number: int) -> str:
        """The name of one image, in full."""

    def find(self, number: int) -> bytes | None:
        """The bytes of one image; None where they are gone or were changed."""

    def check(self) -> None:
        """Raise DataError where the images are gone as a whole."""


def read(images: EncodedImages, number: int) -> bytes:
    """The bytes of one image. Raises DataError where they are gone or were changed."""
    data = images.find(number)
    if data is None:
        raise DataError(f"{images.name(number)} {CHANGED}")
    return data


@dataclass(frozen=True)
class FolderFiles:
    """The image files of a folder, as a scan found them.

    Attributes:
        root: The folder.
        names: The paths below it.
        lengths: The size of each file in bytes, (N,).
        times: When each was modified, in nanoseconds, (N,).
        scan: The file that keeps the scan; it is removed where a file turns out to have changed since.
    """

    root: Path
    names: Names
    lengths: Tensor
    times: Tensor
    scan: Path

    def name(self, number: int) -> str:
        return os.path.join(self.root, self.names[number])

    def find(self, number: int) -> bytes | None:
        with contextlib.suppress(FileNotFoundError), open(self.name(number), "rb", buffering=0) as file:
            if self.is_unchanged(number, os.fstat(file.fileno())):
                return file.read()
        self.scan.unlink(missing_ok=True)
        return None

    def is_unchanged(self, number: int, status: os.stat_result) -> bool:
        """Whether a file still has the size and the time of the scan."""
        return (status.st_size, status.st_mtime_ns) == (int(self.lengths[number]), int(self.times[number]))

    def check(self) -> None:
        if not self.root.is_dir():
            raise DataError(f"the folder {self.root} is gone")


@dataclass(frozen=True)
class PackedFile:
    """One file of encoded images, one after another.

    Attributes:
        path: The file.
        names: What the images were called where they came from.
        offsets: Where each begins, (N,).
        lengths: The bytes of each, (N,).
        checksums: The CRC-32 of each, (N,).
    """

    path: Path
    names: Names
    offsets: Tensor
    lengths: Tensor
    checksums: Tensor

    def name(self, number: int) -> str:
        return self.names[number]

    def find(self, number: int) -> bytes | None:
        self.check()
        with open(self.path, "rb", buffering=0) as file:
            file.seek(int(self.offsets[number]))
            data = file.read(int(self.lengths[number]))
        if zlib.crc32(data) != int(self.checksums[number]):
            raise DataError(
                f"{self.path} was changed at {self.names[number]}: delete the folder that it is in, and rerun the "
                f"command to pack the images again and resume"
            )
        return data

    def check(self) -> None:
        end = int(self.offsets[-1] + self.lengths[-1])
        if not self.path.is_file() or self.path.stat().st_size < end:
            raise DataError(f"the images of {self.path.parent.name} are gone: {self.path} was deleted or truncated")
