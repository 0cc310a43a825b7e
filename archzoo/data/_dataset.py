"""Decoded images with their classes: bytes in memory or mapped from a file, of one size or of many."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from archzoo.data._augmentation import Pipeline
from archzoo.data._images import Images
from archzoo.errors import DataError


@dataclass(frozen=True)
class ImageSet:
    """Images with one class each.

    Attributes:
        name: The name of the dataset, for messages.
        pixels: The bytes of all images one after another, each (height, width, channels). They may be on an
            accelerator, and the other tensors with them.
        offsets: Where each image begins in ``pixels``, (N,).
        sizes: Height and width of each image, (N, 2).
        labels: The index of each image's class in ``classes``, (N,).
        classes: The names of the classes.
        channels: The number of channels.
        file: The file that ``pixels`` is mapped from, or None.
        notes: What was decided as the images were read, and what was left out, in words.
        origin: Where the images of a named data set came from, and their hash, in words.
    """

    name: str
    pixels: Tensor
    offsets: Tensor
    sizes: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    channels: int
    file: Path | None = None
    notes: tuple[str, ...] = ()
    origin: str = ""

    @classmethod
    def from_tensor(cls, name: str, images: Tensor, labels: Tensor, classes: Sequence[str]) -> "ImageSet":
        """Images (N, C, H, W) in uint8 with labels (N,). Raises DataError where these do not fit together."""
        if images.dtype != torch.uint8 or images.dim() != 4 or len(images) != len(labels):
            raise DataError(
                f"images must be uint8 (N, C, H, W) with N labels, not {images.dtype} of shape {tuple(images.shape)} "
                f"with {len(labels)}"
            )
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
            lowest, highest = int(labels.min()), int(labels.max())
            raise DataError(f"labels must be from 0 to {len(classes) - 1}, not from {lowest} to {highest}")
        count, channels, height, width = images.shape
        pixels = images.permute(0, 2, 3, 1).contiguous().view(-1)
        offsets = torch.arange(count) * (channels * height * width)
        sizes = torch.tensor([[height, width]]).repeat(count, 1)
        return cls(name, pixels, offsets, sizes, labels.long().cpu(), tuple(classes), channels)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """Height and width of all images, or None where sizes differ."""
        if not len(self) or bool((self.sizes != self.sizes[0]).any()):
            return None
        height, width = self.sizes[0].tolist()
        return height, width

    @property
    def is_encoded(self) -> bool:
        """Whether images are decoded as they are used, which worker processes do faster."""
        return False

    def transform(self, indices: Tensor, pipeline: Pipeline, numbers: Tensor | None = None) -> tuple[Images, Tensor]:
        """The images at these indices after a pipeline, and their indices: without those of images left out."""
        return pipeline.transform(self.take(indices), numbers), indices

    def readable(self) -> "ImageSet":
        """The images without the corrupt ones that a set of encoded images leaves out."""
        return self

    def take(self, indices: Tensor) -> Images:
        """The images at these indices, as bytes. Raises DataError where the file they are mapped from is cut off."""
        self.check_file()  # else reading beyond its end would kill the process
        if self._rows is not None and self.size is not None:
            rows = self._rows[self.offsets[indices] // self._rows.shape[1]]
            return rows.view(-1, *self.size, self.channels).permute(0, 3, 1, 2)
        places = zip(self.offsets[indices].tolist(), self.sizes[indices].tolist(), strict=True)
        images = [self._image(offset, *size) for offset, size in places]
        return images if self.size is None else torch.stack(images)

    def _image(self, offset: int, height: int, width: int) -> Tensor:
        pixels = self.pixels[offset : offset + height * width * self.channels]
        return pixels.view(height, width, self.channels).permute(2, 0, 1)

    @cached_property
    def _rows(self) -> Tensor | None:
        """The pixels as one row per image, for fast indexing; None unless all images in memory have one size."""
        if self.size is None:
            return None
        length = self.channels * self.size[0] * self.size[1]
        if len(self.pixels) % length or bool((self.offsets % length).any()):
            return None
        return self.pixels.view(-1, length)

    def to(self, device: torch.device) -> "ImageSet":
        """The same images with their pixels and labels in the memory of a device."""
        tensors = {name: getattr(self, name).to(device) for name in ("pixels", "offsets", "sizes", "labels")}
        return replace(self, **tensors, file=None)

    def subset(self, indices: Tensor) -> "ImageSet":
        """The images at these indices, in this order. The pixels are shared, not copied."""
        return replace(
            self, offsets=self.offsets[indices], sizes=self.sizes[indices], labels=self.labels[indices].clone()
        )

    def select_classes(self, chosen: Sequence[int]) -> "ImageSet":
        """The images of some classes, which are numbered from 0. Raises DataError for an index without a class."""
        if not chosen or not set(chosen) <= set(range(len(self.classes))):
            raise DataError(f"{self.name} has the classes 0 to {len(self.classes) - 1}, not {list(chosen)}")
        indices = torch.cat([torch.nonzero(self.labels == label).flatten() for label in chosen]).sort().values
        new_labels = torch.full((len(self.classes),), -1, dtype=torch.long)
        new_labels[torch.tensor(list(chosen))] = torch.arange(len(chosen))
        selected = self.subset(indices)
        classes = tuple(self.classes[label] for label in chosen)
        return replace(selected, labels=new_labels[selected.labels], classes=classes)

    def check_file(self) -> None:
        """Raise DataError where the file that the images are mapped from was deleted or truncated."""
        if self.file is not None and (not self.file.is_file() or self.file.stat().st_size < len(self.pixels)):
            raise DataError(
                f"the images of {self.name} are gone: {self.file} was deleted or truncated; delete the folder that it "
                f"is in, and rerun the command to decode them again and resume"
            )

    def digest(self) -> str:
        """Sixteen hex digits that change with the images, their order, sizes and classes, and the names.

        A thousand bytes of the pixels are sampled: reading all of ImageNet from a mapped file takes minutes.
        """
        digest = hashlib.sha256(f"{self.name} {self.classes} {self.channels}".encode())
        for tensor in (self.offsets, self.sizes, self.labels):
            digest.update(tensor.to("cpu", torch.int64).contiguous().numpy().tobytes())
        if len(self.pixels):
            sample = self.pixels[torch.linspace(0, len(self.pixels) - 1, 1000, dtype=torch.float64).long()]
            digest.update(sample.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]
