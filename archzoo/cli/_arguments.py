"""What the commands take: names with completion, options as key=value, input sizes; and where output goes."""

import ast
import importlib
import inspect
import os
import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from archzoo import Entry, find, names
from archzoo.errors import ArchzooError, BadOption
from archzoo.escaping import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from torch import nn


class Format(str, Enum):
    """Output formats."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


def complete_name(incomplete: str) -> list[str]:
    """The names that start with this text."""
    return [name for name in names() if name.startswith(incomplete.lower().replace("-", "_"))]


Name = Annotated[
    str, typer.Argument(help="A network, in any spelling: densenet_bc, VGG16.", autocompletion=complete_name)
]
Pattern = Annotated[str, typer.Argument(help="A shell pattern: 'resnet*'.", autocompletion=complete_name)]
Options = Annotated[list[str] | None, typer.Argument(help="Options of the network, as key=value.")]
RecipeValues = Annotated[list[str] | None, typer.Argument(help="Values of the recipe to change, as key=value.")]
Changes = Annotated[
    list[str] | None, typer.Argument(help="Options of the network, or values of the recipe to change, as key=value.")
]


def read_options(entry: Entry, given: list[str]) -> dict[str, Any]:
    """Options written as key=value, read as the types in the network's signature."""
    read: dict[str, Any] = {}
    for item in given:
        name, text = split_option(item)
        read[name] = read_value(entry.types.get(name, str), text)
    return read


def split_option(item: str) -> tuple[str, str]:
    """The two halves of key=value. Raises BadOption for anything else."""
    name, equals, text = item.partition("=")
    if not equals or not name:
        raise BadOption(f"{item!r} is not an option: write key=value, such as num_classes=10")
    return name, text


def read_value(kind: Any, text: str) -> Any:
    """A text as a value of this type; the text itself where it is not one, which the network's own check refuses."""
    for member in get_args(kind) if get_origin(kind) is not tuple and get_origin(kind) is not Literal else (kind,):
        if member is type(None) and text in ("None", "none"):
            return None
        try:
            if get_origin(member) is tuple:
                item = get_args(member)[0]
                return tuple(item(part) for part in text.strip("()").split(",") if part.strip())
            if get_origin(member) is Literal:
                return next(value for value in get_args(member) if str(value) == text)
            if member in (int, float):
                return member(text)
        except (ValueError, StopIteration):
            continue
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return text
    return text


def read_size(text: str) -> tuple[int, ...]:
    """An input size such as 3x224x224. Raises ArchzooError for anything else."""
    try:
        sides = tuple(int(side) for side in text.lower().split("x"))
    except ValueError:
        sides = ()
    if not sides or min(sides) < 1:
        raise ArchzooError(f"--input must be channels x height x width, such as 3x224x224, not {text!r}")
    return sides


def read_sizes(text: str, usual: tuple[int, ...] | None) -> Any:
    """One input size, or several separated by commas (3x224x224,10); the paper's where none is given.

    Raises ArchzooError where there is none, and for a network of ours anything but one image.
    """
    if not text and usual is None:
        raise ArchzooError("no paper gives the input size: add one, such as --input 3x224x224")
    sizes = [read_size(size) for size in text.split(",")] if text else [usual]
    if usual is not None and [len(size or ()) for size in sizes] != [3]:
        raise ArchzooError(f"--input must be channels x height x width, such as 3x224x224, not {text!r}")
    return sizes[0] if len(sizes) == 1 else sizes


def build_target(target: str, options: list[str]) -> "tuple[nn.Module, tuple[int, ...] | None]":
    """A network by name, or what ``module:callable`` returns, on the meta device; and the input of its paper."""
    import torch

    import archzoo

    if ":" in target:
        with torch.device("meta"):
            return call_target(target, options), None
    entry = find(target)
    return archzoo.build(entry.name, device="meta", **read_options(entry, options)), entry.input_size


def call_target(target: str, options: list[str]) -> "nn.Module":
    """What ``module:callable`` returns for these options, which are read as Python literals where possible.

    Raises ArchzooError where there is no such module or callable, or it returns something else.
    """
    from torch import nn

    where, _, name = target.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        target_object = getattr(importlib.import_module(where), name)
    except (ImportError, AttributeError) as error:
        raise ArchzooError(f"{target}: {error}; write it as package.module:callable") from error
    finally:
        sys.path.pop(0)
    if not callable(target_object):
        raise ArchzooError(f"{target} is a {type(target_object).__name__}, not a function or torch.nn.Module")
    given = dict(map(_literal, options))
    try:
        net = target_object if isinstance(target_object, nn.Module) else target_object(**given)
    except TypeError as error:
        raise ArchzooError(f"{target}{inspect.signature(target_object)}: {error}") from error
    if not isinstance(net, nn.Module):
        raise ArchzooError(f"{target} returns a {type(net).__name__}, not a torch.nn.Module")
    return net


def _literal(item: str) -> tuple[str, Any]:
    name, text = split_option(item)
    try:
        return name, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return name, text


def console() -> "Console":
    """The console for tables. They are cut to the width of a terminal, and never when piped."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 1000, soft_wrap=not sys.stdout.isatty())


def print_table(table: "Table") -> None:
    """Print a table, cut to the width of a terminal; when piped, in full and without spaces at the ends of lines."""
    if sys.stdout.isatty():
        console().print(table)
        return
    from archzoo.report.tables import as_plain_text

    print(as_plain_text(table), end="")


def show(text: str, end: str = "\n") -> None:
    """Print a text to stdout, without the control characters that a module's name or a plugin's text may have."""
    print(printable(text), end=end)


def log(message: str) -> None:
    """Print one line to stderr."""
    print(f"archzoo: {one_line(message)}", file=sys.stderr)
