"""SVHN's MATLAB files: images (32, 32, 3, N) as X, and labels (N, 1) as y, in which 10 is the digit 0.

Files of MATLAB 5, which SVHN's page has, are read by scipy, and those of MATLAB 7.3 by h5py.
"""

import hashlib
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy
import torch
from torch import Tensor

from archzoo.data._contents import EXPANSION, MOST, PART
from archzoo.errors import DataError, MissingDependency

HEADER = 128  # bytes, of both versions
HDF5 = b"\x89HDF\r\n\x1a\n"
USER_BLOCK = 512  # bytes before it in MATLAB's files


def read_mat(path: Path) -> tuple[Tensor, Tensor, str]:
    """Images (N, 3, H, W), labels (N,) from 0 to 9, and the MD5 of the file.

    Raises DataError for any other file, and MissingDependency without the package that reads it.
    """
    try:
        with open(path, "rb") as file:
            beginning = file.read(USER_BLOCK + len(HDF5))
            is_matlab5 = beginning.startswith(b"MATLAB 5.0 MAT-file")
            if is_matlab5:
                _check_elements(file, beginning[126:HEADER] == b"IM", path)
            md5 = _md5(file)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if is_matlab5:
        images, labels = _read_matlab5(path)
    elif HDF5 in (beginning[: len(HDF5)], beginning[USER_BLOCK:]):
        images, labels = _read_hdf5(path)
    else:
        raise DataError(f"{path} is no MATLAB file: it begins with {beginning[:12]!r}, not with b'MATLAB 5.0'")
    numbers = torch.from_numpy(labels)
    return torch.from_numpy(images).permute(0, 3, 1, 2), numbers.where(numbers != 10, 0), md5


def _md5(file: BinaryIO) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    file.seek(0)
    while part := file.read(PART):
        digest.update(part)
    return digest.hexdigest()


def _check_elements(file: BinaryIO, is_little: bool, path: Path) -> None:
    """Raise DataError where a part of a file of MATLAB 5 says that it is longer than the file."""
    size, at = path.stat().st_size, HEADER
    while at < size:
        file.seek(at)
        tag = file.read(8)
        length = int.from_bytes(tag[4:], "little" if is_little else "big")
        if len(tag) < 8 or length > size - at - 8:
            raise DataError(
                f"{path} is truncated: a part says {length:,} bytes, and {max(size - at - 8, 0):,} follow; download it "
                f"again"
            )
        at += 8 + length


def _read_matlab5(path: Path) -> tuple[Any, Any]:
    """Images (N, H, W, 3) and labels (N,), by scipy; their shapes are compared with the file first."""
    reader = _load("scipy.io", path)
    try:
        shapes = {name: (shape, kind) for name, shape, kind in reader.whosmat(str(path))}
        images, labels = (shapes.get(name, ((), "nothing")) for name in ("X", "y"))
        _check(path, images, labels, path.stat().st_size * EXPANSION)
        values = reader.loadmat(str(path), variable_names=("X", "y"))
        return values["X"].transpose(3, 0, 1, 2), values["y"].reshape(-1).astype(numpy.int64)
    except DataError:
        raise
    except Exception as error:  # scipy raises nearly anything for a corrupt file
        raise DataError(f"{path} is corrupt ({error or type(error).__name__}): download it again") from error


def _read_hdf5(path: Path) -> tuple[Any, Any]:
    """The same by h5py; MATLAB's first dimension is the last there."""
    reader = _load("h5py", path)
    try:
        with reader.File(path, "r") as file:
            arrays = [file.get(name) for name in ("X", "y")]
            images, labels = (
                ((), "nothing") if array is None else (tuple(reversed(array.shape)), str(array.dtype))
                for array in arrays
            )
            _check(path, images, labels, MOST)
            return arrays[0][()].transpose(0, 3, 2, 1), arrays[1][()].reshape(-1).astype(numpy.int64)
    except DataError:
        raise
    except Exception as error:  # as above
        raise DataError(f"{path} is corrupt ({error or type(error).__name__}): download it again") from error


def _check(path: Path, images: tuple[Any, str], labels: tuple[Any, str], room: int) -> None:
    """Raise DataError where the variables are no images and labels, or larger than the file can hold."""
    shape, kind = images
    if len(shape) != 4 or shape[2] != 3 or kind != "uint8":
        raise DataError(f"{path}: X must be uint8 (height, width, 3, N), not {kind} {tuple(shape)}")
    count = prod(labels[0]) if labels[0] else 0
    if count != shape[3]:
        raise DataError(
            f"{path}: y must be a label for each of the {shape[3]:,} images, not {labels[1]} {tuple(labels[0])}"
        )
    pixels = prod(shape)
    if pixels > min(room, MOST):
        raise DataError(
            f"{path}: its header says {pixels:,} bytes of images, and the file can hold {min(room, MOST):,}"
        )


def _load(module: str, path: Path) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependency(
            f"{path} is read by {package}, which is not installed: pip install 'archzoo[svhn]'"
        ) from error
