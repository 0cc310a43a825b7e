"""Profiles and comparisons as text: JSON, CSV, Markdown, and tables for a terminal."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text
from torch import nn

from archzoo.profiler import Comparison, Profile
from archzoo.profiler.rendering import TEXT, USUAL, table
from archzoo.report.tables import Format, markdown_row

__all__ = ["USUAL", "comparison_table", "profile_table", "summary", "write_comparison", "write_profile"]


def profile_table(counted: Profile, columns: Sequence[str] = USUAL, depth: int | None = None, sort: str = "") -> Table:
    """A line a module, down to ``depth`` levels of nesting; sorted, or indented by level."""
    head, rows = table(counted.model, counted.modules, columns, depth, sort)
    found = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        found.add_column(name, justify="left" if name in TEXT else "right")
    for name, *cells in rows:
        level = 0 if sort or name == counted.model else name.count(".")
        found.add_row(*map(Text, (name if sort else "  " * level + name.rpartition(".")[2], *cells)))
    return found


def write_profile(
    counted: Profile, form: Format, columns: Sequence[str] = USUAL, depth: int | None = None, sort: str = ""
) -> str:
    """The rows in one of the formats; JSON has all of the profile, whatever the columns."""
    head, rows = table(counted.model, counted.modules, columns, depth, sort)
    return counted.to_json() + "\n" if form == "json" else _cells(["part", *head[1:]], rows, form)


def comparison_table(found: Comparison) -> Table:
    """A line a part in which two networks differ."""
    written = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("part", found.first, found.second):
        written.add_column(name)
    for difference in found.differences:
        written.add_row(*map(Text, (difference.part, difference.first, difference.second)))
    return written


def write_comparison(found: Comparison, form: Format) -> str:
    """The differences in one of the formats; JSON has the totals too."""
    if form == "json":
        return json.dumps(found.as_dict(), indent=1) + "\n"
    rows = [[difference.part, difference.first, difference.second] for difference in found.differences]
    totals = "".join(f"\n{line}" for line in found.totals()) + "\n" if form == "markdown" else ""
    return _cells(["part", found.first, found.second], rows, form) + totals


def _cells(head: Sequence[str], rows: Sequence[Sequence[str]], form: Format) -> str:
    if form == "markdown":
        lines = [markdown_row(head), markdown_row(["---"] * len(head)), *map(markdown_row, rows)]
        return "\n".join(lines) + "\n"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(
        [cell.replace(",", "") if cell.replace(",", "").isdigit() else cell for cell in row] for row in rows
    )
    return out.getvalue()


def summary(model: nn.Module, input_size: Any, depth: int = 3) -> str:
    """The summary that torchinfo gives of a model on the meta device: its own counts, in its own form."""
    from torchinfo import summary as torchinfos

    sizes = [(1, *size) for size in input_size] if isinstance(input_size, list) else (1, *input_size)
    return str(torchinfos(model, sizes, device="meta", depth=depth, verbose=0))
