"""Checkpoints: written atomically, and checked against the digest in their name when they are read."""

import hashlib
import os
import re
import warnings
from pathlib import Path
from typing import Any

import torch

from archzoo.errors import CheckpointError

KEPT = 2  # the last checkpoint, and one to fall back to
NAME = re.compile(r"checkpoint-(\d{9})-([0-9a-f]{16})\.pt")


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
    run_dir.mkdir(parents=True, exist_ok=True)
    partial = run_dir / f".checkpoint-{iteration:09d}.part"
    try:
        with open(partial, "wb") as file:
            digesting: Any = _Digesting(file)
            try:
                torch.save(state, digesting)
            except Exception as error:
                raise digesting.error or error from error
            file.flush()
            os.fsync(file.fileno())
        target = run_dir / f"checkpoint-{iteration:09d}-{digesting.digest.hexdigest()[:16]}.pt"
        os.replace(partial, target)
        _sync(run_dir)
    except OSError as error:
        partial.unlink(missing_ok=True)
        kept = list_checkpoints(run_dir)
        last = f"the last good checkpoint is {kept[0]}" if kept else "there is no earlier checkpoint"
        raise CheckpointError(f"could not write a checkpoint to {run_dir}: {error.strerror}; {last}") from error
    for old in [path for path in list_checkpoints(run_dir) if path != target][KEPT - 1 :]:
        old.unlink(missing_ok=True)
    return target


def _sync(directory: Path) -> None:
    """A rename is on disk once the directory is synced."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def list_checkpoints(run_dir: Path) -> list[Path]:
    """The checkpoints of a run directory, the latest first."""
    paths = [path for path in run_dir.glob("checkpoint-*.pt") if NAME.fullmatch(path.name)]
    return sorted(paths, key=lambda path: (path.name, path.stat().st_mtime_ns), reverse=True)


def read_latest(run_dir: Path) -> dict[str, Any] | None:
    """The latest checkpoint that is not corrupt, or None if there are none. A corrupt one is named in a warning.

    Raises CheckpointError if there are some and all are corrupt: starting over would hide that.
    """
    paths = list_checkpoints(run_dir)
    for path in paths:
        reason = _corruption(path)
        if reason is None:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return state
        warnings.warn(f"archzoo: {path} is corrupt ({reason}): resuming from the checkpoint before it", stacklevel=2)
    if paths:
        raise CheckpointError(f"all checkpoints in {run_dir} are corrupt: delete them to start over")
    return None


def _corruption(path: Path) -> str | None:
    match = NAME.fullmatch(path.name)
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        return error.strerror
    if match is None or digest.hexdigest()[:16] != match[2]:
        return "its content does not match its digest"
    return None
