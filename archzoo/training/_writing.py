"""Files of a run that cannot be written: an error that names the file, and says what to do."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archzoo.errors import TrainingError, WeightsError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def writing(target: Path, error_type: type[TrainingError] = TrainingError, last: str = "") -> Iterator[None]:
    """Raise ``error_type`` where writing ``target`` in the block fails. ``last`` is added to its message."""
    try:
        yield
    except Exception as error:
        if (refused := _refusal(error)) is None:
            raise
        raise error_type(f"could not write {target}: {why(refused)}{last}") from error


def _refusal(error: BaseException) -> OSError | None:
    """What the system said, also where safetensors has it in its own error, and that in one of a weights file."""
    if isinstance(error, WeightsError) and error.__cause__ is not None:
        return _refusal(error.__cause__)
    if isinstance(error, OSError):
        return error
    if type(error).__name__ != "SafetensorError":
        return None
    number = int(match[1]) if (match := re.search(r"os error (\d+)", str(error))) else errno.EIO
    return OSError(number, os.strerror(number))


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
