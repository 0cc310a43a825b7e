"""Datasets by name, and folders of images.

To add a dataset: a row in ``archzoo.data._hub.HUB`` for one of the Hugging Face Hub, a row in
``archzoo.data._local.LAYOUTS`` for its files as they were released, or a loader here in SOURCES. Its mean and standard
deviation by channel go into NORMALIZATION; without them they are computed from the training images.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from archzoo.data._conversion import Conversion
from archzoo.data._dataset import ImageSet
from archzoo.data._digits import load_digits
from archzoo.data._folders import load_folder
from archzoo.data._hub import HUB, HubDataset, load_hub
from archzoo.data._local import DEBIAN, LAYOUTS, load_local
from archzoo.data._origins import with_origin
from archzoo.data._reading import OnCorrupt, Reading
from archzoo.data._splits import Splits, split, split_by_class, warn_of_missing_classes
from archzoo.errors import DataError


@dataclass(frozen=True)
class Request:
    """What ``load`` was asked for: its arguments by name."""

    name: str
    side: int
    channels: int | None
    reading: Reading
    data_dir: Path | None = None


Loader = Callable[[Request], tuple[ImageSet, ImageSet]]  # to training and test images

# Mean and standard deviation by channel of the training set, of values from 0 to 1. ImageNet's deviations are averages
# of those of single images, as fb.resnet.torch and all after it have them (github.com/pytorch/vision/pull/1965).
NORMALIZATION: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2860,), (0.3530,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def _load_digits(request: Request) -> tuple[ImageSet, ImageSet]:
    return load_digits(request.side, request.channels or 1)


def _load_named(request: Request) -> tuple[ImageSet, ImageSet]:
    """The files of this machine, or else the dataset of the hub."""
    name, data_dir = request.name, request.data_dir
    local = load_local(name, data_dir) if name in LAYOUTS else None
    if local is not None and request.reading.shorter_side is not None:
        raise DataError(f"the files of {name} hold pixels, which are not encoded again: leave shorter_side out")
    if local is not None:
        return with_origin(*local)
    looked_in = " and ".join(str(folder) for folder in (data_dir, DEBIAN) if folder is not None)
    if name not in HUB:
        raise DataError(
            f"{looked_in} has no files of {name}, and the hub has none: unpack gzip.zip of https://www.nist.gov/"
            f"itl/products-and-services/emnist-dataset, and give the folder of its files as --data-dir"
        )
    images = load_hub(HUB[name], name, request.reading)
    instead = "" if data_dir is None else f", as {data_dir} has no files of it"
    return with_origin(*images, f"the hub's {HUB[name].path}{instead}")


def _load_other(request: Request) -> tuple[ImageSet, ImageSet]:
    path = request.name.removeprefix("hub:")
    return load_hub(HubDataset(path, channels=request.channels or 3), Path(path).name, request.reading)


SOURCES: Mapping[str, Loader] = {"digits": _load_digits, **dict.fromkeys((*HUB, *LAYOUTS), _load_named)}


def load(
    source: str | Path,
    *,
    side: int = 32,
    channels: int | None = None,
    on_corrupt: OnCorrupt = "error",
    validation: float = 0.1,
    seed: int = 0,
    pack: bool = False,
    shorter_side: int | None = None,
    background: str = "white",
    value_range: tuple[float, float] | None = None,
    data_dir: str | Path | None = None,
) -> Splits:
    """Load a dataset, split into training, validation and test images.

    Args:
        source: A name in SOURCES; ``hub:OWNER/DATASET`` or ``hub:FOLDER`` for any dataset of the Hugging Face Hub; or a
            folder of images (``archzoo.data._folders.load_folder`` has its layout).
        side: The input side of the network, in pixels. Digits are enlarged to it; other images keep their size.
        channels: The channels that the network takes; None takes those of the dataset.
        on_corrupt: Whether a corrupt image is an error or is skipped with a warning. Images that stay encoded are found
            to be corrupt as they are used: a skipped one leaves its batch one image smaller, and changes no other.
        validation: The share of the training images that is set aside: 5,000 of CIFAR's 50,000.
        seed: The seed of the images that are set aside.
        pack: Copy the images of a folder, as they are, into one file in the cache, for disks that are slow with many
            small files. Images of the hub are packed anyway.
        shorter_side: Encode larger images again with this shorter side, as JPEGs, into one file in the cache.
        background: The color below transparent pixels, as Pillow names it.
        value_range: The values that become black and white in images of more than 8 bits, such as (0, 4095); others are
            cut off. By default the range of the file's type; for 32-bit integers and floating point, which have none,
            the smallest usual range that holds all values of 500 images, and values outside of it raise an error.
        data_dir: A folder with the files of named datasets, as their pages or torchvision lay them out. It is looked in
            first, then /usr/share/datasets, where Debian has them, then the cache of the hub, then the hub.

    The images of a folder are split by class, those of a named dataset without regard to it. ``archzoo.data.describe``
    says what was found, what was left out, and how images were converted.

    Raises:
        DataError: For an unknown source, a source that cannot be read, or one with other channels.
        MissingDependency: Where a package that reads the source is not installed.
    """
    if not isinstance(validation, float) or not 0 < validation < 1:
        raise DataError(f"validation must be between 0 and 1, not {validation!r}")
    if shorter_side is not None and (not isinstance(shorter_side, int) or shorter_side < 1):
        raise DataError(f"shorter_side must be at least 1 pixel, and whole, not {shorter_side!r}")
    if on_corrupt not in get_args(OnCorrupt):
        raise DataError(f"on_corrupt must be one of {', '.join(get_args(OnCorrupt))}, not {on_corrupt!r}")
    name = str(source)
    if data_dir is not None and name not in LAYOUTS:
        raise DataError(f"data_dir holds the files of {', '.join(LAYOUTS)}; {name} is not looked for there")
    is_folder = name not in SOURCES and not name.startswith("hub:")
    conversion = Conversion((channels or 3) if is_folder else 3, background, value_range)
    reading = Reading(conversion, on_corrupt, pack, shorter_side)
    if is_folder:
        return load_folder(_check_folder(name), reading, validation, seed)
    loader = SOURCES.get(name, _load_other)
    train, test = loader(Request(name, side, channels, reading, None if data_dir is None else Path(data_dir)))
    _check(train, name, channels)
    _check_labels(train, test, name)
    splits = (split if name in SOURCES else split_by_class)(train, test, validation, seed)
    warn_of_missing_classes(splits)
    return splits


def _check_folder(name: str) -> Path:
    """The folder of this name. Raises DataError where there is none."""
    if not Path(name).is_dir():
        known = ", ".join(SOURCES)
        raise DataError(f"no dataset and no folder is called {name!r}: use {known}, hub:OWNER/DATASET or a folder")
    return Path(name)


def _check(train: ImageSet, name: str, channels: int | None) -> None:
    if channels is not None and train.channels != channels:
        raise DataError(
            f"the images of {name} have {train.channels} channels, but the network takes {channels}: build it with "
            f"in_channels={train.channels}"
        )
    if len(train.classes) < 2:
        raise DataError(f"{name} has one class only, {', '.join(train.classes)}: there is nothing to classify")


def _check_labels(train: ImageSet, test: ImageSet, name: str) -> None:
    for part, images in (("training", train), ("test", test)):
        count = int((images.labels < 0).sum())
        if count:
            raise DataError(f"{count:,} of the {len(images):,} {part} images of {name} have no label, as -1 says")
