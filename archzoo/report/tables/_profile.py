"""Profiles and comparisons as JSON, CSV and Markdown, and as tables for a terminal."""

from collections.abc import Sequence
from typing import Any, Literal

from rich.table import Table
from torch import nn

from archzoo.escaping import json_text, markdown
from archzoo.profiler import DEFAULT_COLUMNS, TEXT_COLUMNS, Comparison, Profile, table
from archzoo.report.tables._text import cell, csv_table, markdown_table

Format = Literal["json", "csv", "markdown"]


def profile_table(
    counted: Profile, columns: Sequence[str] = DEFAULT_COLUMNS, depth: int | None = None, sort: str = ""
) -> Table:
    """One line per module, down to ``depth`` levels of nesting; sorted by a column, or indented by level."""
    head, rows = table(counted.model, counted.modules, columns, depth, sort)
    terminal_table = _terminal_table()
    for name in head:
        terminal_table.add_column(name, justify="left" if name in TEXT_COLUMNS else "right")
    for name, *cells in rows:
        level = 0 if sort or name == counted.model else name.count(".")
        label = name if sort else "  " * level + name.rpartition(".")[2]
        terminal_table.add_row(*map(cell, (label, *cells)))
    return terminal_table


def write_profile(
    counted: Profile,
    form: Format,
    columns: Sequence[str] = DEFAULT_COLUMNS,
    depth: int | None = None,
    sort: str = "",
) -> str:
    """The modules in one of the formats; JSON has the whole profile, whatever the columns."""
    head, rows = table(counted.model, counted.modules, columns, depth, sort)
    return counted.to_json() + "\n" if form == "json" else _text_table(["part", *head[1:]], rows, form)


def comparison_table(comparison: Comparison) -> Table:
    """One line per part in which two networks differ."""
    terminal_table = _terminal_table()
    for name in ("part", comparison.first, comparison.second):
        terminal_table.add_column(name)
    for difference in comparison.differences:
        terminal_table.add_row(*map(cell, (difference.part, difference.first, difference.second)))
    return terminal_table


def write_comparison(comparison: Comparison, form: Format) -> str:
    """The differences in one of the formats; JSON and Markdown have the totals too."""
    if form == "json":
        return json_text(comparison.as_dict(), indent=1) + "\n"
    rows = [[difference.part, difference.first, difference.second] for difference in comparison.differences]
    totals = "".join(f"\n{line}" for line in map(markdown, comparison.totals())) + "\n" if form == "markdown" else ""
    return _text_table(["part", comparison.first, comparison.second], rows, form) + totals


def _terminal_table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold")


def _text_table(head: Sequence[str], rows: Sequence[Sequence[str]], form: Format) -> str:
    if form == "markdown":
        return markdown_table([*map(markdown, head)], ([*map(markdown, row)] for row in rows)) + "\n"
    return csv_table(head, [[_plain_number(text) for text in row] for row in rows])


def _plain_number(text: str) -> str:
    digits = text.replace(",", "")
    return digits if digits.isdigit() else text


def torchinfo_summary(model: nn.Module, input_size: Any, depth: int = 3) -> str:
    """Torchinfo's own summary of a model, on the meta device."""
    from torchinfo import summary

    sizes = [(1, *size) for size in input_size] if isinstance(input_size, list) else (1, *input_size)
    return str(summary(model, sizes, device="meta", depth=depth, verbose=0))
