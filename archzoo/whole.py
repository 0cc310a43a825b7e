"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write to, which takes its place once all is on the disk.

    Where something is raised meanwhile, ``target`` stays as it was, and nothing is left beside it.
    """
    partial = target.with_name(f".{target.stem}.part{target.suffix}")  # writers may go by the suffix
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
