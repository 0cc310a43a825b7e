"""Rows of tables in Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from archzoo.escaping import csv_cell, one_line


def cell(text: str) -> Text:
    """A cell of a terminal's table: a text of others has no markup, no control characters, and one line."""
    return Text(one_line(text))


def as_plain_text(table: Table, width: int | None = None) -> str:
    """A terminal's table without colors, as wide as it is or of this width, with a line break at the end."""
    out = io.StringIO()
    Console(file=out, width=width or 10_000).print(table)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table, of cells of Markdown."""
    return "| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in cells) + " |"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, without a line break at the end."""
    return "\n".join([markdown_row(head), markdown_row(["---"] * len(head)), *map(markdown_row, rows)])


def latex_row(cells: Sequence[str]) -> str:
    """A row of a LaTeX table, of cells of LaTeX. The row before it ends in a command that would take a "[" or "*"."""
    start = "{}" if cells[0].startswith(("[", "*")) else ""
    return start + " & ".join(cells) + r" \\"


def csv_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as CSV. A cell that a spreadsheet would compute begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([csv_cell(cell) for cell in row] for row in (head, *rows))
    return out.getvalue()


def short(count: float) -> str:
    """A count with three digits and a unit: 25.6M."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            digits = 2 if count < 10 * size else 1 if count < 100 * size else 0
            return f"{count / size:.{digits}f}{unit}"
    return f"{count:g}"
