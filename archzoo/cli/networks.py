"""Verbs about the networks themselves: which there are, what is printed about them, and whether it is met."""

from collections.abc import Iterator
from typing import Annotated

import typer

from archzoo import Entry, find, registry
from archzoo import names as registered
from archzoo.cli.arguments import Format, Name, Pattern, console
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


def audit(
    pattern: Pattern = "*",
    *,
    form: Annotated[Format, typer.Option("--format", help="How to print the verdicts.")] = Format.table,
    unaudited: Annotated[bool, typer.Option("--unaudited", help="List what no count can speak of, instead.")] = False,
) -> None:
    """Hold every number that the papers print against what is built. Exits with 1 if one is not met."""
    if unaudited:
        for paper, item in registry.not_countable():
            print(f"{paper.title}, {item.where}: {item.printed}: {item.why}")
        return
    from archzoo.auditor import audit as hold
    from archzoo.report import tables

    findings = hold(pattern)
    if form is Format.table:
        console().print(tables.audit_table(findings))
        rest = len(registry.not_countable())
        print(f"\n{tables.summary(findings)}. {rest} printed statements are not audited: archzoo audit --unaudited")
    else:
        print(tables.write(findings, form.value), end="")
    if any(finding.verdict == "mismatch" for finding in findings):
        raise typer.Exit(1)
