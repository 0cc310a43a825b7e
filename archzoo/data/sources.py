"""Where pictures come from: scikit-learn's digits, folders, Hugging Face's hub; and which are learned from."""

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from archzoo.data.dataset import Decoded, ImageSet, cached, enlarge, from_cache, of_tensor
from archzoo.data.reading import IMAGE_SUFFIXES
from archzoo.errors import DataError, MissingDependency

Damaged = Literal["refuse", "skip"]
# Mean and deviation by channel of the training set, of values from 0 to 1.
NORMALIZATION = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "mnist": ((0.1307,), (0.3081,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@dataclass(frozen=True)
class Splits:
    """What is learned from, what choices are made on, and what is read once at the end."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


@dataclass(frozen=True)
class Hub:
    """A dataset of Hugging Face's hub: its name there, columns, and splits that are learned from and tested on."""

    path: str
    image: str = "image"
    label: str = "label"
    config: str | None = None
    train: tuple[str, ...] = ("train",)
    test: str = "test"
    shorter_side: int | None = None  # of larger pictures, in the cache
    channels: int = 3


HUB = {
    "cifar10": Hub("uoft-cs/cifar10", image="img"),
    "cifar100": Hub("uoft-cs/cifar100", image="img", label="fine_label"),
    "mnist": Hub("ylecun/mnist", channels=1),
    "svhn": Hub("ufldl-stanford/svhn", config="cropped_digits", train=("train", "extra")),
    "imagenet": Hub("ILSVRC/imagenet-1k", test="validation", shorter_side=512),
}


def load(
    source: str | Path,
    *,
    side: int = 32,
    channels: int | None = None,
    damaged: Damaged = "refuse",
    validation: float = 0.1,
    seed: int = 0,
) -> Splits:
    """The pictures of a source, split for training, choices and the test.

    ``source`` is ``digits``, one of HUB's names, ``hub:`` and a dataset (or a folder of its files), or a folder of
    pictures. Digits are enlarged to ``side``; others keep their size. The share ``validation`` of what is learned from
    is set aside, the same pictures for the same ``seed``: 45,000 and 5,000 of CIFAR. Raises DataError.
    """
    if not 0 < validation < 1:
        raise DataError(f"validation must be a share between 0 and 1, not {validation}")
    name = str(source)
    if name == "digits":
        rest, test = digits(side, channels or 1)
    elif name in HUB:
        rest, test = hub(HUB[name], name, damaged)
    elif name.startswith("hub:"):
        rest, test = hub(Hub(name.removeprefix("hub:"), channels=channels or 3), Path(name).name, damaged)
    elif Path(name).is_dir():
        return folder(Path(name), channels or 3, damaged, validation, seed)
    else:
        known = ", ".join(["digits", *HUB])
        raise DataError(f"no data {name!r}: there is no such folder, and the names are {known}, hub:OWNER/DATASET")
    if channels is not None and rest.channels != channels:
        raise DataError(
            f"{name} has {rest.channels} channels, the network takes {channels}: in_channels={rest.channels}"
        )
    return split(rest, test, validation, seed)


def split(rest: ImageSet, test: ImageSet, validation: float, seed: int) -> Splits:
    """Set aside a share of what is learned from, by a draw of its own that no training run changes."""
    order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))
    many = round(validation * len(rest))
    if not 0 < many < len(rest):
        raise DataError(f"{rest.name} has {len(rest)} pictures to learn from: a share of {validation} is {many}")
    return Splits(rest.subset(order[many:].sort().values), rest.subset(order[:many].sort().values), test)


def digits(side: int = 32, channels: int = 1) -> tuple[ImageSet, ImageSet]:
    """scikit-learn's 1,797 handwritten digits of 8x8, enlarged: four fifths to learn from, a fixed fifth for the test.

    The fifth is drawn once and for all, each class by its share: most writers have digits on both sides. Raises
    DataError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            "the digits are scikit-learn's, which is not installed: pip install 'archzoo[train]'"
        ) from error
    found = load_digits()
    images = torch.from_numpy(found.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
    images = enlarge(images, side).repeat(1, channels, 1, 1)
    all_ = of_tensor("digits", images, torch.from_numpy(found.target), [str(one) for one in range(10)])
    draw = torch.Generator().manual_seed(0)
    tested = torch.zeros(len(all_), dtype=torch.bool)
    for one in range(10):
        members = torch.nonzero(all_.labels == one).flatten()
        tested[members[torch.randperm(len(members), generator=draw)[: round(len(members) / 5)]]] = True
    return all_.subset(torch.nonzero(~tested).flatten()), all_.subset(torch.nonzero(tested).flatten())


def folder(root: Path, channels: int, damaged: Damaged, validation: float, seed: int) -> Splits:
    """A folder of pictures in torchvision's layout, root/class/picture, or root/train/class/picture and so on.

    With train, val and test all are as named. With train and one other, that is the test, and a share of train is for
    validation. With classes alone a fifth is the test. Decoded once, into the cache.
    """
    parts = {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}
    parts |= {"val": root / "valid"} if (root / "valid").is_dir() else {}
    if not parts:
        everything = _folder(root, channels, damaged)
        both = split(everything, everything, 0.2, 0)
        return split(both.train, both.validation, validation, seed)
    if "train" not in parts or len(parts) == 1:
        missing = "train" if "train" not in parts else "val or test"
        raise DataError(f"{root} has {', '.join(parts)}, but no {missing}")
    read = {name: _folder(part, channels, damaged) for name, part in parts.items()}
    for name, one in read.items():
        if one.classes != read["train"].classes:
            odd = sorted(set(one.classes) ^ set(read["train"].classes))
            raise DataError(f"{parts[name]} and {parts['train']} differ in their classes: {', '.join(odd)}")
    if len(read) == 3:
        return Splits(read["train"], read["val"], read["test"])
    return split(read["train"], read.get("test", read.get("val", read["train"])), validation, seed)


def _folder(root: Path, channels: int, damaged: Damaged) -> ImageSet:
    classes = sorted(one.name for one in root.iterdir() if one.is_dir() and not one.name.startswith("."))
    paths = [
        (path, number)
        for number, name in enumerate(classes)
        for path in sorted((root / name).rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not paths:
        raise DataError(f"{root} has no folders of pictures, one a class ({', '.join(sorted(IMAGE_SUFFIXES))})")
    empty = sorted(set(classes) - {classes[number] for _, number in paths})
    if empty:
        raise DataError(f"{root} has no pictures of {', '.join(empty)}")
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path, _ in paths]

    def decode() -> Iterator[Decoded]:
        for path, number in paths:
            yield from _decoded(path, str(path), number, channels, None, damaged)

    return cached(root.resolve().name, f"{root.resolve()} {channels} {damaged} {stamps}", classes, channels, decode)


def _decoded(
    source: Any, called: str, label: int, channels: int, shorter_side: int | None, damaged: Damaged
) -> Iterator[Decoded]:
    """The picture, or nothing where it is damaged and may be left out."""
    try:
        yield Decoded(read_pixels(source, channels, shorter_side), label)
    except MissingDependency:
        raise
    except Exception as error:  # a damaged file makes Pillow's readers raise nearly anything
        if damaged == "refuse":
            raise DataError(f"{called} is damaged, or no picture ({error}): damaged='skip' leaves it out") from error
        warnings.warn(f"archzoo: left out {called}, which is damaged: {error}", stacklevel=2)


def read_pixels(source: Any, channels: int, shorter_side: int | None = None) -> Tensor:
    """A picture, by path, open file or Pillow's own object, as bytes (height, width, channels), upright.

    Larger ones are scaled so that their shorter side is ``shorter_side``.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingDependency("Pillow is not installed: pip install 'archzoo[train]'") from error

    opened = source if isinstance(source, Image.Image) else Image.open(source)
    picture = ImageOps.exif_transpose(opened).convert({1: "L", 3: "RGB"}[channels])
    shorter = min(picture.size)
    if shorter_side is not None and shorter > shorter_side:
        width, height = (max(round(one * shorter_side / shorter), 1) for one in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(picture.height, picture.width, channels)


def hub(which: Hub, name: str, damaged: Damaged = "refuse") -> tuple[ImageSet, ImageSet]:
    """A dataset of the hub, or a folder of its files: what is learned from, and what is tested on.

    Decoded once, into the cache; the hub is asked only for what is not there. Raises DataError without a network, and
    where Hugging Face's ``datasets`` is not installed.
    """
    learned = _hub_split(which, name, which.train, damaged)
    return learned, _hub_split(which, name, (which.test,), damaged)


def _hub_split(which: Hub, name: str, splits: Sequence[str], damaged: Damaged) -> ImageSet:
    key = f"{which} {'+'.join(splits)} {damaged}"
    if (found := from_cache(name, key)) is not None:
        return found
    rows = _rows(which, name, "+".join(splits))
    label = rows.features[which.label]
    classes = list(getattr(label, "names", None) or map(str, range(max(rows[which.label]) + 1)))

    def decode() -> Iterator[Decoded]:
        for number, row in enumerate(rows):
            stored = row[which.image]
            source = io.BytesIO(stored["bytes"]) if stored.get("bytes") else stored["path"]
            called = f"picture {number} of {name}'s {'+'.join(splits)}"
            yield from _decoded(source, called, row[which.label], which.channels, which.shorter_side, damaged)

    return cached(name, key, classes, which.channels, decode)


def _rows(which: Hub, name: str, split: str) -> Any:
    """The rows of a split, its pictures as they are stored, not decoded."""
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"{name} comes through datasets, which is not installed: pip install 'archzoo[data]'"
        ) from error
    try:
        rows = datasets.load_dataset(which.path, which.config, split=split)
    except Exception as error:  # offline, gated, no such split: datasets raises many things
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{name} ({which.path}, {split}) is not here and could not be fetched ({first}): with a network, the same "
            f"command fetches it once; without, --data hub:FOLDER reads a folder of its files"
        ) from error
    for column in (which.image, which.label):
        if column not in rows.features:
            raise DataError(f"{which.path} has no column {column!r}: it has {', '.join(rows.features)}")
    return rows.cast_column(which.image, datasets.Image(decode=False))
