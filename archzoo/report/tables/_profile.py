"""Profiles and comparisons as JSON, CSV and Markdown, and as tables for a terminal."""

from collections.abc import Sequence
from typing import Any, Literal

from rich.table import Table
from torch import nn

from archzoo.escaping import json_text, markdown
from archzoo.profiler import DEFAULT_COLUMNS, TEXT_COLUMNS, Comparison, Profile, table
from archzoo.report.tables._text import cell, csv_table, markdown_table

Format = Literal["json", "csv", "markdown"]
GAP = 2  # spaces between columns
SHORTEST = 20  # columns that are left for names, at least


def profile_table(
    counted: Profile, columns: Sequence[str] = DEFAULT_COLUMNS, depth: int | None = None, sort: str = ""
) -> Table:
    """One line per module, down to ``depth`` levels of nesting; sorted by a column, or indented by level."""
    head, rows = _labeled(counted, columns, depth, sort)
    terminal_table = _terminal_table()
    for name in head:
        terminal_table.add_column(name, justify="left" if name in TEXT_COLUMNS else "right", no_wrap=True)
    for row in rows:
        terminal_table.add_row(*map(cell, row))
    return terminal_table


def fit_profile(
    counted: Profile, columns: Sequence[str], depth: int | None, sort: str, width: int
) -> tuple[Table, list[str]]:
    """The table for a terminal of this width, and the columns that are left out of it.

    Names are cut in front. If that is not enough, the last columns are left out; no digit ever is.
    """
    head, rows = _labeled(counted, columns, depth, sort)
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    shown = len(head)
    while shown > 2 and min(widths[0], SHORTEST) + sum(widths[1:shown]) + GAP * (shown - 1) > width:
        shown -= 1
    room = max(width - sum(widths[1:shown]) - GAP * (shown - 1), SHORTEST)
    terminal_table = _terminal_table()
    for name in head[:shown]:
        terminal_table.add_column(name, justify="left" if name in TEXT_COLUMNS else "right", no_wrap=True)
    for row in rows:
        terminal_table.add_row(*map(cell, (cut_front(row[0], room), *row[1:shown])))
    return terminal_table, head[shown:]


def cut_front(name: str, length: int) -> str:
    """A name without its beginning where it is longer: ends tell parts apart."""
    return name if len(name) <= length else f"\N{HORIZONTAL ELLIPSIS}{name[len(name) - length + 1 :]}"


def _labeled(
    counted: Profile, columns: Sequence[str], depth: int | None, sort: str
) -> tuple[list[str], list[list[str]]]:
    """Header and cells; names are indented by level where modules are in their order."""
    head, rows = table(counted.model, counted.modules, columns, depth, sort)
    labeled = []
    for name, *cells in rows:
        level = 0 if sort or name == counted.model else name.count(".")
        labeled.append([name if sort else "  " * level + _last_part(name, counted.model), *cells])
    return head, labeled


def _last_part(name: str, model: str) -> str:
    return name if name == model else name.rpartition(".")[2]


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
        terminal_table.add_column(name, overflow="fold")
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
