"""The files of a folder of classes: found by one scan, which the cache keeps for as long as the folder is unchanged."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from archzoo.data._cache import cache_dir
from archzoo.data._files import FolderFiles, Names, spread
from archzoo.data._formats import image_suffixes
from archzoo.data._left_out import listed
from archzoo.data._walking import Walk
from archzoo.errors import DataError
from archzoo.files import atomic_write

FORMAT = 2  # of the file of a scan
# Files whose size and time are compared as a scan is loaded. Of larger folders, these are spread evenly; those of every
# other file are compared as it is read.
CHECKED = 10_000
# A folder may change once more within a tick of its clock: a scan is kept once the folder was left alone for so long.
SETTLED = 2 * 10**9  # nanoseconds


@dataclass(frozen=True)
class Scan:
    """The image files of a folder, sorted, with the class of each, (N,), and what the folder holds besides."""

    files: FolderFiles
    labels: Tensor
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def scan_classes(root: Path) -> Scan:
    """The images of root/class/image.

    Raises DataError where there are no class folders, one has no image, or one cannot be read.
    """
    suffixes = image_suffixes()
    kept = _kept_file(root, suffixes)
    scan = _load(kept, root)
    if scan is not None:
        return scan
    with named_if_unreadable(root):
        scan, folders = _scan(root, kept, suffixes)
    _keep(kept, scan, folders)
    return scan


def scan_images(root: Path) -> Scan:
    """All images of a folder and the folders inside it, as one class.

    Raises DataError where there is none, or a folder cannot be read.
    """
    if not root.is_dir():
        raise DataError(f"{root} has no images: it is no folder")
    suffixes = image_suffixes()
    walk = Walk(str(root), suffixes)
    with named_if_unreadable(root):
        walk.walk("", 0)
    notes = _notes(walk)
    if not walk.files:
        raise DataError(f"{root} has no images" + "".join(f"; {note}" for note in notes))
    return _sorted(walk, root, _kept_file(root, suffixes), [root.resolve().name], notes)


def find_images(root: str | Path) -> list[Path]:
    """The image files of a folder and of the folders inside it, sorted: those that training would read.

    Links are followed, and what operating systems and editors leave behind is left out. Raises DataError where there
    is none or a folder cannot be read, and MissingDependency without Pillow.
    """
    scan = scan_images(Path(root))
    return [Path(scan.files.name(number)) for number in range(len(scan.labels))]


@contextlib.contextmanager
def named_if_unreadable(root: Path) -> Iterator[None]:
    """Raise DataError for what cannot be read, by name: a folder without permission, a link to nowhere."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read ({error.strerror}): mend or remove it") from error


def _kept_file(root: Path, suffixes: frozenset[str]) -> Path:
    resolved = root.resolve()
    text = f"scan {FORMAT} {' '.join(sorted(suffixes))} {resolved}"
    key = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
    return cache_dir() / f"{resolved.name}-{key}.safetensors"


def _scan(root: Path, kept: Path, suffixes: frozenset[str]) -> tuple[Scan, list[tuple[str, int]]]:
    walk = Walk(str(root), suffixes)
    classes = walk.walk_classes()
    notes = _notes(walk)
    ignored = "".join(f"; {note}" for note in notes)
    if not walk.files:
        raise DataError(f"{root} has no folders of images, one per class{ignored}")
    same = [f"{folder} is {first}" for folder, first in walk.again if os.sep not in folder + first]
    if same:
        raise DataError(f"{root} has one folder as two classes, {listed(same)}: remove a link")
    empty = sorted(set(classes) - {classes[label] for *_, label in walk.files})
    if empty:
        raise DataError(f"{root} has no images of {listed(empty)}: add some, or remove the folder{ignored}")
    return _sorted(walk, root, kept, classes, notes), walk.folders


def _notes(walk: Walk) -> tuple[str, ...]:
    again = listed([f"{folder} is {first}" for folder, first in walk.again])
    return (*walk.left_out.describe(), *([f"the images of linked folders are there twice: {again}"] if again else []))


def _sorted(walk: Walk, root: Path, kept: Path, classes: Sequence[str], notes: Sequence[str]) -> Scan:
    walk.files.sort(key=lambda file: file[0].split(os.sep))
    names, lengths, times, labels = zip(*walk.files, strict=True)
    files = FolderFiles(root, Names.of(names), torch.tensor(lengths), torch.tensor(times), kept)
    return Scan(files, torch.tensor(labels), tuple(classes), tuple(notes))


def _keep(file: Path, scan: Scan, folders: list[tuple[str, int]]) -> None:
    """Write a scan to the cache, where that is possible: the next start scans again where it is not."""
    from safetensors.torch import save_file

    times = [time for _, time in folders]
    if max(times) > time.time_ns() - SETTLED:
        return
    folder_names = Names.of(name for name, _ in folders)
    tensors = {
        "names": scan.files.names.text,
        "ends": scan.files.names.ends,
        "lengths": scan.files.lengths,
        "times": scan.files.times,
        "labels": scan.labels,
        "folder_names": folder_names.text,
        "folder_ends": folder_names.ends,
        "folder_times": torch.tensor(times),
    }
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial:
            save_file(tensors, partial, {"classes": json.dumps(scan.classes), "notes": json.dumps(scan.notes)})


def _load(file: Path, root: Path) -> Scan | None:
    """The scan that the cache keeps, where the folder is as it was; None otherwise."""
    from safetensors import safe_open

    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            classes, notes = (tuple(json.loads(opened.metadata()[name])) for name in ("classes", "notes"))
        folders = Names(tensors["folder_names"], tensors["folder_ends"])
        files = FolderFiles(root, Names(tensors["names"], tensors["ends"]), tensors["lengths"], tensors["times"], file)
        is_unchanged = _have_times(root, folders, tensors["folder_times"]) and _are_unchanged(files)
        return Scan(files, tensors["labels"], classes, notes) if is_unchanged else None
    except Exception:  # a folder or a file is gone, or the scan is corrupt: it is made again
        return None


def _have_times(root: Path, folders: Names, times: Tensor) -> bool:
    current = (os.stat(os.path.join(root, folders[number])).st_mtime_ns for number in range(len(folders)))
    return all(now == kept for now, kept in zip(current, times.tolist(), strict=True))


def _are_unchanged(files: FolderFiles) -> bool:
    numbers = spread(len(files.names), CHECKED)
    return all(files.is_unchanged(number, os.stat(files.name(number))) for number in numbers)
