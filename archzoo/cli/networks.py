"""Verbs about the networks themselves: which there are, what is printed about them, and whether it is met."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from archzoo import Entry, find, registry
from archzoo import names as registered
from archzoo.cli.arguments import Name, Pattern, console
from archzoo.errors import ArchzooError
from archzoo.options import describe_type


def names(pattern: Pattern = "*") -> None:
    """List the networks, oldest paper first."""
    found = registered(pattern)
    if not found:
        raise ArchzooError(f"no network is called {pattern!r}; 'archzoo names' lists all")
    print("\n".join(found))


def show(name: Name) -> None:
    """Tell a network's paper, its options, and what is printed about it. Nothing is built."""
    entry = find(name)
    out = console()
    out.print(f"[bold]{entry.name}[/]  {'x'.join(map(str, entry.input_size))}", highlight=False)
    lines = [entry.summary, "", entry.paper.title, f"{entry.paper.authors}, {entry.paper.year}", entry.paper.link]
    lines += ["", "options:", *(f"  {line}" for line in _options(entry))]
    claims = [f"  {claim}  [{paper.title}]" for paper, _, claim in registry.all_claims(entry.name)]
    out.print("\n".join([*lines, "", "printed:", *(claims or ["  nothing"])]), markup=False, highlight=False)


def _options(entry: Entry) -> Iterator[str]:
    for option, default in entry.options.items():
        fixed = "  (fixed: it makes this net what its name says)" if option in entry.fixed else ""
        yield f"{option} = {default!r}  {describe_type(entry.types[option])}{fixed}"


class AuditFormat(str, Enum):
    """Output formats of an audit."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


def audit(
    pattern: Pattern = "*",
    *,
    form: Annotated[AuditFormat, typer.Option("--format", help="Output format.")] = AuditFormat.table,
    output: Annotated[Path | None, typer.Option(help="A file for the verdicts; stdout by default.")] = None,
    unaudited: Annotated[bool, typer.Option("--unaudited", help="List what no count can speak of, instead.")] = False,
) -> None:
    """Check every number that the papers print. Exits with 1 if there is a mismatch."""
    if unaudited:
        for paper, item in registry.not_countable():
            print(f"{paper.title}, {item.where}: {item.printed}: {item.why}")
        return
    from archzoo import auditor
    from archzoo.cli.drawings import write
    from archzoo.report import tables

    results = auditor.audit(pattern)
    if form is AuditFormat.table and output is None:
        console().print(tables.audit_table(results))
        rest = len(registry.not_countable())
        print(f"\n{tables.summary(results)}. {rest} printed statements are not audited: archzoo audit --unaudited")
    else:
        write(tables.write_audit(results, form.value), output)
    if any(result.verdict == "mismatch" for result in results):
        raise typer.Exit(1)
