"""Verbs whose output is for looking at, or for pasting into a page."""

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from archzoo import ArchzooError
from archzoo.cli.arguments import Options, Pattern, build_target, log, read_sizes
from archzoo.cli.costs import Size, Target


def diagram(
    target: Target,
    options: Options = None,
    *,
    size: Size = "",
    depth: Annotated[int, typer.Option(min=0, help="Levels of nested parts to open; 0 opens all.")] = 2,
    unfolded: Annotated[bool, typer.Option("--unfolded", help="Draw equal parts one by one.")] = False,
    output: Annotated[Path | None, typer.Option(help="A file; stdout by default.")] = None,
) -> None:
    """Draw a network as its paper would, as SVG: parts by their names, branches and joins, map sizes."""
    net, usual = build_target(target, options or [])
    given = read_sizes(size, usual)
    if not isinstance(given, tuple):
        raise ArchzooError(f"a diagram is of a network with one input, not {size!r}")
    from archzoo.report.diagram import diagram as draw

    write(draw(net, given, depth=depth or None, title=target, fold=not unfolded), output)


class Printed(str, Enum):
    """What the audit is written in."""

    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


def report(
    pattern: Pattern = "*",
    *,
    form: Annotated[Printed, typer.Option("--format", help="How to write the verdicts.")] = Printed.markdown,
    html: Annotated[Path | None, typer.Option("--html", help="A page with everything about the networks.")] = None,
    output: Annotated[Path | None, typer.Option(help="A file for the verdicts; stdout by default.")] = None,
) -> None:
    """Write the audit as a table to paste, or all networks as one page of HTML that needs no network."""
    if html is not None:
        from archzoo.report.page import page

        write(page(pattern), html)
        return
    from archzoo.auditor import audit
    from archzoo.report import tables

    write(tables.write(audit(pattern), form.value), output)


def write(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file, whole or not at all. Raises ArchzooError where that cannot be."""
    if output is None:
        print(text, end="")
        return
    partial = output.with_name(f"{output.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, output)
    except OSError as error:
        raise ArchzooError(f"{output} cannot be written: {error.strerror}") from error
    log(f"wrote {output}")
