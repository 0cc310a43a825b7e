"""Datasets of the Hugging Face Hub, through its library ``datasets``."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from archzoo.data._cache import DecodedImage, cached, load_cached
from archzoo.data._dataset import ImageSet
from archzoo.data._reading import OnCorrupt, read_or_skip, read_pixels
from archzoo.errors import DataError, MissingDependency


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
        shorter_side: Larger images are resized to this shorter side before they are cached.
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
    "svhn": HubDataset("ufldl-stanford/svhn", config="cropped_digits", train=("train", "extra")),
    "imagenet": HubDataset("ILSVRC/imagenet-1k", test="validation", shorter_side=512),
}


def load_hub(dataset: HubDataset, name: str, on_corrupt: OnCorrupt = "error") -> tuple[ImageSet, ImageSet]:
    """The training and test images of a dataset of the hub.

    Images are decoded once, into the cache; the hub is asked only for what is not there. Raises MissingDependency
    without ``datasets``, and DataError where the dataset cannot be downloaded or an image is corrupt.
    """
    train = _load_split(dataset, name, dataset.train, on_corrupt)
    return train, _load_split(dataset, name, (dataset.test,), on_corrupt)


def _load_split(dataset: HubDataset, name: str, splits: Sequence[str], on_corrupt: OnCorrupt) -> ImageSet:
    split = "+".join(splits)
    key = f"{dataset} {split} {on_corrupt}"
    images = load_cached(name, key)
    if images is not None:
        return images
    rows = _load_rows(dataset, name, split)
    label = rows.features[dataset.label]
    classes = list(getattr(label, "names", None) or map(str, range(max(rows[dataset.label]) + 1)))

    def decode() -> Iterator[DecodedImage]:
        for number, row in enumerate(rows):
            pixels = _read(dataset, row[dataset.image], f"image {number} of {name}'s {split}", on_corrupt)
            if pixels is not None:
                yield DecodedImage(pixels, row[dataset.label])

    return cached(name, key, classes, dataset.channels, decode)


def _read(dataset: HubDataset, stored: Mapping[str, Any], name: str, on_corrupt: OnCorrupt) -> Tensor | None:
    source = io.BytesIO(stored["bytes"]) if stored.get("bytes") else stored["path"]
    return read_or_skip(partial(read_pixels, source, dataset.channels, dataset.shorter_side), name, on_corrupt)


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
            f"network, or use --data hub:FOLDER with a folder of its files"
        ) from error
    for column in (dataset.image, dataset.label):
        if column not in rows.features:
            raise DataError(f"{dataset.path} has no column {column!r}: it has {', '.join(rows.features)}")
    return rows.cast_column(dataset.image, datasets.Image(decode=False))
