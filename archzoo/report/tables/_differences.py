"""Differences from the released code, as tables."""

from collections.abc import Sequence

from rich.table import Table

from archzoo.auditor import Differences
from archzoo.escaping import latex, markdown
from archzoo.report.tables._text import cell, latex_row, markdown_table

HEAD = ("network", "differs from the release")


def differences_table(differences: Sequence[Differences]) -> Table:
    """For a terminal: the networks of each constructor, and a line for each difference."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in HEAD:
        table.add_column(column)
    for entry in differences:
        for number, sentence in enumerate(entry.sentences):
            table.add_row(*map(cell, ("" if number else shared_by(entry.names), sentence)))
    return table


def differences_markdown(differences: Sequence[Differences]) -> str:
    """A Markdown table with a row for each difference."""
    return markdown_table(
        HEAD, [[shared_by(entry.names), markdown(text)] for entry in differences for text in entry.sentences]
    )


def differences_latex(differences: Sequence[Differences]) -> str:
    """A longtable with a row for each difference."""
    rows = [map(latex, (shared_by(entry.names), text)) for entry in differences for text in entry.sentences]
    lines = [
        r"\begin{longtable}{p{5cm}p{12cm}}",
        r"\toprule",
        latex_row(HEAD),
        r"\midrule\endhead",
        *(latex_row(list(row)) for row in rows),
        r"\bottomrule",
        r"\caption{Differences from the authors' released code.}",
        r"\end{longtable}",
    ]
    return "\n".join(lines)


def shared_by(names: Sequence[str], most: int = 3) -> str:
    """Names in one line, ``most`` of them at most: "resnet, resnet18, resnet34 and 4 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
