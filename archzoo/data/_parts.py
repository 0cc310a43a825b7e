"""Whether the parts of a dataset go together: the same classes, and no image in two of them."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from archzoo.data._left_out import counted, listed
from archzoo.data._scanning import Scan
from archzoo.errors import DataError


def check_parts(scans: Mapping[str, Scan]) -> tuple[str, ...]:
    """What the folders of a dataset's parts hold that is not read, in words.

    Raises DataError where there is one class only, a part has a class that is not trained, or images are trained and
    tested.
    """
    train = scans["train"]
    if len(train.classes) == 1:
        raise DataError(_one_class(train))
    for scan in scans.values():
        unknown = sorted(set(scan.classes) - set(train.classes))
        if unknown:
            raise DataError(
                f"{scan.files.root} and {train.files.root} differ in their classes: {listed(unknown)} "
                f"{'is' if len(unknown) == 1 else 'are'} not trained"
            )
    _check_shared(scans)
    names = {role: f"{scan.files.root.name}: " if len(scans) > 1 else "" for role, scan in scans.items()}
    return tuple(names[role] + note for role, scan in scans.items() for note in scan.notes)


def _one_class(scan: Scan) -> str:
    (name,), root = scan.classes, scan.files.root
    paths = (Path(scan.files.names[number]).parts for number in range(len(scan.labels)))
    inner = sorted({parts[1] for parts in paths if len(parts) > 2})
    message = f"{root} has one class only, {name}, with {counted(len(scan.labels), 'image')}: "
    if len(inner) > 1:
        return f"{message}if its folders {listed(inner)} are the classes, give {root / name}"
    return f"{message}give a folder with a folder of images for each class"


def _check_shared(scans: Mapping[str, Scan]) -> None:
    """Raise DataError where a folder of training images is that of a test or validation class, by a link."""
    trained = {_identity(scans["train"], name): name for name in scans["train"].classes}
    for role, scan in scans.items():
        for name in scan.classes:
            if role != "train" and _identity(scan, name) in trained:
                train = scans["train"].files.root / trained[_identity(scan, name)]
                raise DataError(f"{scan.files.root / name} and {train} are the same folder: remove a link")


def _identity(scan: Scan, name: str) -> tuple[int, int]:
    status = os.stat(scan.files.root / name)
    return status.st_dev, status.st_ino


def numbered_by(scan: Scan, classes: tuple[str, ...]) -> Scan:
    """The same scan with its classes numbered as these, which have all of them."""
    numbers = torch.tensor([classes.index(name) for name in scan.classes])
    return replace(scan, labels=numbers[scan.labels], classes=classes)
