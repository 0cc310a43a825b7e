"""Commands for courses: worksheets, and grades of implementations."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

import archzoo
from archzoo.cli._arguments import Name, Options, build_target, log, read_options, read_sizes
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


class GradeFormat(str, Enum):
    """Output formats of a grade."""

    text = "text"
    gradescope = "gradescope"


def grade(
    file: Annotated[str, typer.Argument(help="FILE.py:Net, a file and the class or function in it. Its code runs.")],
    name: Name,
    options: Options = None,
    *,
    seconds: Annotated[float, typer.Option(min=1, help="The longest time that the file may take.")] = 120,
    gigabytes: Annotated[float, typer.Option(min=1, help="The memory that it may take.")] = 8,
    form: Annotated[GradeFormat, typer.Option("--format", help="Text, or a results.json of Gradescope.")] = (
        GradeFormat.text
    ),
    output: Annotated[Path | None, typer.Option(help="A file; standard output by default.")] = None,
) -> None:
    """Tell what is right and what is not in an implementation of a network. Exits with 1 unless all of it is right.

    The file runs in a process of its own, which is killed at the limits, with the rights of the caller.
    """
    path, colon, attribute = file.rpartition(":")
    if not colon or not path:
        raise ArchzooError(f"write the file and the class in it, as net.py:Net, not {file!r}")
    check_output(output)
    from archzoo.grading import Limits
    from archzoo.grading import grade as run

    entry = archzoo.find(name)
    log(f"runs the code of {path}, and {attribute}()")
    result = run(path, attribute, entry.name, Limits(seconds, gigabytes), **read_options(entry, options or []))
    write(result.as_gradescope() if form is GradeFormat.gradescope else f"{result}\n", output)
    if not result.passed:
        raise typer.Exit(1)
