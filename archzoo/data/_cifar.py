"""CIFAR-10 and CIFAR-100 in the binary version and, without running its pickles, in the Python version.

https://www.cs.toronto.edu/~kriz/cifar.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from archzoo.data._array_pickle import read_arrays
from archzoo.data._contents import need_file, open_content
from archzoo.errors import DataError

PIXELS = 3 * 32 * 32
MOST = 2**28  # bytes of a file: the largest, CIFAR-100's training images, has 155 million
LARGEST = 2**31  # than any label


@dataclass(frozen=True)
class Version:
    """The files of one version.

    Attributes:
        train: Those of the training images.
        test: That of the test images.
        names: That of the names of the classes.
        label: The labels: their key in a pickle.
        label_names: The key of the names in a pickle.
        label_bytes: The bytes before the pixels of an image in a binary file; the last one is its label.
        classes: The number of classes.
    """

    train: tuple[str, ...]
    test: str
    names: str
    label: str
    label_names: str
    label_bytes: int
    classes: int

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.train, self.test, self.names)


BATCHES = range(1, 6)
CIFAR10_BINARY = Version(
    tuple(f"data_batch_{n}.bin" for n in BATCHES), "test_batch.bin", "batches.meta.txt", "", "", 1, 10
)
CIFAR10_PYTHON = Version(
    tuple(f"data_batch_{n}" for n in BATCHES), "test_batch", "batches.meta", "labels", "label_names", 0, 10
)
CIFAR100_BINARY = Version(("train.bin",), "test.bin", "fine_label_names.txt", "", "", 2, 100)
CIFAR100_PYTHON = Version(("train",), "test", "meta", "fine_labels", "fine_label_names", 0, 100)

Batch = tuple[Tensor, Tensor, str]  # images (N, 3, 32, 32), labels (N,), and the MD5 of the file


def read_batches(version: Version, folder: Path, names: Sequence[str]) -> tuple[Tensor, Tensor, list[str]]:
    """The images of several files as one: (N, 3, 32, 32), labels (N,), and the MD5 of each file.

    Raises DataError for a file that is missing, truncated or something else.
    """
    read = _read_binary if version.label_bytes else _read_python
    batches = [read(version, need_file(folder, name)) for name in names]
    images, labels, md5s = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels), list(md5s)


def read_names(version: Version, folder: Path) -> tuple[str, ...]:
    """The names of the classes. Raises DataError where there is another number of them."""
    path = need_file(folder, version.names)
    data, _ = _read_all(path)
    names: Any
    if version.label_bytes:
        names = [line.strip() for line in data.decode("latin1").splitlines() if line.strip()]
    else:
        names = read_arrays(data, str(path)).get(version.label_names, [])
    if not isinstance(names, list) or len(names) != version.classes:
        raise DataError(f"{path} names {len(names) if isinstance(names, list) else 0} classes, not {version.classes}")
    return tuple(name.decode("latin1") if isinstance(name, bytes) else str(name) for name in names)


def _read_all(path: Path) -> tuple[bytearray, str]:
    """The content of a file that has no header, and its MD5."""
    with open_content(path) as content:
        return content.read_all(MOST), content.md5


def _read_binary(version: Version, path: Path) -> Batch:
    data, md5 = _read_all(path)
    row = version.label_bytes + PIXELS
    if not data or len(data) % row:
        raise DataError(f"{path} has {len(data):,} bytes, which are no images of {row:,}: it is truncated, or no CIFAR")
    rows = torch.frombuffer(data, dtype=torch.uint8).view(-1, row)
    pixels = rows[:, version.label_bytes :].reshape(-1, 3, 32, 32)
    return pixels, rows[:, version.label_bytes - 1].long(), md5


def _read_python(version: Version, path: Path) -> Batch:
    data, md5 = _read_all(path)
    content = read_arrays(data, str(path))
    if not {"data", version.label} <= content.keys():
        raise DataError(f"{path} has {', '.join(content)}, and not data and {version.label}")
    pixels, labels = content["data"], _labels(content[version.label])
    if not isinstance(pixels, numpy.ndarray) or pixels.dtype != numpy.uint8 or pixels.shape != (len(labels), PIXELS):
        given = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, numpy.ndarray) else type(pixels).__name__
        raise DataError(
            f"{path}: the images of {len(labels):,} labels are bytes ({len(labels)}, {PIXELS}), not {given}"
        )
    return torch.from_numpy(numpy.ascontiguousarray(pixels).copy()).view(-1, 3, 32, 32), labels, md5


def _labels(values: Any) -> Tensor:
    """Labels of a list or an array; none where they are no whole numbers."""
    if isinstance(values, numpy.ndarray) and values.ndim == 1:
        return torch.from_numpy(values.astype(numpy.int64))
    is_whole = isinstance(values, list) and all(type(value) is int and 0 <= value < LARGEST for value in values)
    return torch.tensor(values if is_whole else [], dtype=torch.long)
