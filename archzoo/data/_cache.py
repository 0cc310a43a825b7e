"""A cache of datasets on disk, one folder each. Decoded ones: pixels.u8, index.safetensors and about.json.

The cache is the folder that the environment variable ARCHZOO_CACHE names, ~/.cache/archzoo by default.
"""

import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archzoo.data._dataset import ImageSet
from archzoo.errors import DataError

IN_MEMORY = 2**30  # bytes: what happens to the file later is of no matter to smaller sets
FORMAT = 3  # of the files; part of every key, so that another version's folders are left alone


@dataclass(frozen=True)
class DecodedImage:
    """One image on its way into the cache: bytes (height, width, channels), and the index of its class."""

    pixels: Tensor
    label: int


def cached(
    name: str,
    key: str,
    classes: Sequence[str],
    channels: int,
    decode: Callable[[], Iterable[DecodedImage]],
    notes: Sequence[str] = (),
) -> ImageSet:
    """The dataset from the cache, after decoding it once.

    Pixels are read into memory up to ``IN_MEMORY`` bytes, and mapped from the file beyond.

    ``notes`` are kept with it: those of ``ImageSet``.

    Raises DataError where the cache cannot be written, and where ``decode`` yields no image.
    """
    return _read(stored(name, key, lambda folder: _write(folder, name, classes, channels, decode(), notes)))


def stored(name: str, key: str, write: Callable[[Path], None]) -> Path:
    """The folder of a dataset in the cache, after ``write`` has filled it once.

    The folder is written beside its place and renamed, so that it is complete or absent. Raises DataError where it
    cannot be written.
    """
    folder = folder_of(name, key)
    if not is_complete(folder):
        try:
            _fill(folder, write)
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__name__ != "SafetensorError":
                raise
            if not is_complete(folder):  # another process may have written the same folder first
                reason = getattr(error, "strerror", None) or error
                raise DataError(
                    f"could not write the cache of {name} in {folder.parent}: {reason}; make room there, or set "
                    f"ARCHZOO_CACHE to another folder"
                ) from error
    return folder


def _fill(folder: Path, write: Callable[[Path], None]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(partial)
        if not folder.exists():
            os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_cached(name: str, key: str) -> ImageSet | None:
    """The dataset that ``cached`` stored for this key, or None. Raises DataError where its files are corrupt."""
    folder = folder_of(name, key)
    return _read(folder) if is_complete(folder) else None


def cache_dir() -> Path:
    """The folder of all cached datasets."""
    return Path(os.environ.get("ARCHZOO_CACHE", "~/.cache/archzoo")).expanduser()


def folder_of(name: str, key: str) -> Path:
    """Where the cache has a dataset, or would have it."""
    return cache_dir() / f"{name}-{hashlib.sha256(f'{FORMAT} {key}'.encode()).hexdigest()[:16]}"


def is_complete(folder: Path) -> bool:
    """Whether a folder of the cache is there."""
    return (folder / "about.json").is_file()


def _write(
    folder: Path,
    name: str,
    classes: Sequence[str],
    channels: int,
    images: Iterable[DecodedImage],
    notes: Sequence[str],
) -> None:
    from safetensors.torch import save_file

    offsets, sizes, labels, length = [], [], [], 0
    with open(folder / "pixels.u8", "wb") as file:
        for image in images:
            file.write(image.pixels.contiguous().numpy().tobytes())
            offsets.append(length)
            sizes.append(list(image.pixels.shape[:2]))
            labels.append(image.label)
            length += image.pixels.numel()
    if not labels:
        raise DataError(f"{name} has no images that can be read")
    index = {"offsets": torch.tensor(offsets), "sizes": torch.tensor(sizes), "labels": torch.tensor(labels)}
    save_file(index, folder / "index.safetensors")
    about = {"name": name, "classes": list(classes), "channels": channels, "bytes": length, "notes": list(notes)}
    write_about(folder, about)


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """Write about.json, with checksums of itself and of the files that are read in full. It completes a folder."""
    files = {name: checksum(folder / name) for name in ("pixels.u8", "index.safetensors") if (folder / name).is_file()}
    described = {**about, "checksums": files}
    (folder / "about.json").write_text(json.dumps({**described, "checksum": _checksum_of(described)}))


def read_about(folder: Path) -> dict[str, Any]:
    """What ``write_about`` wrote. Raises DataError where it, or a file that it has the checksum of, was changed."""
    about: dict[str, Any] = json.loads((folder / "about.json").read_text())
    expected = about.pop("checksum")
    if _checksum_of(about) != expected:
        raise DataError("about.json was changed")
    for name, value in about["checksums"].items():
        if checksum(folder / name) != value:
            raise DataError(f"{name} was changed")
    return about


def _checksum_of(about: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())


def checksum(file: Path) -> int:
    """The CRC-32 of a file, which every flipped bit changes."""
    value = 0
    with open(file, "rb") as opened:
        while chunk := opened.read(1 << 24):
            value = zlib.crc32(chunk, value)
    return value


def _read(folder: Path) -> ImageSet:
    from safetensors.torch import load_file

    file = folder / "pixels.u8"
    try:
        about = read_about(folder)
        index = load_file(folder / "index.safetensors")
        size = file.stat().st_size
        if size != about["bytes"]:
            raise DataError(f"pixels.u8 has {size} bytes, not {about['bytes']}")
        places = (index["offsets"], index["sizes"], index["labels"])
        named = tuple(about["classes"]), about["channels"]
        notes = tuple(about.get("notes", ()))
        if size <= IN_MEMORY:
            return ImageSet(about["name"], _read_bytes(file, size), *places, *named, notes=notes)
        pixels = torch.from_file(str(file), shared=False, size=size, dtype=torch.uint8)
        return ImageSet(about["name"], pixels, *places, *named, file, notes)
    except Exception as error:  # readers raise nearly anything for corrupt files, and the remedy is the same
        raise DataError(f"the cache {folder} is corrupt ({error}): delete it to decode the dataset again") from error


def _read_bytes(file: Path, size: int) -> Tensor:
    data = bytearray(size)
    with open(file, "rb") as opened:
        if opened.readinto(data) != size:
            raise DataError(f"{file.name} was truncated")
    return torch.frombuffer(data, dtype=torch.uint8)
