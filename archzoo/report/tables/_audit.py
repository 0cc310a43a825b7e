"""The verdicts of an audit as JSON, CSV, Markdown, LaTeX, and as a table for a terminal."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from rich.table import Table
from rich.text import Text

from archzoo.auditor import AuditResult, Differences
from archzoo.claims import UNCONFIRMED
from archzoo.escaping import json_text, latex, markdown, one_line
from archzoo.report.tables._differences import differences_latex, differences_markdown, differences_table
from archzoo.report.tables._text import as_plain_text, cell, csv_table, latex_row, markdown_table

Format = Literal["table", "markdown", "latex", "csv", "json"]
PAGE = 120  # columns of the table of claims, in which text is wrapped
HEAD = ("verdict", "network", "quantity", "printed", "ours", "where", "why")
PARTS = r"\b(features|classifier)\.(?=\w)"
COLORS = {"match": "green", "explained": "yellow", "mismatch": "bold red"}


def write_audit(results: Sequence[AuditResult], form: Format, differences: Sequence[Differences] = ()) -> str:
    """The results and the differences from the released code in one of the formats, with a line break at the end."""
    writers = {"table": as_text, "json": as_json, "csv": as_csv, "markdown": as_markdown, "latex": as_latex}
    return writers[form](results, differences)


def as_text(results: Sequence[AuditResult], differences: Sequence[Differences]) -> str:
    """The tables without colors, with the reasons below the claims, followed by the number of claims per verdict."""
    parts = [as_plain_text(audit_table(results, why=False), PAGE), *(f"{reason}\n" for reason in reasons(results))]
    parts += [as_plain_text(differences_table(differences))] if differences else []
    return "".join(f"{part}\n" for part in parts) + f"{summary(results)}.\n"


def as_json(results: Sequence[AuditResult], differences: Sequence[Differences]) -> str:
    """A list of objects, one for each claim. ``ours`` is a number, or a list of them for a size.

    ``differences`` are those of the claim's network from the released code.
    """
    by_name = {name: entry.sentences for entry in differences for name in entry.names}
    rows = [{**asdict(result), "differences": by_name.get(result.name, ())} for result in results]
    return json_text(rows, indent=2) + "\n"


def as_csv(results: Sequence[AuditResult], differences: Sequence[Differences]) -> str:
    """A header and one line per claim; ``ours`` is a number, or the side lengths of a size with dashes between.

    A line whose verdict is "differs" has a difference from the released code, under ``why``.
    """
    head = list(AuditResult.__dataclass_fields__)
    rows = [{**asdict(result), "ours": _plain(result.ours)} for result in results]
    rows += [
        {"name": name, "paper": entry.paper, "verdict": "differs", "why": sentence}
        for entry in differences
        for name in entry.names
        for sentence in entry.sentences
    ]
    return csv_table(head, [[str(row.get(column, "")) for column in head] for row in rows])


def _plain(ours: float | tuple[int, ...]) -> float | str:
    return "-".join(map(str, ours)) if isinstance(ours, tuple) else ours


def as_markdown(results: Sequence[AuditResult], differences: Sequence[Differences]) -> str:
    """A table of all claims, one of the differences, and the number of claims per verdict."""
    rows = [
        [r.verdict, f"`{r.name}`", *map(markdown, (quantity(r), r.printed, r.ours_text, place(r), r.why))]
        for r in results
    ]
    second = [differences_markdown(differences), ""] if differences else []
    return "\n".join([markdown_table(HEAD, rows), "", *second, f"{summary(results)}.", ""])


def as_latex(results: Sequence[AuditResult], differences: Sequence[Differences]) -> str:
    """Longtables with booktabs rules, for a document that loads both packages."""
    rows = [
        [
            r.verdict,
            rf"\texttt{{{latex(r.name)}}}",
            *map(latex, (quantity(r), r.printed, r.ours_text, place(r), r.why)),
        ]
        for r in results
    ]
    lines = [
        r"% needs \usepackage{booktabs,longtable}",
        r"\begin{longtable}{llp{4cm}rrp{4cm}p{6cm}}",
        r"\toprule",
        latex_row(HEAD),
        r"\midrule\endhead",
        *map(latex_row, rows),
        r"\bottomrule",
        rf"\caption{{{latex(summary(results))}.}}",
        r"\end{longtable}",
        *([differences_latex(differences)] if differences else []),
    ]
    return "\n".join(lines) + "\n"


def quantity(result: AuditResult) -> str:
    """What was counted, of which part, in which setting, and to which other network it is related."""
    at = f" of {re.sub(PARTS, '', result.at)}" if result.at else ""
    setting = f" ({result.setting})" if result.setting else ""
    to = f" to {result.to}" if result.to else ""
    return f"{result.quantity}{at}{setting}{to}"


def place(result: AuditResult) -> str:
    """Where the number is printed, the paper's counting convention if it has its own, and "unconfirmed" if it is."""
    return ", ".join(filter(None, (result.where, result.counting, "" if result.confirmed else "unconfirmed")))


def summary(results: Sequence[AuditResult]) -> str:
    """The number of claims per verdict, and of those that are unconfirmed, with what that means.

    "124 claims: 120 match, 4 explained, 0 mismatch. 2 are unconfirmed: quoted from memory, not read in the paper".
    """
    counts = Counter(result.verdict for result in results)
    claims = "1 claim" if len(results) == 1 else f"{len(results)} claims"
    verdicts = f"{claims}: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in COLORS)
    unconfirmed = sum(not result.confirmed for result in results)
    if not unconfirmed:
        return verdicts
    return f"{verdicts}. {unconfirmed} {'is' if unconfirmed == 1 else 'are'} unconfirmed: {UNCONFIRMED}"


def audit_table(results: Sequence[AuditResult], *, why: bool = True) -> Table:
    """One line per claim; ``why=False`` leaves the reasons out, which need a wide terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in HEAD if why else HEAD[:-1]:
        number = column in ("printed", "ours")
        table.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=number)
    for r in results:
        verdict = Text(r.verdict, style=COLORS[r.verdict])
        reason = [cell(r.why)] if why else []
        table.add_row(verdict, *map(cell, (r.name, quantity(r), r.printed, r.ours_text, place(r))), *reason)
    return table


def reasons(results: Sequence[AuditResult]) -> list[str]:
    """A line for each claim with a reason: "alexnet, params, 60 million: cut off, not rounded"."""
    return [one_line(f"{r.name}, {quantity(r)}, {r.printed}: {r.why}") for r in results if r.why]
