"""What the commands take: names with completion, options as key=value, input sizes; and where output goes."""

import ast
import importlib
import importlib.util
import inspect
import os
import re
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from archzoo import Entry, find, names
from archzoo.errors import ArchzooError, BadOption
from archzoo.escaping import one_line, printable
from archzoo.processes import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from torch import nn


PAGE = 120  # columns of a table with sentences, where no terminal says how wide it is
TrainedAs = Annotated[
    str,
    typer.Option(help="The network's name again, for a file with the tensors of a published network that differs."),
]


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
        sides = tuple(int(side) for side in re.split("[x\N{MULTIPLICATION SIGN}*]", text.lower()))
    except ValueError:
        sides = ()
    if not sides or min(sides) < 1:
        raise ArchzooError(f"--input must be channels x height x width, such as 3x224x224, not {text!r}")
    return sides


def read_image_size(text: str, usual: tuple[int, ...]) -> tuple[int, ...]:
    """The size of one image: 3x224x224 or 3,224,224; 224x224, and 224 for a square, with the usual channels.

    Raises ArchzooError for anything else.
    """
    sides = read_size(re.sub(r"\s*,\s*", "x", text.strip().strip("()[]")))
    if len(sides) == 1:
        return (usual[0], *sides, *sides)
    if len(sides) == 4 and len(usual) == 3:
        image = "x".join(map(str, sides[1:]))
        raise ArchzooError(f"--input is the size of one image, {image}; --batch is their number")
    if len(sides) > 3 or (len(sides) == 2 and sides[0] in (1, usual[0])):
        raise ArchzooError(f"--input must be channels x height x width, such as 3x224x224, not {text!r}")
    return (usual[0], *sides) if len(sides) == 2 else sides


def read_sizes(text: str, usual: Any) -> Any:
    """One input size, or for a module of any library several separated by commas (3x224x224,10).

    The paper's where none is given. Raises ArchzooError where there is none, and for what is no size.
    """
    if usual is not None and not text:
        return usual
    if isinstance(usual, tuple) and len(usual) == 3:
        return read_image_size(text, usual)
    if not text:
        raise ArchzooError("no paper gives the input size: add one, such as --input 3x224x224")
    sizes = [read_size(size) for size in text.split(",")]
    return sizes[0] if len(sizes) == 1 else sizes


def build_target(target: str, options: list[str]) -> "tuple[nn.Module, Any]":
    """A network on the meta device, and the input of its paper with the channels that it takes, or of its file.

    It is given by name, as a weights file that says which it is, as a file of ONNX or torch.export, or as
    ``module:callable`` or ``file.py:callable`` that returns it.
    """
    import torch

    import archzoo

    if Path(target).suffix in (".onnx", ".pt2"):
        return _in_graph(target, options)
    if is_weights_file(target):
        target, options = _in_file(target, options)
    if ":" in target:
        with torch.device("meta"):
            return call_target(target, options), None
    entry = find(target)
    given = read_options(entry, options)
    net = archzoo.build(entry.name, device="meta", **given)
    return net, (given.get("in_channels", entry.options["in_channels"]), *entry.input_size[1:])


def is_weights_file(target: str) -> bool:
    """Whether an argument that may be a network's name is a file."""
    return Path(target).suffix in (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar") or os.path.isfile(target)


def _in_graph(path: str, options: list[str]) -> "tuple[nn.Module, Any]":
    """The network in a file of ONNX or torch.export, and its inputs."""
    from archzoo.profiler import read_program

    if options:
        raise BadOption(f"{path} is a network as it was exported: leave out {' '.join(options)}")
    program = read_program(path)
    return program.model, program.input_size


def _in_file(path: str, options: list[str]) -> tuple[str, list[str]]:
    """The name of the network in a weights file, and its options as key=value."""
    from archzoo.weights import check_describes, describe_file

    file = describe_file(path)
    check_describes(path, file)
    if options:
        raise BadOption(f"{path} says which options its network has: leave out {' '.join(options)}")
    return file.network, [f"{name}={value}" for name, value in file.options.items()]


def call_target(target: str, options: list[str]) -> "nn.Module":
    """What ``module:callable`` or ``file.py:callable`` returns for these options, read as literals where possible.

    Raises ArchzooError where there is no such module or callable, or it returns something else.
    """
    from torch import nn

    where, _, name = target.rpartition(":")
    try:
        target_object = getattr(_import(where), name)
    except (ImportError, AttributeError, OSError) as error:
        raise ArchzooError(f"{target}: {error}; write it as package.module:callable or file.py:callable") from error
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


def _import(where: str) -> ModuleType:
    """A module by its name, found from the current folder too, or a file of Python, whose folder is searched first."""
    path = Path(where)
    is_file = path.suffix == ".py"
    sys.path.insert(0, str(path.resolve().parent) if is_file else os.getcwd())
    try:
        if not is_file:
            return importlib.import_module(where)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.pop(0)


def _literal(item: str) -> tuple[str, Any]:
    name, text = split_option(item)
    try:
        return name, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return name, text


def console() -> "Console":
    """The console for text: as wide as a terminal, and never cut when piped."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 1000, soft_wrap=not sys.stdout.isatty())


def print_table(table: "Table", *, wraps: bool = False) -> None:
    """Print a table. What is wider than a terminal goes on in the next line: no digit is left out.

    With ``wraps``, cells of text are wrapped to the width of the terminal, or of a page where output is piped. Piped
    lines have no spaces at their ends.
    """
    from archzoo.report.tables import as_plain_text

    if not sys.stdout.isatty():
        print(as_plain_text(table, PAGE if wraps else None), end="")
        return
    out = console()
    natural = max(map(len, as_plain_text(table).splitlines()))
    if wraps or natural <= out.width:
        out.print(table)
    else:
        out.print(table, width=natural, crop=False, soft_wrap=True, no_wrap=True)


def show(text: str, end: str = "\n") -> None:
    """Print a text to stdout, without the control characters that a module's name or a plugin's text may have."""
    print(printable(text), end=end)


def log(message: str) -> None:
    """Print one line to stderr."""
    say(f"archzoo: {one_line(message)}")
