"""Atomic file writes: a file is replaced as a whole, or stays as it was."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that replaces it once the block ends and the data is on disk.

    The path is this call's own, however many write ``target`` at once: the last one to end replaces it. If the block
    raises, ``target`` is unchanged and the temporary file is removed.
    """
    own = f"{os.getpid()}-{secrets.token_hex(4)}"
    partial = target.with_name(f".{target.stem}.{own}.part{target.suffix}")  # some choose the format by the suffix
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic_write(target) as partial:
        partial.write_text(text, encoding="utf-8")
