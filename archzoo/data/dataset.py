"""Decoded pictures with their classes: bytes in memory or mapped from a file, of one size or of many."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.errors import DataError

Images = Tensor | list[Tensor]  # (N, C, H, W), or N of (C, H, W) where sizes differ


@dataclass(frozen=True)
class ImageSet:
    """ImageSet with a class each, as bytes.

    ``pixels`` has all of them one behind the other, each (height, width, channels); ``starts`` says where each
    begins, ``sides`` (N, 2) its height and width, ``labels`` its class by number in ``classes``. ``file`` is what they
    are mapped from.
    """

    name: str
    pixels: Tensor
    starts: Tensor
    sides: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    channels: int
    file: Path | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """Height and width, where they are the same for all."""
        if not len(self) or bool((self.sides != self.sides[0]).any()):
            return None
        height, width = self.sides[0].tolist()
        return height, width

    def take(self, indices: Tensor) -> Images:
        """The pictures at these places, as bytes."""
        if self._rows is not None and self.size is not None:
            chosen = self._rows[self.starts[indices] // self._rows.shape[1]]
            return chosen.view(-1, *self.size, self.channels).permute(0, 3, 1, 2)
        places = zip(self.starts[indices].tolist(), self.sides[indices].tolist(), strict=True)
        images = [
            self.pixels[start : start + height * width * self.channels]
            .view(height, width, self.channels)
            .permute(2, 0, 1)
            for start, (height, width) in places
        ]
        return images if self.size is None else torch.stack(images)

    @cached_property
    def _rows(self) -> Tensor | None:
        """The pictures as rows of a table, where all of those in memory are of one size: the quick way to take some."""
        if self.size is None:
            return None
        length = self.channels * self.size[0] * self.size[1]
        if len(self.pixels) % length or bool((self.starts % length).any()):
            return None
        return self.pixels.view(-1, length)

    def subset(self, indices: Tensor) -> "ImageSet":
        """Some of them, in this order, without a copy of their bytes."""
        return replace(
            self, starts=self.starts[indices], sides=self.sides[indices], labels=self.labels[indices].clone()
        )

    def of_classes(self, wanted: Sequence[int]) -> "ImageSet":
        """Those of some classes, which are numbered anew. Raises DataError for classes that there are not."""
        if not wanted or not set(wanted) <= set(range(len(self.classes))):
            raise DataError(f"{self.name} has the classes 0 to {len(self.classes) - 1}, not {list(wanted)}")
        kept = torch.cat([torch.nonzero(self.labels == one).flatten() for one in wanted]).sort().values
        numbers = torch.full((len(self.classes),), -1, dtype=torch.long)
        numbers[torch.tensor(list(wanted))] = torch.arange(len(wanted))
        some = self.subset(kept)
        classes = tuple(self.classes[one] for one in wanted)
        return replace(some, labels=numbers[some.labels], classes=classes)

    def check(self) -> None:
        """Raise DataError where the file that the pictures are mapped from is gone, or was cut off."""
        if self.file is not None and (not self.file.is_file() or self.file.stat().st_size < len(self.pixels)):
            raise DataError(f"the pictures of {self.name} are gone: {self.file} was deleted or cut off")

    def digest(self) -> str:
        """Sixteen hex digits that change with the choice of pictures, their order, sizes, classes or names.

        The bytes of the pictures are sampled, a thousand of them: reading a mapped file of ImageNet takes minutes.
        """
        hashed = hashlib.sha256(f"{self.name} {self.classes} {self.channels}".encode())
        for each in (self.starts, self.sides, self.labels):
            hashed.update(each.to(torch.int64).contiguous().numpy().tobytes())
        if len(self.pixels):
            sampled = self.pixels[torch.linspace(0, len(self.pixels) - 1, 1000, dtype=torch.float64).long()]
            hashed.update(sampled.numpy().tobytes())
        return hashed.hexdigest()[:16]


def of_tensor(name: str, images: Tensor, labels: Tensor, classes: Sequence[str]) -> ImageSet:
    """ImageSet from bytes (N, C, H, W) and their classes (N,). Raises DataError where these do not go together."""
    if images.dtype != torch.uint8 or images.dim() != 4 or len(images) != len(labels):
        raise DataError(
            f"pictures are bytes (N, C, H, W) with N labels, not {images.dtype} of shape {tuple(images.shape)} "
            f"with {len(labels)}"
        )
    count, channels, height, width = images.shape
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
        raise DataError(f"labels run from {int(labels.min())} to {int(labels.max())}, of {len(classes)} classes")
    pixels = images.permute(0, 2, 3, 1).contiguous().view(-1)
    starts = torch.arange(count) * (channels * height * width)
    sides = torch.tensor([[height, width]]).repeat(count, 1)
    return ImageSet(name, pixels, starts, sides, labels.long(), tuple(classes), channels)


@dataclass(frozen=True)
class Decoded:
    """One picture on its way into a cache: bytes (height, width, channels), its class, and what to call it."""

    pixels: Tensor
    label: int


def cached(
    name: str, key: str, classes: Sequence[str], channels: int, decode: Callable[[], Iterable[Decoded]]
) -> ImageSet:
    """ImageSet from the cache, decoded into it once: written beside it and put in its place whole.

    The cache is the folder that the environment's ARCHZOO_CACHE names, ~/.cache/archzoo by default; what is there is
    mapped, not read. Raises DataError where the disk is full, and leaves nothing then.
    """
    folder = _place(name, key)
    if not _is_whole(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _write(partial, name, classes, channels, decode())
            if not folder.exists():
                os.rename(partial, folder)
        except OSError as error:
            if not _is_whole(folder):  # another process was faster: what it wrote is as good
                raise DataError(f"could not write the cache of {name} in {folder.parent}: {error.strerror}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return _read(folder)


def from_cache(name: str, key: str) -> ImageSet | None:
    """What ``cached`` put there for this key, or None. Raises DataError where it is damaged."""
    folder = _place(name, key)
    return _read(folder) if _is_whole(folder) else None


def _place(name: str, key: str) -> Path:
    return cache_folder() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _is_whole(folder: Path) -> bool:
    return (folder / "about.json").is_file()


def cache_folder() -> Path:
    """Where decoded pictures are kept."""
    return Path(os.environ.get("ARCHZOO_CACHE", "~/.cache/archzoo")).expanduser()


def _write(folder: Path, name: str, classes: Sequence[str], channels: int, decoded: Iterable[Decoded]) -> None:
    from safetensors.torch import save_file

    starts, sides, labels, place = [], [], [], 0
    with open(folder / "pixels.u8", "wb") as out:
        for one in decoded:
            out.write(one.pixels.contiguous().numpy().tobytes())
            starts.append(place)
            sides.append(list(one.pixels.shape[:2]))
            labels.append(one.label)
            place += one.pixels.numel()
    if not labels:
        raise DataError(f"{name} has no pictures that can be read")
    index = {"starts": torch.tensor(starts), "sides": torch.tensor(sides), "labels": torch.tensor(labels)}
    save_file(index, folder / "index.safetensors")
    about = {"name": name, "classes": list(classes), "channels": channels, "bytes": place}
    (folder / "about.json").write_text(json.dumps(about))


def _read(folder: Path) -> ImageSet:
    from safetensors.torch import load_file

    try:
        about = json.loads((folder / "about.json").read_text())
        index = load_file(folder / "index.safetensors")
        if (folder / "pixels.u8").stat().st_size != about["bytes"]:
            raise ValueError("pixels.u8 is cut off")
        pixels = torch.from_file(str(folder / "pixels.u8"), shared=False, size=about["bytes"], dtype=torch.uint8)
        return ImageSet(
            about["name"],
            pixels,
            index["starts"],
            index["sides"],
            index["labels"],
            tuple(about["classes"]),
            about["channels"],
            folder / "pixels.u8",
        )
    except Exception as error:  # whatever is wrong with it, the way out is the same
        raise DataError(f"the cache {folder} is damaged ({error}): delete it, and it is made anew") from error


def enlarge(images: Tensor, side: int) -> Tensor:
    """Small square pictures (N, C, h, w), bytes, in the middle of larger ones: times a whole number, on zeros.

    As large as leaves a margin of a sixteenth on either side, as MNIST's 28 pixels in LeNet-5's 32.
    """
    inner = images.shape[-1]
    if side < inner:
        raise DataError(f"pictures of {inner}x{inner} do not fit in {side}x{side}")
    times = max(int(side * 7 / 8) // inner, 1)
    grown = F.interpolate(images.float(), scale_factor=times, mode="bilinear", align_corners=False)
    margin = side - inner * times
    before = margin // 2
    return F.pad(grown, (before, margin - before, before, margin - before)).round().clamp(0, 255).to(torch.uint8)
