"""The command line: one function a verb, each a call or two of the library.

Tables go to stdout, everything else to stderr. Exit codes: 0 fine, 1 a claim is not met, 2 the request is wrong.
"""

import ast
import os
import sys
import warnings
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin

import typer
from rich.console import Console

from archzoo import ArchzooError, BadOption, Entry, find, registry
from archzoo import names as registered

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)


class Format(str, Enum):
    """What a report is written in."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


def known_names() -> Iterator[str]:
    """The registered names of archzoo's own files, read from their text: completion is too fast for an import."""
    for file in sorted(Path(__file__).with_name("models").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(_calls(one, "register") for one in node.decorator_list):
                yield node.name
            elif isinstance(node, ast.Call) and _calls(node, "preset") and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def _calls(node: ast.expr, function: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function


def complete_name(incomplete: str) -> list[str]:
    """The names that begin so."""
    return [name for name in known_names() if name.startswith(incomplete.lower().replace("-", "_"))]


Name = Annotated[
    str, typer.Argument(help="A network, in any spelling: densenet_bc, VGG16.", autocompletion=complete_name)
]
Pattern = Annotated[str, typer.Argument(help="A shell pattern: 'resnet*'.", autocompletion=complete_name)]


@app.callback()
def archzoo() -> None:
    """The classic convolutional networks, each exactly as its paper describes it, counted and audited."""


@app.command()
def names(pattern: Pattern = "*") -> None:
    """List the networks, oldest paper first."""
    found = registered(pattern)
    if not found:
        raise ArchzooError(f"no network is called {pattern!r}; 'archzoo names' lists all")
    print("\n".join(found))


@app.command()
def show(name: Name) -> None:
    """Tell a network's paper, its options, and what is printed about it. Nothing is built."""
    entry = find(name)
    out = console()
    out.print(f"[bold]{entry.name}[/]  {'x'.join(map(str, entry.input_size))}", highlight=False)
    lines = [entry.summary, "", entry.paper.title, f"{entry.paper.authors}, {entry.paper.year}", entry.paper.link]
    lines += ["", "options:", *(f"  {line}" for line in _options(entry))]
    claims = [f"  {claim}  [{paper.title}]" for paper, _, claim in registry.published(entry.name)]
    out.print("\n".join([*lines, "", "printed:", *(claims or ["  nothing"])]), markup=False, highlight=False)


def _options(entry: Entry) -> Iterator[str]:
    for option, default in entry.options.items():
        fixed = "  (fixed: it makes this net what its name says)" if option in entry.fixed else ""
        yield f"{option} = {default!r}  {registry.spell_type(entry.types[option])}{fixed}"


@app.command()
def profile(
    name: Name,
    options: Annotated[list[str] | None, typer.Argument(help="Options of the network, as key=value.")] = None,
    *,
    size: Annotated[str, typer.Option("--input", help="Input, such as 3x224x224; the paper's by default.")] = "",
    depth: Annotated[int | None, typer.Option(min=0, help="Levels of nested parts to show; all by default.")] = None,
    summary: Annotated[bool, typer.Option("--summary", help="torchinfo's familiar summary instead.")] = False,
) -> None:
    """Count a network's parameters and multiply-adds, part by part."""
    import archzoo as zoo

    entry = find(name)
    net = zoo.build(entry.name, device="meta", **read_options(entry, options or []))
    shape = read_size(size) if size else entry.input_size
    if summary:
        from torchinfo import summary as torchinfos

        print(torchinfos(net, (1, *shape), device="meta", depth=depth or 3, verbose=0))
        return
    from archzoo.report.tables import profile_table

    counted = zoo.profile(net, shape)
    console().print(profile_table(counted, depth))
    for operator, times in counted.unknown.items():
        log(f"not counted: {operator}, {times} times; the multiply-adds are a lower bound")


@app.command()
def audit(
    pattern: Pattern = "*",
    *,
    form: Annotated[Format, typer.Option("--format", help="How to print the verdicts.")] = Format.table,
    unaudited: Annotated[bool, typer.Option("--unaudited", help="List what no count can speak of, instead.")] = False,
) -> None:
    """Hold every number that the papers print against what is built. Exits with 1 if one is not met."""
    if unaudited:
        for paper, item in registry.not_audited():
            print(f"{paper.title}, {item.where}: {item.printed}: {item.why}")
        return
    from archzoo.auditor import audit as hold
    from archzoo.report import tables

    findings = hold(pattern)
    if form is Format.table:
        console().print(tables.audit_table(findings))
        rest = len(registry.not_audited())
        print(f"\n{tables.summary(findings)}. {rest} printed statements are not audited: archzoo audit --unaudited")
    else:
        print(tables.write(findings, form.value), end="")
    if any(finding.verdict == "mismatch" for finding in findings):
        raise typer.Exit(1)


def read_options(entry: Entry, given: list[str]) -> dict[str, Any]:
    """Options as the command line has them, key=value, read as the network's signature types them."""
    read: dict[str, Any] = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise BadOption(f"{item!r} is no option: write key=value, such as num_classes=10")
        read[name] = read_value(entry.types.get(name, str), text)
    return read


def read_value(kind: Any, text: str) -> Any:
    """A text as a value of this type, or the text itself where it is none: the network's own check then refuses it."""
    for one in get_args(kind) if get_origin(kind) is not tuple and get_origin(kind) is not Literal else (kind,):
        if one is type(None) and text in ("None", "none"):
            return None
        try:
            if get_origin(one) is tuple:
                inside = get_args(one)[0]
                return tuple(inside(part) for part in text.strip("()").split(",") if part.strip())
            if get_origin(one) is Literal:
                return next(value for value in get_args(one) if str(value) == text)
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
    if len(sides) != 3 or min(sides) < 1:
        raise ArchzooError(f"--input must be channels x height x width, such as 3x224x224, not {text!r}")
    return sides


def console() -> Console:
    """Where tables go: as wide as they are, unless a person reads them."""
    return Console(width=None if sys.stdout.isatty() else 1000, soft_wrap=not sys.stdout.isatty())


def log(message: str) -> None:
    """One line for people, beside the output."""
    print(f"archzoo: {message}", file=sys.stderr)


def main() -> NoReturn:
    """Run the command line."""
    warnings.showwarning = lambda message, *_, **__: log(str(message).removeprefix("archzoo: "))
    try:
        app()
    except ValueError as error:  # an ArchzooError, a ProfileError, or a refusal of the network itself
        log(" ".join(str(error).split()))
        sys.exit(2)
    except BrokenPipeError:  # the reader has seen enough: archzoo audit | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
