"""How deep the values in a pickle are nested, found without building them.

Python's interpreter ends where it hashes a tuple of some hundred thousand levels, such as a name in a hostile file.
"""

import pickletools
import warnings
import zipfile
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO

from archzoo.errors import WeightsError

DEEPEST = 200  # levels; a checkpoint has about ten
LONGEST = 1_000_000  # instructions; a checkpoint has some thirty for each tensor
LONGEST_NAME = 1000  # characters of a class or function: torch's search in a longer one takes hours
PICKLES = 5  # in a file of torch before 1.6


def check_nesting(path: Path) -> None:
    """Raise WeightsError for a file with a pickle that is deeper or longer than any checkpoint. Ignores other files."""
    if zipfile.is_zipfile(path):
        with suppress(zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError, zlib.error):
            _check_members(path)
        return
    with path.open("rb") as file:
        for _ in range(PICKLES):
            if not _refuse_deep(file, path):
                return


def _check_members(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".pkl"):
                _refuse_deep(BytesIO(archive.read(name)), path)


def _refuse_deep(file: IO[bytes], path: Path) -> bool:
    """Whether a pickle was read to its end. Raises WeightsError if it is nested too deep."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escape sequences, which a file that is no pickle may have
            refused = _is_deep(file)
    except ValueError:  # no pickle: its reader says what is wrong
        return False
    if refused:
        raise WeightsError(
            f"{path} is not read: its values are nested deeper, or its names longer, than in any checkpoint"
        )
    return True


def _is_deep(file: IO[bytes]) -> bool:
    """Follow the instructions of a pickle, with the depth of each value in its place. ValueError if it is none."""
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[int, int] = {}
    for number, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        name = instruction.name
        if name == "MARK":
            marks.append(len(stack))
        elif "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if name == "MEMOIZE" else int(argument or 0)] = stack[-1] if stack else 0
        elif "GET" in name:
            stack.append(memo.get(int(argument or 0), 0))
        elif name == "DUP":
            stack.append(stack[-1] if stack else 0)
        else:
            taken = _take(stack, marks, instruction)
            if instruction.stack_after:
                stack.append(1 + max(taken, default=0))
            long_name = instruction.name in ("GLOBAL", "INST") and len(str(argument)) > LONGEST_NAME
            if long_name or number > LONGEST or (stack and stack[-1] > DEEPEST):
                return True
    return False


def _take(stack: list[int], marks: list[int], instruction: pickletools.OpcodeInfo) -> list[int]:
    """Take what an instruction takes from the stack."""
    if pickletools.stackslice in instruction.stack_before or pickletools.markobject in instruction.stack_before:
        start = marks.pop() if marks else 0
        start -= instruction.stack_before.index(pickletools.markobject)
    else:
        start = len(stack) - len(instruction.stack_before)
    start = max(start, 0)
    taken = stack[start:]
    del stack[start:]
    return taken
