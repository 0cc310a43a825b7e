"""Folders of image files in torchvision's layout: one folder per class."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from archzoo.data._cache import DecodedImage, cached
from archzoo.data._dataset import ImageSet
from archzoo.data._reading import IMAGE_SUFFIXES, OnCorrupt, find_images, read_or_skip, read_pixels
from archzoo.data._splits import Splits, split
from archzoo.errors import DataError

TEST_SHARE, TEST_SEED = 0.2, 0  # of a folder of classes alone


def load_folder(
    root: Path, channels: int = 3, on_corrupt: OnCorrupt = "error", validation: float = 0.1, seed: int = 0
) -> Splits:
    """Load root/class/image, or root/train/class/image with val (or valid) or test beside train.

    With train, val and test, all are used as named. With train and one of the others, that one is the test set, and a
    share of train is set aside for validation. With classes alone, a fifth is the test set. Images are decoded once,
    into the cache. Raises DataError where the folder has another layout, or an image is corrupt.
    """
    parts = _parts(root)
    if not parts:
        images = read_class_folders(root, channels, on_corrupt)
        halves = split(images, images, TEST_SHARE, TEST_SEED)
        return split(halves.train, halves.validation, validation, seed)
    if "train" not in parts or len(parts) == 1:
        missing = "train" if "train" not in parts else "val or test"
        raise DataError(f"{root} has {', '.join(parts)} but no {missing}: add it, or leave only folders of classes")
    sets = {name: read_class_folders(part, channels, on_corrupt) for name, part in parts.items()}
    _check_classes(sets, parts)
    if len(sets) == 3:
        return Splits(sets["train"], sets["val"], sets["test"])
    return split(sets["train"], sets["test"] if "test" in sets else sets["val"], validation, seed)


def _parts(root: Path) -> dict[str, Path]:
    """The folders of the splits by name."""
    parts = {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}
    return parts | ({"val": root / "valid"} if (root / "valid").is_dir() else {})


def _check_classes(sets: dict[str, ImageSet], parts: dict[str, Path]) -> None:
    for name, images in sets.items():
        different = sorted(set(images.classes) ^ set(sets["train"].classes))
        if different:
            raise DataError(f"{parts[name]} and {parts['train']} differ in their classes: {', '.join(different)}")


def read_class_folders(root: Path, channels: int, on_corrupt: OnCorrupt) -> ImageSet:
    """The images of root/class/image, from the cache after the first time.

    Raises DataError where there are no class folders, one has no image, or an image is corrupt.
    """
    classes = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = [(path, label) for label, name in enumerate(classes) for path in find_images(root / name)]
    if not files:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{root} has no folders of images, one per class ({suffixes})")
    empty = sorted(set(classes) - {classes[label] for _, label in files})
    if empty:
        raise DataError(f"{root} has no images of {', '.join(empty)}: add some, or remove the folder")
    return _decode(root, files, classes, channels, on_corrupt)


def read_images(root: Path, channels: int, on_corrupt: OnCorrupt) -> ImageSet:
    """All images in a folder and the folders inside it, as one class of the folder's name.

    Raises DataError where there is no image, or one is corrupt.
    """
    files = [(path, 0) for path in find_images(root)]
    if not files:
        raise DataError(f"{root} has no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return _decode(root, files, [root.resolve().name], channels, on_corrupt, layout="one class ")


def _decode(
    root: Path,
    files: Sequence[tuple[Path, int]],
    classes: Sequence[str],
    channels: int,
    on_corrupt: OnCorrupt,
    layout: str = "",
) -> ImageSet:
    """The images of these files with these labels, from the cache after the first time.

    ``layout`` tells two readings of the same files apart.
    """
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path, _ in files]

    def decode() -> Iterator[DecodedImage]:
        for path, label in files:
            pixels = read_or_skip(partial(read_pixels, path, channels), str(path), on_corrupt)
            if pixels is not None:
                yield DecodedImage(pixels, label)

    key = f"{layout}{root.resolve()} {channels} {on_corrupt} {stamps}"
    return cached(root.resolve().name, key, classes, channels, decode)
