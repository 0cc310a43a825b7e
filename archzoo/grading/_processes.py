"""Grading in a process of its own, within limits of time and memory. Imports no torch."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import archzoo
from archzoo.errors import ComparisonError
from archzoo.escaping import one_line
from archzoo.grading._grades import Check, Grade
from archzoo.registry import find

START = "import sys; del sys.path[0]; from archzoo.grading._worker import main; main()"
LARGEST = 1 << 20  # bytes of an answer, and of what a file prints
SHOWN = 300  # characters of the last line that a file prints


@dataclass(frozen=True)
class Limits:
    """What a file may take: ``seconds`` on the clock and ``gigabytes`` of memory. PyTorch itself takes about one."""

    seconds: float = 120
    gigabytes: float = 8


def grade(file: str | Path, attribute: str, name: str, limits: Limits | None = None, **options: Any) -> Grade:
    """What is right and what is not in a file that should define the paper's network ``name``.

    The code of the file runs with the rights of the caller, in a process that is killed at the limits, with all that
    it started. That stops mistakes; for code of strangers, run this in a container. A file that fails, or ends its
    process, gets a grade that says so.

    Args:
        file: A file of Python.
        attribute: A class or a function in it that makes a module without arguments, or the module.
        name: A registered network.
        limits: Of time and memory; two minutes and 8 GB by default.
        **options: Options of that network.

    Raises ComparisonError if there is no such file, UnknownName if no network has this name, and BadOption if an option
    does not exist or does not fit.
    """
    limits, path, entry = limits or Limits(), Path(file), find(name)
    if not os.path.isfile(path):
        raise ComparisonError(f"there is no file {path}")
    options = entry.checked(options) if options else {}
    token = secrets.token_hex(16)
    request = {"file": str(path.resolve()), "attribute": attribute, "name": entry.name, "options": options}
    answer, ended = _ask({**request, "token": token, "gigabytes": limits.gigabytes}, limits)
    if answer.startswith(token):
        with suppress(ValueError, KeyError, TypeError):
            return Grade.from_dict(json.loads(answer[len(token) :]))
    return Grade(entry.name, (Check(f"{path.name} runs", False, ended),))


def _ask(request: dict[str, Any], limits: Limits) -> tuple[str, str]:
    """What the process answers, and how it ended."""
    reading, writing = os.pipe()
    environment = {**os.environ, "PYTHONPATH": _import_path()}
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(writing)],
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            start_new_session=True,
            env=environment,
        )
        os.close(writing)
        answers: list[bytes] = []
        reader = threading.Thread(target=_read, args=(reading, answers), daemon=True)
        reader.start()
        try:
            process.communicate(json.dumps(request).encode(), limits.seconds)
            ended = _how(process.returncode, printed, limits)
        except subprocess.TimeoutExpired:
            ended = f"it took more than {limits.seconds:g} seconds, and was stopped"
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            reader.join(5)
    return b"".join(answers).decode(errors="replace"), ended


def _read(descriptor: int, answers: list[bytes]) -> None:
    size = 0
    with open(descriptor, "rb") as pipe:
        while (part := pipe.read(1 << 16)) and size <= LARGEST:
            answers.append(part)
            size += len(part)


def _import_path() -> str:
    """Where this package is, before the folders that the caller's environment names."""
    root = str(Path(archzoo.__file__).resolve().parents[1])
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))


def _how(code: int, printed: Any, limits: Limits) -> str:
    """What ended a process that gave no grade, and the last line that it printed."""
    printed.seek(0, os.SEEK_END)
    printed.seek(max(0, printed.tell() - LARGEST))
    lines = [line for line in printed.read().decode(errors="replace").splitlines() if line.strip()]
    last = f": {one_line(lines[-1], SHOWN)}" if lines else ""
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        return f"its process was killed by {name}, as where memory ends ({limits.gigabytes:g} GB are allowed){last}"
    return f"it ended its process, with code {code}, before it could be graded{last}"
