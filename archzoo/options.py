"""The options of a constructor: read from its signature, checked, and described. Imports no torch."""

import difflib
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from archzoo.errors import RegistrationError

REQUIRED = ("in_channels", "num_classes")
LONGEST = 80  # characters of a value that an error quotes


def signature_of(constructor: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a constructor by name, with their types as annotations.

    Raises RegistrationError for ``*args`` or ``**kwargs``, for an option without a type or a default, for a type that
    cannot be read, and where ``in_channels`` or ``num_classes`` is missing.
    """
    name = getattr(constructor, "__name__", type(constructor).__name__)
    options: dict[str, inspect.Parameter] = {}
    try:
        hints, parameters = typing.get_type_hints(constructor), inspect.signature(constructor).parameters
    except Exception as error:  # an annotation may name anything
        reason = f"{type(error).__name__}: {in_a_line(error)}"
        raise RegistrationError(f"{name}: the types of its options cannot be read: {reason}") from error
    for option, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise RegistrationError(f"{name}: *{option} hides the options; spell them out")
        if option not in hints or parameter.default is parameter.empty:
            raise RegistrationError(f"{name}: option {option!r} needs a type and a published default")
        options[option] = parameter.replace(annotation=hints[option])
    for required in REQUIRED:
        if required not in options:
            raise RegistrationError(f"{name}: every network takes {required}")
    return options


def hint(name: str, known: Mapping[str, Any]) -> str:
    """``: did you mean 'depth'?``, or nothing where no known name is near."""
    near = difflib.get_close_matches(name[:LONGEST], known, n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else ""


def plain_value(value: Any) -> Any:
    """An option's value in Python's own types: a number of numpy as an int or a float, a list as a tuple."""
    if isinstance(value, list | tuple):
        return tuple(map(plain_value, value))
    if type(value) in (bool, int, float):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def numbers_in(value: Any) -> list[float]:
    """The numbers in an option's value: itself, or those in a tuple. A bool is no number."""
    if isinstance(value, tuple | list):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def is_of_type(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type. An integer is a float, a bool is no number, nor is NaN or infinity."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return any(type(member) is type(value) and member == value for member in inner)
    if origin in (typing.Union, types.UnionType):
        return any(is_of_type(value, member) for member in inner)
    if origin is tuple:
        if not isinstance(value, tuple | list):
            return False
        members = inner[:1] * len(value) if inner[-1] is ... else inner
        return len(members) == len(value) and all(map(is_of_type, value, members))
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool) and _is_finite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return kind is Any or isinstance(value, kind)


def _is_finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def shown(value: Any) -> str:
    """A value as an error quotes it: on one line, and cut off where it is long."""
    try:
        text = repr(value)
    except Exception:  # an integer of thousands of digits, or a class whose own repr fails
        return f"<{type(value).__name__} that cannot be printed>"
    return _cut(text)


def in_a_line(error: BaseException) -> str:
    """The first line of an error's message, without control characters, and cut off where it is long."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        return "an error that cannot be printed"
    return _cut("".join(char if char.isprintable() else "?" for char in lines[0]), 300) if lines else "no message"


def _cut(text: str, longest: int = LONGEST) -> str:
    text = text if text.isprintable() else " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def describe_type(kind: Any) -> str:
    """A type in words: "an integer", "'A' or 'B'"."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(map(repr, inner))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(describe_type, inner))
    if origin is tuple:
        count = "" if inner[-1] is ... else f"{len(inner)} "
        return f"a tuple of {count}{describe_type(inner[0]).removeprefix('an ').removeprefix('a ')}s"
    plain = {int: "an integer", float: "a number", bool: "True or False", str: "a string", type(None): "None"}
    return plain.get(kind, str(kind))
