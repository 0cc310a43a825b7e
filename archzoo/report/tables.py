"""The audit and the profile as text: JSON, CSV, Markdown, and tables for a terminal."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from rich.table import Table
from rich.text import Text

from archzoo.auditor import Finding

Format = Literal["json", "csv", "markdown"]
Printed = Literal["markdown", "latex", "csv", "json"]
COLUMNS = ("verdict", "name", "quantity", "printed", "ours", "where", "paper", "why")
HEAD = ("verdict", "network", "quantity", "printed", "ours", "where", "why")
LATEX = {one: rf"\{one}" for one in "&%$#_{}"}
LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": "$<$", ">": "$>$"}
COLORS = {"match": "green", "explained": "yellow", "mismatch": "bold red"}


def write(findings: Sequence[Finding], form: Printed) -> str:
    """The findings in one of the formats, with a line break at the end."""
    return {"json": as_json, "csv": as_csv, "markdown": as_markdown, "latex": as_latex}[form](findings)


def as_json(findings: Sequence[Finding]) -> str:
    """A list of objects, one a claim."""
    return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False) + "\n"


def as_csv(findings: Sequence[Finding]) -> str:
    """A header and one line a claim."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(Finding.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(finding) for finding in findings)
    return out.getvalue()


def as_markdown(findings: Sequence[Finding]) -> str:
    """A table of all claims, and under it how many there are of each verdict."""
    rows = [[f.verdict, f"`{f.name}`", quantity(f), f.printed, f.ours, place(f), f.why] for f in findings]
    lines = [markdown_row(HEAD), markdown_row(["---"] * len(HEAD)), *map(markdown_row, rows)]
    return "\n".join([*lines, "", summary(findings), ""])


def as_latex(findings: Sequence[Finding]) -> str:
    """A longtable in the style of booktabs, to be put into a document that loads both packages."""
    rows = [
        [f.verdict, rf"\texttt{{{latex(f.name)}}}", *map(latex, (quantity(f), f.printed, f.ours, place(f), f.why))]
        for f in findings
    ]
    lines = [
        r"% needs \usepackage{booktabs,longtable}",
        r"\begin{longtable}{llp{4cm}rrp{4cm}p{6cm}}",
        r"\toprule",
        latex_row(HEAD),
        r"\midrule\endhead",
        *map(latex_row, rows),
        r"\bottomrule",
        rf"\caption{{{latex(summary(findings))}.}}",
        r"\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """A text with what LaTeX would take for commands spelled out."""
    return "".join(LATEX.get(character, character) for character in text)


def latex_row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return " & ".join(cells) + r" \\"


def markdown_row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def quantity(finding: Finding) -> str:
    """What was counted, of which part, in which setting."""
    at = f" of {finding.at.replace('features.', '')}" if finding.at else ""
    setting = f" ({finding.setting})" if finding.setting else ""
    return f"{finding.quantity}{at}{setting}"


def place(finding: Finding) -> str:
    """Where it is printed, and the convention where it is the paper's own."""
    return f"{finding.where}, {finding.counting}" if finding.counting else finding.where


def short(count: float) -> str:
    """A count in three digits with a unit: 25.6M."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            digits = 2 if count < 10 * size else 1 if count < 100 * size else 0
            return f"{count / size:.{digits}f}{unit}"
    return f"{count:g}"


def summary(findings: Sequence[Finding]) -> str:
    """How many claims there are, by verdict: "124 claims: 120 match, 4 explained, 0 mismatch"."""
    counts = Counter(finding.verdict for finding in findings)
    return f"{len(findings)} claims: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in COLORS)


def audit_table(findings: Sequence[Finding]) -> Table:
    """The findings, one a line, in sections by paper."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("verdict", "network", "quantity", "printed", "ours", "where", "why"):
        table.add_column(column, justify="right" if column in ("printed", "ours") else "left")
    before = None
    for f in findings:
        if f.paper != before:
            table.add_section()
            before = f.paper
        verdict = Text(f.verdict, style=COLORS[f.verdict])
        table.add_row(verdict, *map(Text, (f.name, quantity(f), f.printed, f.ours, place(f), f.why)))
    return table
