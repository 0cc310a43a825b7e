"""Pickles of arrays, numbers and text in dicts and lists, read without running any code of theirs.

The Python version of CIFAR has these. Python's own table of instructions splits the file; those that such data need are
carried out here, and any other is refused. Nothing that a pickle names is imported or called.
"""

import pickletools
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy

from archzoo.errors import DataError


@dataclass
class Kind:
    """A ``numpy.dtype`` of integers."""

    code: str
    order: str = "="

    @property
    def dtype(self) -> Any:
        """The type itself. Raises DataError for all others."""
        integer = re.fullmatch(r"[<>=|]?([ui][1248])", self.code)
        if integer is None:
            raise DataError(f"it has an array of type {self.code!r}, not of integers")
        return numpy.dtype(f"{self.order if self.order in ('<', '>') else '='}{integer[1]}")


@dataclass
class Array:
    """A ``numpy.ndarray``: without values until the pickle gives them."""

    values: Any = None


@dataclass(frozen=True)
class Name:
    """What a pickle names: a module and something in it."""

    full: str


MARK = object()
MOST_DIMENSIONS = 8
CORES = ("numpy.core", "numpy._core")
RECONSTRUCT = {f"{core}.multiarray._reconstruct" for core in CORES}
FROM_BUFFER = {f"{core}.numeric._frombuffer" for core in CORES}
KNOWN = {"numpy.ndarray", "numpy.dtype", "_codecs.encode", *RECONSTRUCT, *FROM_BUFFER}


def _array(data: Any, kind: Any, shape: Any, order: str) -> Array:
    """An array from its bytes, whose number is compared with the shape first."""
    raw = data.encode("latin1") if isinstance(data, str) else data
    sides = shape if isinstance(shape, tuple) else (shape,)
    if not isinstance(kind, Kind) or not isinstance(raw, bytes | bytearray):
        raise DataError("it has an array of objects")
    is_shape = len(sides) <= MOST_DIMENSIONS and all(type(side) is int and 0 <= side <= len(raw) for side in sides)
    if not is_shape or prod(sides) * kind.dtype.itemsize != len(raw):
        raise DataError(f"it has an array of {len(raw):,} bytes, which cannot have its shape")
    return Array(numpy.frombuffer(raw, kind.dtype).reshape(sides, order="F" if order == "F" else "C"))


def _call(function: Any, arguments: Any) -> Any:
    """What a known function would return."""
    name = function.full if isinstance(function, Name) else ""
    if name in RECONSTRUCT:
        return Array()
    if name in FROM_BUFFER:
        return _array(*arguments)
    if name == "numpy.dtype":
        return Kind(str(arguments[0]))
    if name == "_codecs.encode" and arguments[1] == "latin1":  # bytes in the way of protocol 2
        return arguments[0].encode("latin1")
    raise DataError(f"it calls {name or 'something that has no name'}")


class _Machine:
    """The stack and the memory of a pickle, and its instructions."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_mark(self) -> list[Any]:
        """All values above the last mark."""
        at = next(at for at in reversed(range(len(self.stack))) if self.stack[at] is MARK)
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def pop_tuple(self, count: int) -> None:
        values = tuple(self.stack[-count:])
        if len(values) < count:
            raise DataError("its stack is empty")
        self.stack[-count:] = [values]

    def name(self, module: Any, name: Any) -> None:
        full = f"{module}.{name}"
        if full not in KNOWN:
            raise DataError(f"it names {full}, which is no array")
        self.push(Name(full))

    def reduce(self) -> None:
        arguments = self.stack.pop()
        self.push(_call(self.stack.pop(), arguments))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Array):
            _, shape, kind, is_fortran, data = state
            target.values = _array(data, kind, shape, "F" if is_fortran else "C").values
        elif isinstance(target, Kind):
            target.order = str(state[1])
        else:
            raise DataError(f"it changes a {type(target).__name__}")

    def extend(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def update(self, values: list[Any]) -> None:
        if not all(isinstance(key, str | bytes) for key in values[::2]):
            raise DataError("it has a dict whose keys are no text")  # Python ends where it hashes a deep tuple
        self._top(dict).update(zip(values[::2], values[1::2], strict=True))

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise DataError(f"it adds to a {type(self.stack[-1]).__name__}")
        return self.stack[-1]


def _set_item(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.update([key, value])


def _stack_name(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.name(module, name)


PUSHED = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINSTRING", "BINSTRING", "BINUNICODE"),
    *("SHORT_BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
INSTRUCTIONS: Mapping[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, argument: None),
    **dict.fromkeys(PUSHED, lambda machine, argument: machine.push(argument)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, at: machine.push(machine.memo[at])),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda machine, at: machine.memo.update({at: machine.stack[-1]})),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.push(MARK),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: machine.pop_tuple(1),
    "TUPLE2": lambda machine, _: machine.pop_tuple(2),
    "TUPLE3": lambda machine, _: machine.pop_tuple(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_mark()),
    "SETITEM": lambda machine, _: _set_item(machine),
    "SETITEMS": lambda machine, _: machine.update(machine.pop_mark()),
    "GLOBAL": lambda machine, name: machine.name(*name.split(" ")),
    "STACK_GLOBAL": lambda machine, _: _stack_name(machine),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}


def _run(data: bytes | bytearray) -> list[Any]:
    """The stack at the end of a pickle."""
    machine = _Machine()
    for instruction, argument, _ in pickletools.genops(bytes(data)):
        if instruction.name not in INSTRUCTIONS:
            raise DataError(f"it has the instruction {instruction.name}, which no array needs")
        INSTRUCTIONS[instruction.name](machine, argument)
    return machine.stack


def read_arrays(data: bytes | bytearray, where: str) -> dict[str, Any]:
    """The dict of a pickle, with arrays of integers as ``numpy.ndarray``; its keys are text.

    Raises DataError, which begins with ``where``, for a pickle that holds or names anything else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escape sequences, which a file that is no pickle may have
            (content,) = _run(data)
        if not isinstance(content, dict):
            raise DataError(f"it holds a {type(content).__name__}, not a dict")
        return {_text(key): value.values if isinstance(value, Array) else value for key, value in content.items()}
    except DataError as refused:
        raise DataError(f"{where} is not read: {refused}") from refused
    except Exception as error:  # a pickle can be malformed in any way
        raise DataError(f"{where} is corrupt or no pickle ({error or type(error).__name__})") from error


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
