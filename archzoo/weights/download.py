"""Files from the network: whole or not at all, and only if they are what they should be."""

import hashlib
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

import torch

from archzoo.errors import ArchzooError

TRIES = 3
CHUNK = 1 << 20


def cached(url: str, file: str, digest: str = "", folder: Path | None = None) -> Path:
    """The path of a file, downloaded into torch.hub's cache if it is not there.

    ``digest`` is the SHA-256 of the file or the beginning of it; the whole of it is noted beside the file when it first
    arrives, and checked whenever the file is asked for. What arrives in part stays as ``.part`` and is resumed. Raises
    ArchzooError where it cannot be had, naming the file and where to put it, or where it is another file.
    """
    folder = folder or Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _download(url, path, digest)
    _check(path, digest)
    return path


def _download(url: str, path: Path, digest: str) -> None:
    part = path.with_name(f"{path.name}.part")
    for attempt in range(TRIES):
        try:
            _resume(url, part)
            break
        except urllib.error.HTTPError as error:
            if error.code == 416:  # what is there already reaches beyond the file
                part.unlink(missing_ok=True)
            if error.code in (403, 404) or attempt == TRIES - 1:
                raise ArchzooError(_advice(url, path, f"{error.code} {error.reason}")) from error
        except OSError as error:
            if attempt == TRIES - 1:
                raise ArchzooError(_advice(url, path, str(getattr(error, "reason", error)))) from error
        time.sleep(0.2 * 2**attempt)
    found = sha256(part)
    if not found.startswith(digest):
        part.unlink()
        raise ArchzooError(f"{url} is another file than expected: its SHA-256 begins {found[:16]}, not {digest}")
    path.with_name(f"{path.name}.sha256").write_text(found, encoding="ascii")
    os.replace(part, path)


def _resume(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        resumed = getattr(answer, "status", 200) == 206
        length = answer.headers.get("Content-Length")
        expected = (have if resumed else 0) + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    if expected is not None and part.stat().st_size != expected:
        raise OSError(f"the connection ended after {part.stat().st_size:,} of {expected:,} bytes")


def _advice(url: str, path: Path, reason: str) -> str:
    return f"could not download {path.name} ({reason}): get {url} and put it at {path}"


def _check(path: Path, digest: str) -> None:
    """Raise ArchzooError unless a file is the one that was noted, and begins with the published digest."""
    note = path.with_name(f"{path.name}.sha256")
    known = note.read_text(encoding="ascii").strip() if note.exists() else ""
    if not known and not digest:
        return
    found = sha256(path)
    if not found.startswith(digest) or (known and found != known):
        raise ArchzooError(
            f"{path} is not the file that was published: its SHA-256 begins {found[:16]}, "
            f"not {(known or digest)[:16]}; delete it to have it downloaded again"
        )


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
