"""The image files below a folder: links are followed, and what is left out is counted."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from archzoo.data._left_out import LeftOut
from archzoo.data._leftovers import is_leftover_file, is_leftover_folder

NO_SUFFIX = "no suffix"


@dataclass
class Walk:
    """What is found below a folder: files with their size and time, folders with their time, and what is left out."""

    root: str
    suffixes: frozenset[str]
    files: list[tuple[str, int, int, int]] = field(default_factory=list)  # path below root, size, time, label
    folders: list[tuple[str, int]] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    again: list[tuple[str, str]] = field(default_factory=list)  # folders that are one, by the second and first name
    _around: list[tuple[int, int]] = field(default_factory=list)  # device and inode of the folders around
    _names: dict[tuple[int, int], str] = field(default_factory=dict)  # of folders, by device and inode

    def walk_classes(self) -> list[str]:
        """Walk each folder of the root as a class; return the classes, sorted.

        Raises OSError where a folder cannot be read, or a link leads nowhere.
        """
        self._enter("")
        folders, images = self.read("")
        self.left_out.beside = len(images)
        for label, name in enumerate(sorted(folders)):
            self.walk(name, label)
        return sorted(folders)

    def walk(self, folder: str, label: int) -> None:
        """Add the images of a folder and of the folders inside it. Raises OSError as above."""
        if not self._enter(folder):
            self.left_out.loops.append(folder)
            return
        folders, images = self.read(folder)
        for image in images:
            status = image.stat()
            self.files.append((os.path.join(folder, image.name), status.st_size, status.st_mtime_ns, label))
        for name in sorted(folders):
            self.walk(os.path.join(folder, name), label)
        self._around.pop()

    def read(self, folder: str) -> tuple[list[str], Sequence["os.DirEntry[str]"]]:
        """The names of the folders in a folder, and its images. Raises OSError as above."""
        folders: list[str] = []
        images: list[os.DirEntry[str]] = []
        with os.scandir(self._path(folder)) as entries:
            for entry in entries:
                if self._is_leftover(entry):
                    self.left_out.leftovers[entry.name if entry.is_dir() else _kind(entry.name)] += 1
                elif entry.is_dir():
                    folders.append(entry.name)
                elif self._is_image(entry):
                    images.append(entry)
                else:
                    self.left_out.others[os.path.splitext(entry.name)[1].lower() or NO_SUFFIX] += 1
        return folders, images

    def _enter(self, folder: str) -> bool:
        """Note a folder; False where it is one of those around itself."""
        status = os.stat(self._path(folder))
        identity = (status.st_dev, status.st_ino)
        if identity in self._around:
            return False
        first = self._names.setdefault(identity, folder)
        if first != folder:
            self.again.append((folder, first))
        self.folders.append((folder, status.st_mtime_ns))
        self._around.append(identity)
        return True

    def _path(self, folder: str) -> str:
        return os.path.join(self.root, folder) if folder else self.root

    def _is_leftover(self, entry: "os.DirEntry[str]") -> bool:
        if entry.is_dir():
            return is_leftover_folder(entry.name)
        if is_leftover_file(entry.name):
            return True
        if entry.is_symlink():
            entry.stat()  # a link to nowhere is an error: it may be a whole class
        return False

    def _is_image(self, entry: "os.DirEntry[str]") -> bool:
        is_known = os.path.splitext(entry.name)[1].lower() in self.suffixes
        return is_known and stat.S_ISREG(entry.stat().st_mode)  # a pipe would be read for ever


def _kind(name: str) -> str:
    """What leftovers of one kind are called together: ``._*`` for the second halves of macOS's files."""
    return "._*" if name.startswith("._") else "*~" if name.endswith("~") else name
