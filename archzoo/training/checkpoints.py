"""Checkpoints that are whole or not there: written beside their place, synced, renamed; their digest is their name."""

import hashlib
import os
import re
import warnings
from pathlib import Path
from typing import Any

import torch

from archzoo.errors import CheckpointError

KEPT = 2  # the last one, and one to fall back to
NAME = re.compile(r"checkpoint-(\d{9})-([0-9a-f]{16})\.pt")


class _Digesting:
    """A file that digests what is written to it, and remembers what went wrong: torch hides the reason."""

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


def write(folder: Path, iteration: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint, and delete all but it and the one before. Raises CheckpointError, with nothing half written.

    ``state`` has tensors and plain values only, since it is read as such.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".checkpoint-{iteration:09d}.part"
    try:
        with open(partial, "wb") as file:
            digesting: Any = _Digesting(file)
            try:
                torch.save(state, digesting)
            except Exception as error:
                raise digesting.error or error from error
            file.flush()
            os.fsync(file.fileno())
        target = folder / f"checkpoint-{iteration:09d}-{digesting.digest.hexdigest()[:16]}.pt"
        os.replace(partial, target)
        _sync(folder)
    except OSError as error:
        partial.unlink(missing_ok=True)
        kept = found(folder)
        last = f"the last good one is {kept[0]}" if kept else "there is none before it"
        raise CheckpointError(f"could not write a checkpoint to {folder}: {error.strerror}; {last}") from error
    for old in [path for path in found(folder) if path != target][KEPT - 1 :]:
        old.unlink(missing_ok=True)
    return target


def _sync(folder: Path) -> None:
    """A renamed file is safe once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the latest first."""
    paths = [path for path in folder.glob("checkpoint-*.pt") if NAME.fullmatch(path.name)]
    return sorted(paths, key=lambda path: (path.name, path.stat().st_mtime_ns), reverse=True)


def read_latest(folder: Path) -> dict[str, Any] | None:
    """The latest checkpoint that is whole, or None where there is none at all; a damaged one is named in a warning.

    Raises CheckpointError where there are some, and all are damaged: starting anew would hide that.
    """
    paths = found(folder)
    for path in paths:
        reason = _damage(path)
        if reason is None:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return state
        warnings.warn(f"archzoo: {path} is damaged ({reason}): going on from the one before", stacklevel=2)
    if paths:
        raise CheckpointError(f"all checkpoints in {folder} are damaged: delete them to begin anew")
    return None


def _damage(path: Path) -> str | None:
    named = NAME.fullmatch(path.name)
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        return error.strerror
    if named is None or digest.hexdigest()[:16] != named[2]:
        return "its bytes are not those that were written"
    return None
