"""Processes that prepare batches: how they begin, and how their failures are said."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from archzoo.errors import ArchzooError, DataError
from archzoo.processes import end_with_parent, obey_parent_alone

DEAD = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)")


def begin_worker(number: int, parent: int) -> None:
    """End with the process that trains, even where it is killed, and not before it needs no more batches.

    ``parent`` is its id: it may have ended by now.
    """
    end_with_parent(parent)
    obey_parent_alone()


@contextmanager
def watched_workers() -> Iterator[None]:
    """Raise DataError where a worker was killed, and a worker's own error without its traceback."""
    try:
        yield
    except ArchzooError as error:
        name = f"{type(error).__name__}: "
        if str(error).startswith("Caught ") and name in str(error):
            raise type(error)(str(error).rpartition(name)[2].strip()) from error
        raise
    except RuntimeError as error:
        if (dead := DEAD.search(str(error))) is None:
            raise
        raise DataError(
            f"process {dead[1]}, which prepared images, was killed, perhaps as memory ran out: use fewer --workers, "
            f"and rerun the command to resume"
        ) from error
