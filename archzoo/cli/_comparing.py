"""The command that tells whether two networks are the same function."""

import json
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import archzoo
from archzoo.cli._arguments import call_target, log, read_options, read_size

if TYPE_CHECKING:
    from archzoo.comparison import Network

Side = Annotated[
    str,
    typer.Argument(
        help="A network, with options after commas: resnet18,option=B; file.py:Net or module:callable, whose code "
        "runs; or a checkpoint: one that says what it is, or can be only one network here, or an ONNX model."
    ),
]


class SameFormat(str, Enum):
    """Output formats of a comparison."""

    text = "text"
    json = "json"


def same(
    first: Side,
    second: Side,
    *,
    size: Annotated[str, typer.Option("--input", help="Input size, such as 3x224x224; the paper's by default.")] = "",
    form: Annotated[SameFormat, typer.Option("--format", help="Output format.")] = SameFormat.text,
) -> None:
    """Tell whether two networks are the same function: for any weights, in any order of channels. Exits with 1 if not.

    They are compared by what they compute, whatever their code and their names look like.
    """
    from archzoo.comparison import same_networks

    sizes = [read_size(part) for part in size.split(",")] if size else None
    comparison = same_networks(_read(first), _read(second), sizes)
    print(json.dumps(comparison.as_dict(), indent=1) if form is SameFormat.json else comparison)
    if not comparison.equal:
        raise typer.Exit(1)


def _read(text: str) -> "Network":
    from archzoo.comparison import Network, of_entry, read
    from archzoo.weights import is_path

    path, _, name = text.rpartition(":")
    if path.endswith(".py"):
        log(f"runs the code of {path}, and {name}()")
        return read(text)
    known, *options = text.split(",")
    if text.endswith(".py") or os.path.isfile(text) or is_path(known):
        return read(Path(text))
    if path and "=" not in text:
        log(f"runs the code of {path}, and {name}()")
        return Network(call_target(text, []), text)
    weights = [option.partition("=")[2] for option in options if option.startswith("weights=")]
    entry = archzoo.find(known)
    given = read_options(entry, [option for option in options if not option.startswith("weights=")])
    return of_entry(entry, given, text, weights[-1] if weights else None)
