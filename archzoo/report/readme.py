"""The tables of the README, from the registry and the audit, so that they cannot fall behind."""

from collections import Counter
from itertools import groupby

from archzoo.auditor import Finding, audit
from archzoo.registry import find, names
from archzoo.report.libraries import ELSEWHERE, VERSIONS
from archzoo.report.tables import markdown_row, place, quantity


def tables() -> dict[str, str]:
    """Each table of the README under the name of its marker."""
    findings = audit()
    return {
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
        listed = " ".join(f"`{entry.name}`" for entry in entries)
        rows.append([f"[{paper.title}]({paper.link}), {paper.year}", listed, *_counts(counts)])
    return table(["paper", "networks", "match", "explained", "mismatch"], rows)


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


def fill(text: str) -> str:
    """A README with each of its tables, between <!-- name --> and <!-- /name -->, as it is now.

    Raises ValueError where a marker is missing.
    """
    for name, body in tables().items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"the README needs the markers {start} and {end}, once each")
        before, after = text.partition(start)[0], text.partition(end)[2]
        text = f"{before}{start}\n\n{body}\n\n{end}{after}"
    return text
