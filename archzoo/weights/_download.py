"""Downloads: atomic, resumed after an interruption, and verified by SHA-256."""

import hashlib
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

import torch

from archzoo.errors import WeightsError
from archzoo.files import write_text

TRIES = 3
CHUNK = 1 << 20  # bytes
TIMEOUT = 30  # seconds


def cached_file(url: str, name: str, digest: str = "", directory: Path | None = None) -> Path:
    """The path of a file in torch.hub's cache, or in ``directory``, after downloading it if it is not there.

    ``digest`` is the SHA-256 of the file in hexadecimal, or its first digits. The complete SHA-256 is stored beside the
    file, and the file is checked against both on every call. An interrupted download stays as ``.part`` and is resumed.

    Raises WeightsError if the file cannot be downloaded, with its URL and where to put it, or if its SHA-256 differs.
    """
    directory = directory or Path(torch.hub.get_dir()) / "checkpoints"
    path = directory / name
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _download(url, path, digest)
    _check(path, digest)
    return path


def _download(url: str, path: Path, digest: str) -> None:
    partial = path.with_name(f"{path.name}.part")
    for attempt in range(TRIES):
        try:
            _resume(url, partial)
            break
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the partial file is longer than the file
                partial.unlink(missing_ok=True)
            if error.code in (403, 404) or attempt == TRIES - 1:
                raise WeightsError(_advice(url, path, f"{error.code} {error.reason}")) from error
        except OSError as error:
            if attempt == TRIES - 1:
                raise WeightsError(_advice(url, path, str(getattr(error, "reason", error)))) from error
        time.sleep(0.2 * 2**attempt)
    actual = sha256(partial)
    if not actual.startswith(digest):
        partial.unlink()
        raise WeightsError(f"{url} is not the expected file: its SHA-256 begins with {actual[:16]}, not {digest}")
    write_text(_digest_path(path), actual)
    os.replace(partial, path)


def _resume(url: str, partial: Path) -> None:
    size = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        resumed = getattr(response, "status", 200) == 206
        length = response.headers.get("Content-Length")
        expected = (size if resumed else 0) + int(length) if length else None
        with partial.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    if expected is not None and partial.stat().st_size != expected:
        raise OSError(f"the connection ended after {partial.stat().st_size:,} of {expected:,} bytes")


def _advice(url: str, path: Path, reason: str) -> str:
    return f"could not download {path.name} ({reason}): get {url} and put it at {path}"


def _check(path: Path, digest: str) -> None:
    """Raise WeightsError unless the SHA-256 of a file is the stored one and begins with the published one."""
    stored = _digest_path(path).read_text(encoding="utf-8").strip() if _digest_path(path).exists() else ""
    if not stored and not digest:
        return
    actual = sha256(path)
    if not actual.startswith(digest) or (stored and actual != stored):
        raise WeightsError(
            f"{path} is not the published file: its SHA-256 begins with {actual[:16]}, "
            f"not {(stored or digest)[:16]}; delete it to download it again"
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
