"""The files of a folder of classes: found by one scan, which the cache keeps for as long as the folder is unchanged."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from archzoo.data._cache import cache_dir
from archzoo.data._files import FolderFiles, Names, spread
from archzoo.data._reading import IMAGE_SUFFIXES
from archzoo.errors import DataError
from archzoo.files import atomic_write

FORMAT = 1  # of the file of a scan
# Files whose size and time are compared as a scan is loaded. Of larger folders, these are spread evenly; those of every
# other file are compared as it is read.
CHECKED = 10_000
# A folder may change once more within a tick of its clock: a scan is kept once the folder was left alone for so long.
SETTLED = 2 * 10**9  # nanoseconds


@dataclass(frozen=True)
class Scan:
    """The image files of a folder, sorted, with the class of each, (N,)."""

    files: FolderFiles
    labels: Tensor
    classes: tuple[str, ...]


def scan_classes(root: Path) -> Scan:
    """The images of root/class/image.

    Raises DataError where there are no class folders, one has no image, or one cannot be read.
    """
    kept = _kept_file(root)
    scan = _load(kept, root)
    if scan is not None:
        return scan
    try:
        scan, folders = _scan(root, kept)
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read ({error.strerror}): mend or remove it") from error
    _keep(kept, scan, folders)
    return scan


def scan_images(root: Path) -> Scan:
    """All images of a folder and the folders inside it, as one class. Raises DataError where there is none."""
    walk = _Walk(str(root))
    walk.walk("", 0)
    if not walk.files:
        raise DataError(f"{root} has no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return _sorted(walk, root, _kept_file(root), [root.resolve().name])


def _kept_file(root: Path) -> Path:
    resolved = root.resolve()
    key = hashlib.sha256(f"scan {FORMAT} {resolved}".encode(errors="surrogateescape")).hexdigest()[:16]
    return cache_dir() / f"{resolved.name}-{key}.safetensors"


@dataclass
class _Walk:
    """What is found below a folder: files with their size and time, and folders with their time."""

    root: str
    files: list[tuple[str, int, int, int]] = field(default_factory=list)  # path below root, size, time, label
    folders: list[tuple[str, int]] = field(default_factory=list)

    def walk(self, folder: str, label: int) -> None:
        path = os.path.join(self.root, folder)
        self.folders.append((folder, os.stat(path).st_mtime_ns))
        with os.scandir(path) as entries:
            for entry in entries:
                below = os.path.join(folder, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    self.walk(below, label)
                elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:
                    status = entry.stat()
                    self.files.append((below, status.st_size, status.st_mtime_ns, label))


def _scan(root: Path, kept: Path) -> tuple[Scan, list[tuple[str, int]]]:
    walk = _Walk(str(root), folders=[("", os.stat(root).st_mtime_ns)])
    classes = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    for label, name in enumerate(classes):
        walk.walk(name, label)
    if not walk.files:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{root} has no folders of images, one per class ({suffixes})")
    empty = sorted(set(classes) - {classes[label] for *_, label in walk.files})
    if empty:
        raise DataError(f"{root} has no images of {', '.join(empty)}: add some, or remove the folder")
    return _sorted(walk, root, kept, classes), walk.folders


def _sorted(walk: _Walk, root: Path, kept: Path, classes: Sequence[str]) -> Scan:
    walk.files.sort(key=lambda file: file[0].split(os.sep))
    names, lengths, times, labels = zip(*walk.files, strict=True)
    files = FolderFiles(root, Names.of(names), torch.tensor(lengths), torch.tensor(times), kept)
    return Scan(files, torch.tensor(labels), tuple(classes))


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
            save_file(tensors, partial, {"classes": json.dumps(scan.classes)})


def _load(file: Path, root: Path) -> Scan | None:
    """The scan that the cache keeps, where the folder is as it was; None otherwise."""
    from safetensors import safe_open

    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            classes = tuple(json.loads(opened.metadata()["classes"]))
        folders = Names(tensors["folder_names"], tensors["folder_ends"])
        files = FolderFiles(root, Names(tensors["names"], tensors["ends"]), tensors["lengths"], tensors["times"], file)
        is_unchanged = _have_times(root, folders, tensors["folder_times"]) and _are_unchanged(files)
        return Scan(files, tensors["labels"], classes) if is_unchanged else None
    except Exception:  # a folder or a file is gone, or the scan is corrupt: it is made again
        return None


def _have_times(root: Path, folders: Names, times: Tensor) -> bool:
    current = (os.stat(os.path.join(root, folders[number])).st_mtime_ns for number in range(len(folders)))
    return all(now == kept for now, kept in zip(current, times.tolist(), strict=True))


def _are_unchanged(files: FolderFiles) -> bool:
    numbers = spread(len(files.names), CHECKED)
    return all(files.is_unchanged(number, os.stat(files.name(number))) for number in numbers)
