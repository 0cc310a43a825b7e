"""Commands about networks: list them, show what their papers print, and audit it."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

import archzoo
from archzoo import registry
from archzoo.cli._arguments import Name, Pattern, console
from archzoo.errors import UnknownName
from archzoo.options import describe_type
from archzoo.paper import DATA, Result


def list_networks(pattern: Pattern = "*") -> None:
    """List the networks, oldest paper first."""
    matching = archzoo.names(pattern)
    if not matching:
        raise UnknownName(f"no network is called {pattern!r}; 'archzoo list' shows all")
    print("\n".join(matching))


def info(name: Name) -> None:
    """Show a network's paper, its options, and what is printed about it. Builds nothing."""
    entry = archzoo.find(name)
    out = console()
    out.print(f"[bold]{entry.name}[/]  {'x'.join(map(str, entry.input_size))}", highlight=False)
    lines = [entry.summary, "", entry.paper.title, f"{entry.paper.authors}, {entry.paper.year}", entry.paper.link]
    lines += ["", "options:", *(f"  {line}" for line in _describe_options(entry))]
    claims = [f"  {claim}  [{paper.title}]" for paper, _, claim in registry.all_claims(entry.name)]
    lines += ["", "printed:", *(claims or ["  nothing"])]
    errors = [f"  {_describe_result(result)}" for result in registry.results(entry.name)]
    lines += ["", "published errors:", *(errors or ["  none"])]
    if entry.differences:
        lines += ["", "differs from the release:", *(f"  - {sentence}" for sentence in entry.differences)]
    recipes = ", ".join(recipe.name for recipe in registry.recipes_of(entry.name))
    reason = entry.paper.without_recipe.get(entry.name, "")
    files = dict.fromkeys((entry.module, entry.module.replace("archzoo.models.", "archzoo.papers.")))
    lines += ["", f"recipe: {recipes or f'none published ({reason})'}", f"code: {', '.join(files)}"]
    out.print("\n".join(lines), markup=False, highlight=False)


def _describe_options(entry: archzoo.Entry) -> Iterator[str]:
    types = entry.types
    for option, default in entry.options.items():
        fixed = "  (fixed: part of what this name means)" if option in entry.fixed else ""
        yield f"{option} = {default!r}  {describe_type(types[option])}{fixed}"


def _describe_result(result: Result) -> str:
    options = "".join(f", {name}={value!r}" for name, value in result.options.items())
    unconfirmed = "" if result.confirmed else ", unconfirmed"
    return f"{result.error}% {DATA[result.data]} ({result.protocol}, {result.where}{options}{unconfirmed})"


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
    not_countable: Annotated[
        bool, typer.Option("--not-countable", help="List the printed numbers that no count can check, instead.")
    ] = False,
) -> None:
    """Check every number that the papers print. Exits with 1 if there is a mismatch."""
    if not_countable:
        for paper, statement in registry.not_countable():
            print(f"{paper.title}, {statement.where}: {statement.printed}: {statement.why}")
        return
    from archzoo import auditor
    from archzoo.cli._drawings import write
    from archzoo.report import tables

    results, differences = auditor.audit(pattern), auditor.differences(pattern)
    if form is AuditFormat.table and output is None:
        out = console()
        out.print(tables.audit_table(results))
        if differences:
            out.print()
            out.print(tables.differences_table(differences))
        rest = len(registry.not_countable())
        print(f"\n{tables.summary(results)}. {rest} printed numbers cannot be counted: archzoo audit --not-countable")
    else:
        write(tables.write_audit(results, form.value, differences), output)
    if any(result.verdict == "mismatch" for result in results):
        raise typer.Exit(1)
