"""Folders of image files in torchvision's layout: one folder per class."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from archzoo.data._cache import DecodedImage, cached
from archzoo.data._dataset import ImageSet
from archzoo.data._encoded import EncodedImageSet
from archzoo.data._files import read
from archzoo.data._packing import EncodedImage, packed
from archzoo.data._reading import OnCorrupt, load_pillow, read_or_skip, read_pixels
from archzoo.data._scanning import Scan, scan_classes, scan_images
from archzoo.data._small import load_small
from archzoo.data._splits import Splits, split
from archzoo.errors import DataError

TEST_SHARE, TEST_SEED = 0.2, 0  # of a folder of classes alone


def load_folder(
    root: Path,
    channels: int = 3,
    on_corrupt: OnCorrupt = "error",
    validation: float = 0.1,
    seed: int = 0,
    *,
    pack: bool = False,
    shorter_side: int | None = None,
) -> Splits:
    """Load root/class/image, or root/train/class/image with val (or valid) or test beside train.

    With train, val and test, all are used as named. With train and one of the others, that one is the test set, and a
    share of train is set aside for validation. With classes alone, a fifth is the test set. ``pack`` and
    ``shorter_side`` are those of ``archzoo.data.load``. Raises DataError where the folder has another layout.
    """
    read_part = partial(
        read_class_folders, channels=channels, on_corrupt=on_corrupt, pack=pack, shorter_side=shorter_side
    )
    parts = _parts(root)
    if not parts:
        images = read_part(root)
        halves = split(images, images, TEST_SHARE, TEST_SEED)
        return split(halves.train, halves.validation, validation, seed)
    if "train" not in parts or len(parts) == 1:
        missing = "train" if "train" not in parts else "val or test"
        raise DataError(f"{root} has {', '.join(parts)} but no {missing}: add it, or leave only folders of classes")
    sets = {name: read_part(part) for name, part in parts.items()}
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


def read_class_folders(
    root: Path, channels: int, on_corrupt: OnCorrupt, *, pack: bool = False, shorter_side: int | None = None
) -> ImageSet:
    """The images of root/class/image, which stay encoded unless all have one small size.

    Raises DataError where there are no class folders, one has no image, or a small image is corrupt.
    """
    scan = scan_classes(root)
    images = _read(root, scan, channels, on_corrupt)
    if not images.is_encoded or (not pack and shorter_side is None):
        return images

    def encoded() -> Iterator[EncodedImage]:
        for number, label in enumerate(scan.labels.tolist()):
            yield EncodedImage(read(scan.files, number), label, scan.files.name(number))

    key = f"{root.resolve()} {_stamps(root, scan)}"
    return packed(images.name, key, scan.classes, channels, encoded, shorter_side=shorter_side, on_corrupt=on_corrupt)


def read_images(root: Path, channels: int, on_corrupt: OnCorrupt) -> ImageSet:
    """All images in a folder and the folders inside it, as one class of the folder's name.

    They stay encoded unless all have one small size. Raises DataError where there is none, or a small one is corrupt.
    """
    return _read(root, scan_images(root), channels, on_corrupt, layout="one class ")


def _read(root: Path, scan: Scan, channels: int, on_corrupt: OnCorrupt, layout: str = "") -> ImageSet:
    """The images of a scan. ``layout`` tells two readings of the same files apart."""
    load_pillow()
    name = root.resolve().name
    small = load_small(
        name,
        lambda: f"{layout}{root.resolve()} {channels} {on_corrupt} {_stamps(root, scan)}",
        len(scan.labels),
        partial(read, scan.files),
        lambda key: cached(name, key, scan.classes, channels, partial(_decode, scan, channels, on_corrupt)),
    )
    if small is not None:
        return small
    return EncodedImageSet.of(name, scan.files, scan.labels, scan.classes, channels, on_corrupt)


def _stamps(root: Path, scan: Scan) -> list[tuple[str, int, int]]:
    """The path, size and time of each file."""
    paths = (str(root / scan.files.names[number]) for number in range(len(scan.labels)))
    return list(zip(paths, scan.files.lengths.tolist(), scan.files.times.tolist(), strict=True))


def _decode(scan: Scan, channels: int, on_corrupt: OnCorrupt) -> Iterator[DecodedImage]:
    for number, label in enumerate(scan.labels.tolist()):
        path = Path(scan.files.name(number))
        pixels = read_or_skip(partial(read_pixels, path, channels), str(path), on_corrupt)
        if pixels is not None:
            yield DecodedImage(pixels, label)
