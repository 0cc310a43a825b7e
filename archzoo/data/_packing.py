"""Packed datasets in the cache: the encoded images in one file, images.bin, with index.safetensors and about.json."""

import io
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from archzoo.data._cache import folder_of, is_complete, read_about, stored, write_about
from archzoo.data._conversion import Conversion
from archzoo.data._encoded import EncodedImageSet
from archzoo.data._files import Names, PackedFile
from archzoo.data._formats import load_pillow
from archzoo.data._reading import OnCorrupt, open_upright, read_or_skip
from archzoo.errors import DataError

QUALITY = 95  # of JPEGs that are encoded again


@dataclass(frozen=True)
class EncodedImage:
    """One image on its way into a packed file: its bytes, the index of its class, and its name in messages."""

    data: bytes
    label: int
    name: str


def packed(
    name: str,
    key: str,
    classes: Sequence[str],
    conversion: Conversion,
    images: Callable[[], Iterable[EncodedImage]],
    *,
    shorter_side: int | None,
    on_corrupt: OnCorrupt,
) -> EncodedImageSet:
    """The dataset from a packed file in the cache, after writing it once.

    ``key`` tells conversions apart where images are encoded again. Images with a larger shorter side than
    ``shorter_side`` are encoded again, as JPEGs. Raises DataError where the cache cannot be written, there is no image,
    or one that is encoded again is corrupt.
    """
    key = _key(key, shorter_side, on_corrupt)

    def write(folder: Path) -> None:
        kept = images() if shorter_side is None else _reduced(images(), conversion, shorter_side, on_corrupt)
        _write(folder, name, classes, kept)

    return _read(stored(name, key, write), conversion, on_corrupt)


def load_packed(
    name: str, key: str, conversion: Conversion, *, shorter_side: int | None, on_corrupt: OnCorrupt
) -> EncodedImageSet | None:
    """The dataset that ``packed`` stored for the same arguments, or None."""
    folder = folder_of(name, _key(key, shorter_side, on_corrupt))
    return _read(folder, conversion, on_corrupt) if is_complete(folder) else None


def _key(key: str, shorter_side: int | None, on_corrupt: OnCorrupt) -> str:
    """Original bytes are the same whatever happens to corrupt images later."""
    return f"packed {key} {None if shorter_side is None else (shorter_side, QUALITY, on_corrupt)}"


def _reduced(
    images: Iterable[EncodedImage], conversion: Conversion, shorter_side: int, on_corrupt: OnCorrupt
) -> Iterable[EncodedImage]:
    for image in images:
        data = read_or_skip(partial(reduce_image, image.data, conversion, shorter_side), image.name, on_corrupt)
        if data is not None:
            yield EncodedImage(data, image.label, image.name)


def reduce_image(data: bytes, conversion: Conversion, shorter_side: int) -> bytes:
    """An encoded image as a JPEG of this shorter side; the same bytes where it is no larger."""
    with load_pillow().open(io.BytesIO(data)) as opened:
        if min(opened.size) <= shorter_side:
            return data
        scale = shorter_side / min(opened.size)
        opened.draft(None, tuple(round(2 * length * scale) for length in opened.size))
        image = open_upright(opened, conversion)
    scale = shorter_side / min(image.size)
    size = tuple(max(round(length * scale), shorter_side) for length in image.size)
    file = io.BytesIO()
    image.resize(size, load_pillow().Resampling.BICUBIC).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _write(folder: Path, name: str, classes: Sequence[str], images: Iterable[EncodedImage]) -> None:
    from safetensors.torch import save_file

    lengths, labels, names, checksums = [], [], [], []
    with open(folder / "images.bin", "wb") as file:
        for image in images:
            file.write(image.data)
            lengths.append(len(image.data))
            labels.append(image.label)
            names.append(image.name)
            checksums.append(zlib.crc32(image.data))
    if not labels:
        raise DataError(f"{name} has no images that can be read")
    packed_names = Names.of(names)
    index = {name: torch.tensor(values) for name, values in (("lengths", lengths), ("labels", labels))}
    index["checksums"] = torch.tensor(checksums)
    save_file(index | {"names": packed_names.text, "ends": packed_names.ends}, folder / "index.safetensors")
    write_about(folder, {"name": name, "classes": list(classes), "bytes": sum(lengths)})


def _read(folder: Path, conversion: Conversion, on_corrupt: OnCorrupt) -> EncodedImageSet:
    from safetensors.torch import load_file

    try:
        about = read_about(folder)
        index = load_file(folder / "index.safetensors")
        names, lengths = Names(index["names"], index["ends"]), index["lengths"]
        offsets = lengths.cumsum(0) - lengths
        source = PackedFile(folder / "images.bin", names, offsets, lengths, index["checksums"])
        source.check()
        classes = tuple(about["classes"])
        return EncodedImageSet.of(about["name"], source, index["labels"], classes, conversion, on_corrupt)
    except Exception as error:  # readers raise nearly anything for corrupt files, and the remedy is the same
        raise DataError(f"the cache {folder} is corrupt ({error}): delete it to pack the dataset again") from error
