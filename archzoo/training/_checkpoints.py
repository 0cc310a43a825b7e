"""Checkpoints: written atomically, and checked against the digest in their name when they are read."""

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Any

import torch

from archzoo.errors import CheckpointError
from archzoo.training._writing import writing

KEPT = 2  # the last checkpoint, and one to fall back to
NAME = re.compile(r"checkpoint-(\d{9})-([0-9a-f]{16})\.pt")
LAST_ITERATION = 999_999_999  # that a name has room for


class _Digesting:
    """A file that digests what is written to it, and keeps the OSError that torch.save hides."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            self.file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        self.file.flush()


def write(run_dir: Path, iteration: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint atomically, and delete all but it and the one before. Raises CheckpointError if it cannot.

    ``state`` holds tensors and plain values only, as ``torch.load(weights_only=True)`` reads.
    """
    partial = run_dir / f".checkpoint-{iteration:09d}.{os.getpid()}-{secrets.token_hex(4)}.part"
    kept = list_checkpoints(run_dir)
    last = f"; the last good checkpoint is {kept[0]}" if kept else "; there is no earlier checkpoint"
    with writing(run_dir / f"checkpoint-{iteration:09d}", CheckpointError, last):
        try:
            digest = _write(partial, state)
            target = run_dir / f"checkpoint-{iteration:09d}-{digest}.pt"
            os.replace(partial, target)
            _sync(run_dir)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    for old in [path for path in list_checkpoints(run_dir) if path != target][KEPT - 1 :]:
        old.unlink(missing_ok=True)
    return target


def _write(partial: Path, state: dict[str, Any]) -> str:
    """Write a state to a new file, down to the disk, and return its digest."""
    with open(partial, "xb") as file:
        digesting: Any = _Digesting(file)
        try:
            torch.save(state, digesting)
        except Exception as error:
            raise digesting.error or error from error
        file.flush()
        os.fsync(file.fileno())
    digest: str = digesting.digest.hexdigest()[:16]
    return digest


def _sync(directory: Path) -> None:
    """A rename is on disk once the directory is synced."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def list_checkpoints(run_dir: Path) -> list[Path]:
    """The checkpoints of a run directory, the latest first. What is not a file, such as a FIFO, is none."""
    paths = [path for path in run_dir.glob("checkpoint-*.pt") if NAME.fullmatch(path.name) and path.is_file()]
    return sorted(paths, key=lambda path: (path.name[:20], _time(path)), reverse=True)


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # deleted since
        return 0


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds. Raises CheckpointError, with the reason alone, where it cannot be read."""
    match = NAME.fullmatch(path.name)
    try:
        digest = _digest(path)
    except OSError as error:
        raise CheckpointError(f"{error.strerror}") from error
    if match is None or digest != match[2]:
        raise CheckpointError("its content does not match its digest")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises nearly anything
        raise CheckpointError(f"it is no file of torch.save ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"it holds a {type(state).__name__}, not a dict")
    return state


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:16]
