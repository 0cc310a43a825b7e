"""Datasets of the Hugging Face Hub, through its library ``datasets``."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from archzoo.data._cache import DecodedImage, cached, load_cached
from archzoo.data._conversion import Conversion
from archzoo.data._dataset import ImageSet
from archzoo.data._encoded import EncodedImageSet
from archzoo.data._files import read
from archzoo.data._packing import EncodedImage, load_packed, packed
from archzoo.data._reading import Reading, read_or_skip, read_pixels
from archzoo.data._small import load_small
from archzoo.data._survey import survey
from archzoo.errors import DataError, MissingDependency

DEFAULT = Reading()


@dataclass(frozen=True)
class HubDataset:
    """A dataset of the hub.

    Attributes:
        path: OWNER/DATASET, or a folder of its files.
        image: The column of images.
        label: The column of labels.
        config: The configuration, where there are several.
        train: The splits of training images.
        test: The split of test images.
        shorter_side: Larger images are encoded again with this shorter side before they are cached.
        channels: The number of channels.
    """

    path: str
    image: str = "image"
    label: str = "label"
    config: str | None = None
    train: tuple[str, ...] = ("train",)
    test: str = "test"
    shorter_side: int | None = None
    channels: int = 3


HUB: Mapping[str, HubDataset] = {
    "cifar10": HubDataset("uoft-cs/cifar10", image="img"),
    "cifar100": HubDataset("uoft-cs/cifar100", image="img", label="fine_label"),
    "mnist": HubDataset("ylecun/mnist", channels=1),
    "fashion_mnist": HubDataset("zalando-datasets/fashion_mnist", channels=1),
    "svhn": HubDataset("ufldl-stanford/svhn", config="cropped_digits", train=("train", "extra")),
    "imagenet": HubDataset("ILSVRC/imagenet-1k", test="validation"),
}


def load_hub(dataset: HubDataset, name: str, reading: Reading = DEFAULT) -> tuple[ImageSet, ImageSet]:
    """The training and test images of a dataset of the hub.

    Images of one small size are decoded once, into the cache. Others stay encoded: their bytes are packed into one file
    there, those of a larger shorter side than that of ``reading`` encoded again. The hub is asked only for what is not
    there. Raises MissingDependency without ``datasets``, and DataError where the dataset cannot be downloaded, or an
    image that is decoded is corrupt.
    """
    conversion = replace(reading.conversion, channels=dataset.channels)
    reading = replace(reading, conversion=conversion, shorter_side=reading.shorter_side or dataset.shorter_side)
    dataset = replace(dataset, shorter_side=reading.shorter_side)
    return _load_split(dataset, name, dataset.train, reading), _load_split(dataset, name, (dataset.test,), reading)


def _load_split(dataset: HubDataset, name: str, splits: Sequence[str], reading: Reading) -> ImageSet:
    split = "+".join(splits)
    on_corrupt, conversion, side = reading.on_corrupt, reading.conversion, reading.shorter_side
    converted = _conversion_in_key(dataset, conversion)
    decoded_key = f"{dataset} {split} {on_corrupt}{converted}"
    packed_key = f"{dataset} {split}{'' if side is None else converted}"
    images = load_cached(name, decoded_key)
    if images is not None:
        return images
    kept = load_packed(name, packed_key, conversion, shorter_side=side, on_corrupt=on_corrupt)
    if kept is not None:
        return _with_notes(kept)
    rows = _Rows(dataset, name, split, reading)
    small = load_small(
        name,
        lambda: decoded_key,
        len(rows),
        rows.read,
        lambda key: cached(name, key, rows.classes, conversion.channels, rows.decoded, rows.notes()),
    )
    if small is not None:
        return small
    classes, encoded = rows.classes, rows.encoded
    images = packed(name, packed_key, classes, conversion, encoded, shorter_side=side, on_corrupt=on_corrupt)
    return _with_notes(images)


def _conversion_in_key(dataset: HubDataset, conversion: Conversion) -> str:
    """The conversion, where it may change an image: those of the named datasets have 8 bits and no transparency."""
    is_named = dataset.path in {known.path for known in HUB.values()}
    return "" if is_named and conversion == Conversion(dataset.channels) else f" {conversion}"


def _with_notes(images: EncodedImageSet) -> EncodedImageSet:
    def open_image(number: int) -> io.BytesIO:
        return io.BytesIO(read(images.source, number))

    return replace(images, notes=survey(images.name, len(images), open_image, images.conversion).notes)


class _Rows:
    """The encoded images of a split, and their classes."""

    def __init__(self, dataset: HubDataset, name: str, split: str, reading: Reading) -> None:
        self.dataset, self.reading = dataset, reading
        self.title = f"{name}'s {split}"
        self.rows = _load_rows(dataset, name, split)
        label = self.rows.features[dataset.label]
        names = getattr(label, "names", None)
        self.classes: list[str] = list(names or map(str, range(max(self.rows[dataset.label]) + 1)))

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, number: int) -> bytes:
        """The bytes of one image."""
        return _read(self.rows[number][self.dataset.image])

    def notes(self) -> tuple[str, ...]:
        """What happens to the images as they are decoded, in words."""
        return survey(
            self.title, len(self), lambda number: io.BytesIO(self.read(number)), self.reading.conversion
        ).notes

    def encoded(self) -> Iterator[EncodedImage]:
        """All images as they are."""
        for number, row in enumerate(self.rows):
            data, label = _read(row[self.dataset.image]), row[self.dataset.label]
            yield EncodedImage(data, label, f"image {number} of {self.title}")

    def decoded(self) -> Iterator[DecodedImage]:
        """All images decoded."""
        for image in self.encoded():
            data, conversion = io.BytesIO(image.data), self.reading.conversion
            pixels = read_or_skip(
                partial(read_pixels, data, conversion, self.reading.shorter_side), image.name, self.reading.on_corrupt
            )
            if pixels is not None:
                yield DecodedImage(pixels, image.label)


def _read(stored: Mapping[str, Any]) -> bytes:
    return stored["bytes"] or Path(stored["path"]).read_bytes()


def _load_rows(dataset: HubDataset, name: str, split: str) -> Any:
    """The rows of a split, with encoded images."""
    try:
        import datasets
    except ImportError as error:
        raise MissingDependency(
            f"{name} is loaded by datasets, which is not installed: pip install 'archzoo[data]'"
        ) from error
    try:
        rows = datasets.load_dataset(dataset.path, dataset.config, split=split)
    except Exception as error:  # offline, gated, no such split: datasets raises many types
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{name} ({dataset.path}, {split}) is not cached and could not be downloaded ({reason}): rerun with a "
            f"network, give a folder with its files as --data-dir, or use --data hub:FOLDER with the hub's files"
        ) from error
    for column in (dataset.image, dataset.label):
        if column not in rows.features:
            raise DataError(f"{dataset.path} has no column {column!r}: it has {', '.join(rows.features)}")
    return rows.cast_column(dataset.image, datasets.Image(decode=False))
