"""Named data sets in the files that people have: as their pages, torchvision and Debian lay them out.

To add one: a row of LAYOUTS, with the folders below a data folder where its files may be, and what reads them.
"""

import string
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from archzoo.data import _cifar as cifar
from archzoo.data._contents import find_file, need_file
from archzoo.data._dataset import ImageSet
from archzoo.data._idx import read_images
from archzoo.data._mat import read_mat
from archzoo.data._released import check_owner, is_released
from archzoo.errors import DataError

DEBIAN = Path("/usr/share/datasets")  # where Debian's packages dataset-* put their files
IMAGES, LABELS = "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"

Images = tuple[Tensor, Tensor]  # images (N, C, H, W) in uint8, and labels (N,)


@dataclass(frozen=True)
class Files:
    """What was read of a data set: both parts, the names of the classes, and the MD5s of the files."""

    train: Images
    test: Images
    classes: tuple[str, ...]
    md5s: frozenset[str]


@dataclass(frozen=True)
class Layout:
    """Where the files of a data set may be, and how they are read.

    Attributes:
        kind: What the files are, in words.
        folders: Folders below a data folder. In the data folder itself, all of the files must be there.
        files: Their names; each may be gzipped.
        read: The function that reads them from their folder.
    """

    kind: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    read: Callable[[Path], Files]

    def find(self, root: Path) -> Path | None:
        """The folder of the files, or None."""
        for name in self.folders:
            if any(find_file(root / name, file) for file in self.files):
                return root / name
        return root if all(find_file(root, file) for file in self.files) else None


def _read_idx(names: tuple[str, str], classes: tuple[str, ...], folder: Path) -> Files:
    """MNIST's four files, whose images and labels have these names."""
    (train, labels, of_train), (test, test_labels, of_test) = (
        read_images(*(need_file(folder, file.format(name)) for file in (IMAGES, LABELS))) for name in names
    )
    return Files((train, labels), (test, test_labels), classes, frozenset(of_train + of_test))


def _idx(folders: tuple[str, ...], classes: tuple[str, ...], names: tuple[str, str] = ("train", "t10k")) -> Layout:
    files = tuple(file.format(name) for name in names for file in (IMAGES, LABELS))
    return Layout("IDX files", folders, files, partial(_read_idx, names, classes))


def _read_emnist(split: str, classes: tuple[str, ...], folder: Path) -> Files:
    """EMNIST's files hold their images by columns; letters are numbered from 1."""
    read = _read_idx((f"emnist-{split}-train", f"emnist-{split}-test"), classes, folder)
    first = 1 if split == "letters" else 0
    (train, train_labels), (test, test_labels) = read.train, read.test
    return Files(
        (train.transpose(2, 3), train_labels - first), (test.transpose(2, 3), test_labels - first), classes, read.md5s
    )


def _emnist(split: str, classes: str) -> tuple[Layout]:
    files = tuple(file.format(f"emnist-{split}-{part}") for part in ("train", "test") for file in (IMAGES, LABELS))
    read = partial(_read_emnist, split, tuple(classes))
    return (Layout("IDX files", ("EMNIST/raw", "EMNIST", "emnist", "gzip", "raw"), files, read),)


def _read_cifar(version: cifar.Version, folder: Path) -> Files:
    train, labels, of_train = cifar.read_batches(version, folder, version.train)
    test, test_labels, of_test = cifar.read_batches(version, folder, (version.test,))
    names = cifar.read_names(version, folder)
    return Files((train, labels), (test, test_labels), names, frozenset((*of_train, *of_test)))


def _cifar(kind: str, folder: str, version: cifar.Version) -> Layout:
    return Layout(kind, (folder,), version.files, partial(_read_cifar, version))


def _read_svhn(folder: Path) -> Files:
    """The training images are SVHN's train and extra, where the latter is there."""
    names = ["train_32x32.mat", "extra_32x32.mat", "test_32x32.mat"]
    if not (folder / names[1]).is_file():
        warnings.warn(
            f"archzoo: {folder} has no {names[1]}: svhn is trained on the images of {names[0]} alone, and the papers "
            f"train on both",
            stacklevel=2,
        )
        del names[1]
    *train, test = [read_mat(need_file(folder, name)) for name in names]
    images = torch.cat([part[0] for part in train]) if len(train) > 1 else train[0][0]
    labels = torch.cat([part[1] for part in train])
    md5s = frozenset(part[2] for part in (*train, test))
    return Files((images, labels), test[:2], tuple(string.digits), md5s)


MERGED = set("cijklmopsuvwxyz")  # lower case letters that EMNIST counts as their capitals
BALANCED = string.digits + string.ascii_uppercase + "".join(sorted(set(string.ascii_lowercase) - MERGED))
FASHION = (*("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),)
LAYOUTS: Mapping[str, tuple[Layout, ...]] = {
    "fashion_mnist": (_idx(("FashionMNIST/raw", "FashionMNIST", "fashion-mnist", "fashion_mnist", "raw"), FASHION),),
    "mnist": (_idx(("MNIST/raw", "MNIST", "mnist", "raw"), tuple(string.digits)),),
    "emnist": _emnist("balanced", BALANCED),
    "emnist_byclass": _emnist("byclass", string.digits + string.ascii_uppercase + string.ascii_lowercase),
    "emnist_bymerge": _emnist("bymerge", BALANCED),
    "emnist_digits": _emnist("digits", string.digits),
    "emnist_letters": _emnist("letters", string.ascii_lowercase),
    "emnist_mnist": _emnist("mnist", string.digits),
    "cifar10": (
        _cifar("Python version", "cifar-10-batches-py", cifar.CIFAR10_PYTHON),
        _cifar("binary version", "cifar-10-batches-bin", cifar.CIFAR10_BINARY),
    ),
    "cifar100": (
        _cifar("Python version", "cifar-100-python", cifar.CIFAR100_PYTHON),
        _cifar("binary version", "cifar-100-binary", cifar.CIFAR100_BINARY),
    ),
    "svhn": (Layout("MATLAB files", ("SVHN", "svhn"), ("train_32x32.mat", "test_32x32.mat"), _read_svhn),),
}


def load_local(name: str, data_dir: Path | None) -> tuple[ImageSet, ImageSet, str] | None:
    """Training and test images from files of this machine, and where they are, in words; None where none are found.

    ``data_dir`` is looked in first, then Debian's folder. Raises DataError for a folder that is none, files that are
    incomplete or corrupt, and those of another data set.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise DataError(f"data_dir must be a folder, and {data_dir} is none")
    for layout, folder in _found(name, data_dir):
        files = layout.read(folder)
        check_owner(name, folder, files.md5s)
        train, test = (_image_set(name, folder, part, files.classes) for part in (files.train, files.test))
        released = ", as released" if is_released(files.md5s) else ""
        return train, test, f"{folder} ({layout.kind}{released})"
    return None


def _found(name: str, data_dir: Path | None) -> Iterator[tuple[Layout, Path]]:
    for root in (data_dir, DEBIAN):
        for layout in LAYOUTS.get(name, ()):
            folder = None if root is None else layout.find(root)
            if folder is not None:
                yield layout, folder


def _image_set(name: str, folder: Path, images: Images, classes: tuple[str, ...]) -> ImageSet:
    try:
        return ImageSet.from_tensor(name, *images, classes)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error
