"""Where a command writes: a file, a device, or standard output."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from archzoo.cli._arguments import log
from archzoo.errors import OutputError
from archzoo.files import check_writable, is_stream, write_bytes, write_text

STDOUT = Path("-")


def check_output(output: Path | None) -> None:
    """Raise OutputError, before any work, where a file cannot be written."""
    if output is not None and output != STDOUT:
        check_writable(output)


def check_regular(file: Path) -> None:
    """Raise OutputError as ``check_output`` does, and for a FIFO or a device, where a file was not asked for."""
    check_writable(file)
    if is_stream(file):
        raise OutputError(f"{file} is no regular file: remove it, or choose another folder with --output")


def write(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file. Raises OutputError if it cannot be written."""
    if output is None or output == STDOUT:
        print(text, end="")
        return
    _write(partial(write_text, output, text), output)


def write_binary(content: bytes, output: Path) -> None:
    """Write bytes to a file. Raises OutputError if it cannot be written."""
    _write(partial(write_bytes, output, content), output)


def _write(write_file: Callable[[], None], output: Path) -> None:
    try:
        write_file()
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}") from error
    log(f"wrote {output}")
