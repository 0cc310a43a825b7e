"""Rows of values as a table, Markdown, CSV or JSON. Imports no torch."""

import csv
import io
import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from archzoo.cli._arguments import Format

GAP = "  "
SHORTEST = 12  # columns that are left of a name, at least


def terminal_width() -> int | None:
    """The columns of the terminal; None where output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def shorten(name: str, width: int) -> str:
    """A name without its beginning, where it is longer: ends tell apart more than beginnings."""
    from rich.cells import cell_len

    if cell_len(name) <= width:
        return name
    while name and cell_len(name) > width - 1:
        name = name[1:]
    return f"\N{HORIZONTAL ELLIPSIS}{name}"


def write_rows(head: Sequence[str], rows: Sequence[Sequence[Any]], form: Format, width: int | None = None) -> str:
    """Rows in one of the formats, with a line break at the end. Shares are floats, and percentages in tables.

    JSON and CSV hold the numbers themselves. A table that is wider than ``width`` has shorter names in its first
    column; no other cell is cut.
    """
    if form is Format.json:
        return json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=1, ensure_ascii=False) + "\n"
    if form is Format.csv:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([head, *([_plain(value) for value in row] for row in rows)])
        return out.getvalue()
    cells = [list(head), *([_spell(value) for value in row] for row in rows)]
    if form is Format.markdown:
        return _markdown(cells)
    return _table(cells, [any(isinstance(row[at], int | float) for row in rows) for at in range(len(head))], width)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return value


def _spell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ("x" if value and isinstance(value[0], int) else " ").join(map(str, value))
    if isinstance(value, float):
        return f"{value:.2%}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)


def _markdown(cells: Sequence[Sequence[str]]) -> str:
    head, *rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join([head, "| " + " | ".join(["---"] * len(cells[0])) + " |", *rows]) + "\n"


def _table(cells: list[list[str]], numbers: Sequence[bool], width: int | None) -> str:
    from rich.cells import cell_len

    widths = [max(cell_len(row[at]) for row in cells) for at in range(len(cells[0]))]
    if width is not None:
        excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
        widths[0] = max(widths[0] - max(excess, 0), min(widths[0], SHORTEST))
        cells = [[shorten(row[0], widths[0]), *row[1:]] for row in cells]
    lines = []
    for row in cells:
        padded = []
        for cell, columns, number in zip(row, widths, numbers, strict=True):
            space = " " * (columns - cell_len(cell))
            padded.append(space + cell if number else cell + space)
        lines.append(GAP.join(padded).rstrip())
    return "\n".join(lines) + "\n"
