"""Folders of image files in torchvision's layout: one folder per class."""

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from archzoo.data._cache import DecodedImage, cached
from archzoo.data._dataset import ImageSet
from archzoo.data._encoded import EncodedImageSet
from archzoo.data._files import read
from archzoo.data._formats import load_pillow
from archzoo.data._layout import find_layout
from archzoo.data._packing import EncodedImage, packed
from archzoo.data._parts import check_parts, numbered_by
from archzoo.data._reading import Reading, read_or_skip, read_pixels
from archzoo.data._scanning import Scan, scan_classes, scan_images
from archzoo.data._small import load_small
from archzoo.data._splits import Splits, split_by_class, warn_of_missing_classes
from archzoo.data._survey import Survey, survey_files

TEST_SHARE, TEST_SEED = 0.2, 0  # of a folder of classes alone


def load_folder(root: Path, reading: Reading, validation: float, seed: int) -> Splits:
    """Load root/class/image, or root/train/class/image with folders of validation or test images beside train.

    The folders of splits have any usual name (``_split_names``). With all three, they are used as named. With
    training images and one of the others, that one is the test set, and a share of each class is set aside for
    validation. With classes alone, a fifth of each is the test set. Warns of classes that a part lacks.

    Raises DataError where the folder has another layout, one class only, or a test class that is not trained.
    """
    layout = find_layout(root)
    scans = {role: scan_classes(part) for role, part in (layout.parts or {"train": layout.root}).items()}
    notes = (*layout.notes, *check_parts(scans))
    survey = _survey(layout.root, scans, reading)
    reading = replace(reading, conversion=survey.conversion)
    sets = {role: _read_or_pack(numbered_by(scan, scans["train"].classes), reading) for role, scan in scans.items()}
    notes = (*notes, *survey.notes)
    splits = _split({role: replace(images, notes=notes) for role, images in sets.items()}, validation, seed)
    warn_of_missing_classes(splits)
    return splits


def _survey(root: Path, scans: Mapping[str, Scan], reading: Reading) -> Survey:
    survey = survey_files(root.resolve().name, [scan.files for scan in scans.values()], reading.conversion)
    if survey.warning:
        warnings.warn(survey.warning, stacklevel=3)
    return survey


def _split(sets: Mapping[str, ImageSet], validation: float, seed: int) -> Splits:
    train = sets["train"]
    if len(sets) == 3:
        return Splits(train, sets["val"], sets["test"])
    if len(sets) == 2:
        return split_by_class(train, sets["test"] if "test" in sets else sets["val"], validation, seed)
    halves = split_by_class(train, train, TEST_SHARE, TEST_SEED, fewest=1)
    return split_by_class(halves.train, halves.validation, validation, seed)


def read_class_folders(root: Path, reading: Reading) -> ImageSet:
    """The images of root/class/image, which stay encoded unless all have one small size.

    Raises DataError where there are no class folders, one has no image, or a small image is corrupt.
    """
    return _read_or_pack(scan_classes(root), reading)


def read_images(root: Path, reading: Reading) -> ImageSet:
    """All images in a folder and the folders inside it, as one class of the folder's name.

    They stay encoded unless all have one small size. Raises DataError where there is none, or a small one is corrupt.
    """
    scan = scan_images(root)
    survey = _survey(root, {"": scan}, reading)
    images = _read(scan, replace(reading, conversion=survey.conversion), layout="one class ")
    return replace(images, notes=(*scan.notes, *survey.notes))


def _read_or_pack(scan: Scan, reading: Reading) -> ImageSet:
    images = _read(scan, reading)
    if not images.is_encoded or (not reading.pack and reading.shorter_side is None):
        return images

    def encoded() -> Iterator[EncodedImage]:
        for number, label in enumerate(scan.labels.tolist()):
            yield EncodedImage(read(scan.files, number), label, scan.files.name(number))

    conversion, shorter_side = reading.conversion, reading.shorter_side
    key = f"{_key(scan)} {conversion if shorter_side is not None else ''}"
    return packed(
        images.name, key, scan.classes, conversion, encoded, shorter_side=shorter_side, on_corrupt=reading.on_corrupt
    )


def _read(scan: Scan, reading: Reading, layout: str = "") -> ImageSet:
    """The images of a scan. ``layout`` tells two readings of the same files apart."""
    load_pillow()
    name, conversion, on_corrupt = scan.files.root.resolve().name, reading.conversion, reading.on_corrupt
    small = load_small(
        name,
        lambda: f"{layout}{conversion} {on_corrupt} {_key(scan)}",
        len(scan.labels),
        partial(read, scan.files),
        lambda key: cached(name, key, scan.classes, conversion.channels, partial(_decode, scan, reading)),
    )
    if small is not None:
        return small
    return EncodedImageSet.of(name, scan.files, scan.labels, scan.classes, conversion, on_corrupt)


def _key(scan: Scan) -> str:
    """The folder, its classes as they are numbered, and the path, size and time of each file."""
    root, files = scan.files.root, scan.files
    paths = (os.path.join(root, files.names[number]) for number in range(len(scan.labels)))
    stamps = list(zip(paths, files.lengths.tolist(), files.times.tolist(), strict=True))
    return f"{root.resolve()} {scan.classes} {stamps}"


def _decode(scan: Scan, reading: Reading) -> Iterator[DecodedImage]:
    for number, label in enumerate(scan.labels.tolist()):
        path = Path(scan.files.name(number))
        pixels = read_or_skip(partial(read_pixels, path, reading.conversion), str(path), reading.on_corrupt)
        if pixels is not None:
            yield DecodedImage(pixels, label)
