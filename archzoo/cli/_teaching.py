"""Commands for courses: worksheets."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from archzoo.cli._arguments import Name, Options, build_target, read_sizes
from archzoo.cli._output import check_output, write
from archzoo.errors import ArchzooError


class SheetFormat(str, Enum):
    """Output formats of a worksheet."""

    markdown = "markdown"
    latex = "latex"
    csv = "csv"


def worksheet(
    name: Name,
    options: Options = None,
    *,
    blank: Annotated[bool, typer.Option("--blank", help="With sizes and counts to fill in.")] = False,
    key: Annotated[bool, typer.Option("--key", help="With sizes and counts, and how they are computed.")] = False,
    size: Annotated[str, typer.Option("--input", help="Input size, such as 3x224x224; the paper's by default.")] = "",
    form: Annotated[SheetFormat, typer.Option("--format", help="Output format.")] = SheetFormat.markdown,
    output: Annotated[Path | None, typer.Option(help="A file; standard output by default.")] = None,
) -> None:
    """Write a table of a network's layers for students: sizes, parameters and multiply-adds to fill in, or the key."""
    if blank == key:
        raise ArchzooError("choose one of --blank and --key")
    check_output(output)
    net, usual = build_target(name, options or [])
    from archzoo import profiler
    from archzoo.report import tables

    counted = profiler.profile(net, read_sizes(size, usual))
    counted.model = name
    write(tables.write_worksheet(net, counted, form.value, key=key), output)
