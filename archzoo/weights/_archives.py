"""Files that are published in a zip archive, one in each."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import torch

from archzoo.errors import WeightsError
from archzoo.files import atomic_write
from archzoo.weights._download import CHUNK, cached_file


def cached_member(url: str, name: str, sha1: str, directory: Path | None = None) -> Path:
    """The path of the file ``name`` in the cache, after downloading the zip archive that holds it if it is not there.

    ``sha1`` is the SHA-1 of the file in hexadecimal, which is checked on every call. The archive is not kept. Raises
    WeightsError if it cannot be downloaded or has no such file, or if the SHA-1 of the file differs.
    """
    directory = directory or Path(torch.hub.get_dir()) / "checkpoints"
    path = directory / name
    if not path.exists():
        archive = cached_file(url, f"{name}.zip", directory=directory)
        try:
            _extract(archive, name, path, sha1)
        finally:
            archive.unlink()
            archive.with_name(f"{archive.name}.sha256").unlink(missing_ok=True)
    elif _sha1(path) != sha1:
        raise WeightsError(f"{path} is not the published file: its SHA-1 is not {sha1}; delete it to download it again")
    return path


def _extract(archive: Path, name: str, path: Path, sha1: str) -> None:
    try:
        with zipfile.ZipFile(archive) as members, members.open(name) as member, atomic_write(path) as partial:
            with Path(partial).open("wb") as file:
                shutil.copyfileobj(member, file, CHUNK)
            if _sha1(Path(partial)) != sha1:
                raise WeightsError(f"{name} in {archive.name} is not the published file: its SHA-1 is not {sha1}")
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise WeightsError(f"{archive.name} is no zip archive of {name}: {error}") from error


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
