"""A cache of datasets on disk, one folder each. Decoded ones: pixels.u8, index.safetensors and about.json.

The cache is the folder that the environment variable ARCHZOO_CACHE names, ~/.cache/archzoo by default.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from archzoo.data._dataset import ImageSet
from archzoo.errors import DataError

FORMAT = 2  # of the files; part of every key, so that another version's folders are left alone


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
    """The dataset from the cache, after decoding it once. Pixels are mapped from the file, not read.

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
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            write(partial)
            if not folder.exists():
                os.rename(partial, folder)
        except OSError as error:
            if not is_complete(folder):  # another process may have written the same folder first
                raise DataError(f"could not write the cache of {name} in {folder.parent}: {error.strerror}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


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
    (folder / "about.json").write_text(json.dumps(about))


def _read(folder: Path) -> ImageSet:
    from safetensors.torch import load_file

    file = folder / "pixels.u8"
    try:
        about = json.loads((folder / "about.json").read_text())
        index = load_file(folder / "index.safetensors")
        size = file.stat().st_size
        if size != about["bytes"]:
            raise DataError(f"pixels.u8 has {size} bytes, not {about['bytes']}")
        pixels = torch.from_file(str(file), shared=False, size=size, dtype=torch.uint8)
        places = (index["offsets"], index["sizes"], index["labels"])
        classes, notes = tuple(about["classes"]), tuple(about.get("notes", ()))
        return ImageSet(about["name"], pixels, *places, classes, about["channels"], file, notes)
    except Exception as error:  # readers raise nearly anything for corrupt files, and the remedy is the same
        raise DataError(f"the cache {folder} is corrupt ({error}): delete it to decode the dataset again") from error
