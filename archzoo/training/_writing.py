"""Files of a run that cannot be written: an error that names the file, and says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archzoo.errors import TrainingError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def writing(target: Path, error_type: type[TrainingError] = TrainingError, last: str = "") -> Iterator[None]:
    """Raise ``error_type`` where writing ``target`` in the block fails. ``last`` is added to its message."""
    try:
        yield
    except OSError as error:
        raise error_type(f"could not write {target}: {why(error)}{last}") from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":  # what safetensors makes of an OSError
            raise
        raise error_type(f"could not write {target}: {error}; rerun the command to resume{last}") from error


def why(error: OSError) -> str:
    """What the system says, and what to do about it."""
    if error.errno in FULL:
        advice = "make room there, and rerun the command to resume"
    elif error.errno in READ_ONLY:
        advice = "make it writable, or choose another directory"
    elif error.errno == errno.ENOENT:
        advice = "its folder was removed: start over, or move it back and rerun the command to resume"
    else:
        advice = "rerun the command to resume"
    return f"{error.strerror or error}: {advice}"
