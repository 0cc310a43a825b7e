"""The tables of README and guide, from the registry, the audit and the benchmarks, so that they cannot fall behind."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from archzoo.auditor import Finding, audit
from archzoo.registry import find, names
from archzoo.report.libraries import ELSEWHERE, VERSIONS
from archzoo.report.tables import markdown_row, place, quantity


def tables(measured: Mapping[str, Any]) -> dict[str, str]:
    """Each table under the name of its marker. ``measured`` is what the benchmarks committed."""
    findings = audit()
    return {
        "benchmarks": benchmarks(measured),
        "networks": networks(findings),
        "explained": explained(findings),
        "libraries": libraries(),
    }


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join([markdown_row(head), markdown_row(["---"] * len(head)), *map(markdown_row, rows)])


def networks(findings: list[Finding]) -> str:
    """A row a paper: its networks, and how its claims came out, quotes by other papers included."""
    verdicts = {name: Counter(f.verdict for f in found) for name, found in groupby(findings, lambda f: f.name)}
    rows = []
    for paper, group in groupby(map(find, names()), lambda entry: entry.paper):
        entries = list(group)
        counts = sum((verdicts.get(entry.name, Counter()) for entry in entries), Counter[str]())
        listed = " ".join(f"`{one}`" for one in shortened([entry.name for entry in entries]))
        rows.append([f"[{paper.title}]({paper.link}), {paper.year}", listed, *_counts(counts)])
    return table(["paper", "networks", "match", "explained", "mismatch"], rows)


def shortened(names: Sequence[str], most: int = 12) -> list[str]:
    """Names that differ by the numbers at their ends, written together, so many at most: resnet18/34/50."""
    found: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        numbers = re.search(r"\d+(_\d+)*$", name)
        end = numbers[0] if numbers else ""
        found.setdefault((name.removesuffix(end), bool(end)), []).append(end)
    return [
        start + "/".join(ends[:most]) + (f"/... ({len(ends)})" if len(ends) > most else "")
        for (start, _), ends in found.items()
    ]


def _counts(counts: Counter[str]) -> list[str]:
    return [str(counts[verdict]) for verdict in ("match", "explained", "mismatch")]


def explained(findings: list[Finding]) -> str:
    """A row for each printed number that no faithful network meets."""
    rows = [
        [f"`{f.name}`", quantity(f), f"{f.printed} ({place(f)})", f.ours, f.why]
        for f in findings
        if f.verdict == "explained"
    ]
    return table(["network", "quantity", "printed", "ours", "why"], rows)


def libraries() -> str:
    """A row for each network: what public libraries have under its name."""
    rows = [
        [row.network, " ".join(f"`{find(name).name}`" for name in row.ours), row.torchvision, row.timm, row.pytorchcv]
        for row in ELSEWHERE
    ]
    head = ["network", "here", *(library.rpartition(" ")[0] for library in VERSIONS.split(", "))]
    return table(head, [[cell or "-" for cell in row] for row in rows])


def benchmarks(measured: Mapping[str, Any]) -> str:
    """A row for each committed measurement, under what it was measured on and with."""
    told = measured["machine"]
    libraries = ", ".join(f"{name} {told[name]}" for name in ("torch", "torchvision", "pytorchcv"))
    rows = [[row["what"], row["against"], f"{row['share']:.2f}"] for row in measured["rows"]]
    where = f"On {told['cores']} cores of an {told['processor']}, Python {told['Python']}, {libraries}:"
    return f"{where}\n\n{table(['what', 'as a share of', ''], rows)}"


def fill(text: str, tables: Mapping[str, str]) -> str:
    """A text with each table, between <!-- name --> and <!-- /name -->, as it is now.

    Raises ValueError where a marker has no table, or is not there in a pair.
    """
    names = re.findall(r"<!-- (\w+) -->", text)
    if unknown := [name for name in names if name not in tables]:
        raise ValueError(f"no table is called {unknown[0]!r}; there are {', '.join(tables)}")
    for name in names:
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"the text needs the markers {start} and {end}, once each")
        before, after = text.partition(start)[0], text.partition(end)[2]
        text = f"{before}{start}\n\n{tables[name]}\n\n{end}{after}"
    return text
