"""Files that are published in a zip archive, one in each."""

import hashlib
import shutil
import zipfile
from functools import partial
from pathlib import Path

import torch

from archzoo.errors import WeightsError
from archzoo.files import atomic_write
from archzoo.weights._download import cached_file, reading_cache
from archzoo.weights._guarding import check_regular
from archzoo.weights._locks import locked
from archzoo.weights._recognition import first_line
from archzoo.weights._transfers import CHUNK, LARGEST


def cached_member(url: str, name: str, sha1: str, directory: Path | None = None) -> Path:
    """The path of the file ``name`` in the cache, after downloading the zip archive that holds it if it is not there.

    ``sha1`` is the SHA-1 of the file in hexadecimal, which is checked on every call. The archive is not kept. Processes
    that want the same file at the same time download it once.

    Raises WeightsError if it cannot be downloaded or has no such file, or if the SHA-1 of the file differs.
    """
    directory = directory or Path(torch.hub.get_dir()) / "checkpoints"
    path = directory / name
    with reading_cache(path):
        if not path.exists():
            _unpack_once(url, path, sha1)
        check_regular(path)
        actual = _sha1(path)
    if actual != sha1:
        raise WeightsError(f"{path} is not the published file: its SHA-1 is not {sha1}; delete it to download it again")
    return path


def _unpack_once(url: str, path: Path, sha1: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                check = partial(_check_archive, name=path.name)
                archive = cached_file(url, f"{path.name}.zip", directory=path.parent, check=check)
                try:
                    _unpack(archive, path, sha1)
                finally:
                    archive.unlink(missing_ok=True)
                    archive.with_name(f"{archive.name}.sha256").unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"{path} could not be written: {error}") from error


def _check_archive(archive: Path, name: str) -> None:
    """Raise WeightsError for anything but a zip archive with this file."""
    try:
        with zipfile.ZipFile(archive) as members:
            size = members.getinfo(name).file_size
    except (zipfile.BadZipFile, KeyError, NotImplementedError, ValueError) as error:
        raise WeightsError(f"it is no zip archive of {name}") from error
    if size > LARGEST:
        raise WeightsError(f"its {name} would have {size:,} bytes, more than weights have ({LARGEST:,})")


def _unpack(archive: Path, path: Path, sha1: str) -> None:
    with atomic_write(path) as target:
        try:
            with zipfile.ZipFile(archive) as members, members.open(path.name) as member, target.open("wb") as file:
                shutil.copyfileobj(member, file, CHUNK)
        except Exception as error:  # a damaged or an encrypted member: each method of compression has errors of its own
            if getattr(error, "errno", None) is not None:  # of the disk
                raise
            raise WeightsError(f"{path.name} in {archive.name} cannot be unpacked: {first_line(error)}") from error
        if _sha1(target) != sha1:
            raise WeightsError(f"{path.name} in {archive.name} is not the published file: its SHA-1 is not {sha1}")


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
