"""The verdicts of an audit as JSON, CSV, Markdown, LaTeX, and as a table for a terminal."""

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from archzoo.auditor import AuditResult
from archzoo.report.tables._text import csv_table, escape_latex, latex_row, markdown_table

Format = Literal["table", "markdown", "latex", "csv", "json"]
HEAD = ("verdict", "network", "quantity", "printed", "ours", "where", "why")
COLORS = {"match": "green", "explained": "yellow", "mismatch": "bold red"}


def write_audit(results: Sequence[AuditResult], form: Format) -> str:
    """The results in one of the formats, with a line break at the end."""
    writers = {"table": as_text, "json": as_json, "csv": as_csv, "markdown": as_markdown, "latex": as_latex}
    return writers[form](results)


def as_text(results: Sequence[AuditResult]) -> str:
    """The terminal table without colors, followed by the number of claims per verdict."""
    out = io.StringIO()
    Console(file=out, width=1000, soft_wrap=True).print(audit_table(results))
    return f"{out.getvalue()}\n{summary(results)}\n"


def as_json(results: Sequence[AuditResult]) -> str:
    """A list of objects, one per claim; ``ours`` is a number, or a list of integers for a size."""
    return json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False) + "\n"


def as_csv(results: Sequence[AuditResult]) -> str:
    """A header and one line per claim; ``ours`` is written like the printed number."""
    rows = [{**asdict(result), "ours": result.ours_text} for result in results]
    return csv_table(list(AuditResult.__dataclass_fields__), [list(row.values()) for row in rows])


def as_markdown(results: Sequence[AuditResult]) -> str:
    """A table of all claims, followed by the number of claims per verdict."""
    rows = [[r.verdict, f"`{r.name}`", quantity(r), r.printed, r.ours_text, place(r), r.why] for r in results]
    return "\n".join([markdown_table(HEAD, rows), "", summary(results), ""])


def as_latex(results: Sequence[AuditResult]) -> str:
    """A longtable with booktabs rules, for a document that loads both packages."""
    rows = [
        [
            r.verdict,
            rf"\texttt{{{escape_latex(r.name)}}}",
            *map(escape_latex, (quantity(r), r.printed, r.ours_text, place(r), r.why)),
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
        rf"\caption{{{escape_latex(summary(results))}.}}",
        r"\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def quantity(result: AuditResult) -> str:
    """What was counted, of which part, in which setting."""
    at = f" of {result.at.replace('features.', '')}" if result.at else ""
    setting = f" ({result.setting})" if result.setting else ""
    return f"{result.quantity}{at}{setting}"


def place(result: AuditResult) -> str:
    """Where the number is printed, and the paper's counting convention if it has its own."""
    return f"{result.where}, {result.counting}" if result.counting else result.where


def summary(results: Sequence[AuditResult]) -> str:
    """The number of claims per verdict: "124 claims: 120 match, 4 explained, 0 mismatch"."""
    counts = Counter(result.verdict for result in results)
    return f"{len(results)} claims: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in COLORS)


def audit_table(results: Sequence[AuditResult]) -> Table:
    """One line per claim, in sections by paper."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in HEAD:
        table.add_column(column, justify="right" if column in ("printed", "ours") else "left")
    paper = None
    for r in results:
        if r.paper != paper:
            table.add_section()
            paper = r.paper
        verdict = Text(r.verdict, style=COLORS[r.verdict])
        table.add_row(verdict, *map(Text, (r.name, quantity(r), r.printed, r.ours_text, place(r), r.why)))
    return table
