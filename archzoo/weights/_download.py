"""Downloads: atomic, resumed after an interruption, checked, and made by one process for all."""

import hashlib
import os
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import torch

from archzoo.errors import WeightsError
from archzoo.files import write_text
from archzoo.weights._guarding import check_regular
from archzoo.weights._locks import locked
from archzoo.weights._transfers import CHUNK, WrongRange, discard, transfer

TRIES, PAUSE = 3, 0.2  # of a download; seconds before the second try
PATIENCE = 300  # seconds that another process's download may stand still
AGAIN = (408, 416, 429, 500, 502, 503, 504)  # what a server may answer otherwise the next time
Check = Callable[[Path], object]


def cached_file(
    url: str, name: str, digest: str = "", directory: Path | None = None, check: Check = lambda path: None
) -> Path:
    """The path of a file in torch.hub's cache, or in ``directory``, after downloading it if it is not there.

    ``digest`` is the SHA-256 of the file in hexadecimal, or its first digits. The complete SHA-256 is stored beside the
    file, and the file is checked against both on every call. ``check`` reads a new file and raises WeightsError if that
    is impossible. An interrupted download stays as ``.part`` and is resumed. Processes that want the same file at the
    same time download it once.

    Raises WeightsError if the file cannot be downloaded, with its URL and where to put it, or if its SHA-256 differs.
    """
    directory = directory or Path(torch.hub.get_dir()) / "checkpoints"
    path = directory / name
    with reading_cache(path):
        if not path.exists():
            _download_once(url, path, digest, check)
        check_regular(path)
        _check(path, digest)
    return path


@contextmanager
def reading_cache(path: Path) -> Iterator[None]:
    """Turn the errors of reading a file in the cache, whose folder may be closed or gone, into a WeightsError."""
    try:
        yield
    except WeightsError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", "") or error
        raise WeightsError(f"{getattr(error, 'filename', '') or path} cannot be read: {reason}") from error


def remove_unreadable(path: Path, error: WeightsError) -> WeightsError:
    """Remove a file of ours that cannot be read, so that the next call asks again, and return the error that says so.

    A file that archzoo did not download stays, and so does one where the disk or the memory failed, or of a cache that
    is read-only.
    """
    if isinstance(error.__cause__, OSError | MemoryError):
        return error
    try:
        if not _digest_path(path).exists():
            return error
        path.unlink(missing_ok=True)
        _digest_path(path).unlink(missing_ok=True)
    except OSError as failure:
        return WeightsError(f"{error}. Delete the file to download it again: {failure.strerror}")
    return WeightsError(f"{error}. The file is removed: the next call downloads it again")


def _download_once(url: str, path: Path, digest: str, check: Check) -> None:
    partial = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f".{path.name}.lock"), _patience(path, partial)):
            if not path.exists():
                _download(url, path, partial, digest, check)
    except OSError as error:
        raise WeightsError(_advice(url, path, str(error))) from error


def _patience(path: Path, partial: Path) -> Callable[[str], None]:
    """What to do while another process downloads: wait as long as its part grows."""
    last: tuple[float, int] = time.monotonic(), -1

    def wait(holder: str) -> None:
        nonlocal last
        size = _size(partial)
        if size != last[1]:
            last = time.monotonic(), size
        elif time.monotonic() - last[0] > PATIENCE:
            raise WeightsError(f"process {holder} downloads {path.name}, but stands still for {PATIENCE} s: end it")

    return wait


def _size(partial: Path) -> int:
    try:
        return partial.stat().st_size
    except FileNotFoundError:  # not begun, or finished
        return 0


def _download(url: str, path: Path, partial: Path, digest: str, check: Check) -> None:
    for attempt in range(TRIES):
        try:
            actual = _fetched(url, partial, digest)
            break
        except (OSError, HTTPException) as error:
            if isinstance(error, WrongRange) or getattr(error, "code", 0) == 416:
                discard(partial)  # what is there is no part of the file
            hopeless = isinstance(error, urllib.error.HTTPError) and error.code not in AGAIN
            if hopeless or attempt == TRIES - 1:
                raise WeightsError(_advice(url, path, _reason(error))) from error
        time.sleep(PAUSE * 2**attempt)
    try:
        check(partial)
    except WeightsError as error:
        discard(partial)
        raise WeightsError(f"{url} sent a file that cannot be read, and that is not kept: {error}") from error
    write_text(_digest_path(path), actual)
    os.replace(partial, path)
    discard(partial)


def _fetched(url: str, partial: Path, digest: str) -> str:
    """The SHA-256 of a file that was downloaded completely. Raises OSError where trying again may help."""
    arrival = transfer(url, partial)
    actual = sha256(partial)
    expected = digest if len(digest) == 64 or not arrival.sha256 else arrival.sha256
    if actual.startswith(digest) and actual.startswith(expected):
        return actual
    discard(partial)
    message = f"{url} is not the expected file: its SHA-256 begins with {actual[:16]}, not {expected[:16]}"
    raise OSError(message) if arrival.resumed else WeightsError(message)


def _reason(error: OSError | HTTPException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def _advice(url: str, path: Path, reason: str) -> str:
    return f"could not download {path.name} ({reason[:300]}): get {url} and put it at {path}"


def _check(path: Path, digest: str) -> None:
    """Raise WeightsError unless the SHA-256 of a file is the stored one and begins with the published one."""
    stored = (
        _digest_path(path).read_text(encoding="utf-8", errors="replace").strip() if _digest_path(path).is_file() else ""
    )
    if not stored and not digest:
        return
    actual = sha256(path)
    if not actual.startswith(digest) or (stored and actual != stored):
        raise WeightsError(
            f"{path} is not the published file: its SHA-256 begins with {actual[:16]}, "
            f"not {(digest or stored)[:16]}; delete it to download it again"
        )


def _digest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
