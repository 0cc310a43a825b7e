"""The process that runs a file and grades it: a request on standard input, the grade on a descriptor of its own."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from archzoo.errors import ArchzooError
from archzoo.grading._grades import Check, Grade


def main() -> None:
    """Read the request, grade, answer, and end at once: threads that a file started are not waited for."""
    descriptor, request = int(sys.argv[1]), json.loads(sys.stdin.read())
    sys.stdin = open(os.devnull)  # noqa: SIM115
    _limit(request["gigabytes"])
    answer = request["token"] + json.dumps(_grade(request).as_dict())
    with open(descriptor, "w") as pipe:
        pipe.write(answer)
    sys.stdout.flush()
    os._exit(0)


def _grade(request: dict[str, Any]) -> Grade:
    from archzoo.comparison import read
    from archzoo.grading._judging import grade_module

    path = Path(request["file"])
    try:
        module = read(f"{path}:{request['attribute']}").module
        return grade_module(module, request["name"], **request["options"])
    except (ArchzooError, MemoryError, RecursionError) as error:
        return _failed(request, str(error) or type(error).__name__)
    except SystemExit as error:
        return _failed(request, f"it raised SystemExit: {error}")


def _failed(request: dict[str, Any], text: str) -> Grade:
    text = text.replace(request["file"], Path(request["file"]).name)
    return Grade(request["name"], (Check(f"{Path(request['file']).name} runs", False, text),))


def _limit(gigabytes: float) -> None:
    """Bound the memory of this process, where the system can: what it maps and may write."""
    try:
        import resource
    except ImportError:  # Windows
        return
    size = int(gigabytes * 2**30)
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, hard = resource.getrlimit(kind)
    size = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(kind, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
