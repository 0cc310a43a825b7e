"""Rows of tables in Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

LATEX = {character: rf"\{character}" for character in "&%$#_{}"}
LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": "$<$", ">": "$>$"}


def as_plain_text(table: Table, width: int | None = None) -> str:
    """A terminal's table without colors, as wide as it is or of this width, with a line break at the end."""
    out = io.StringIO()
    Console(file=out, width=width or 10_000).print(table)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, without a line break at the end."""
    return "\n".join([markdown_row(head), markdown_row(["---"] * len(head)), *map(markdown_row, rows)])


def escape_latex(text: str) -> str:
    """A text with LaTeX's special characters escaped."""
    return "".join(LATEX.get(character, character) for character in text)


def latex_row(cells: Sequence[str]) -> str:
    """A row of a LaTeX table."""
    return " & ".join(cells) + r" \\"


def csv_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def short(count: float) -> str:
    """A count with three digits and a unit: 25.6M."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            digits = 2 if count < 10 * size else 1 if count < 100 * size else 0
            return f"{count / size:.{digits}f}{unit}"
    return f"{count:g}"
