"""Commands about networks: show what their papers print, and audit it."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import archzoo
from archzoo import registry
from archzoo.cli._arguments import Pattern, complete_name, console, is_weights_file, print_table
from archzoo.cli._listing import describe_weights
from archzoo.cli._output import check_output, write
from archzoo.escaping import one_line
from archzoo.options import describe_type
from archzoo.paper import DATA, Result

if TYPE_CHECKING:
    from archzoo.auditor import AuditResult, Differences

WIDE = 120  # columns of a terminal in which reasons stand beside their claims


def info(
    name: Annotated[
        str, typer.Argument(help="A network, in any spelling, or a weights file.", autocompletion=complete_name)
    ],
) -> None:
    """Show a network's paper, its options, and what is printed about it, or what a weights file holds.

    Builds nothing.
    """
    if is_weights_file(name):
        print("\n".join(describe_weights(name)))
        return
    entry = archzoo.find(name)
    from rich.markup import escape

    out = console()
    out.print(f"[bold]{entry.name}[/]  {escape('x'.join(map(str, entry.input_size)))}", highlight=False)
    lines = [entry.summary, "", entry.paper.title, f"{entry.paper.authors}, {entry.paper.year}", entry.paper.link]
    lines += ["", "options:", *(f"  {line}" for line in _describe_options(entry))]
    lines += ["", *_describe_claims(entry)]
    errors = [f"  {_describe_result(result)}" for result in registry.results(entry.name)]
    lines += ["", "published errors:", *(errors or ["  none"])]
    if entry.differences:
        lines += ["", "differs from the release:", *(f"  - {sentence}" for sentence in entry.differences)]
    recipes = ", ".join(recipe.name for recipe in registry.recipes_of(entry.name))
    reason = entry.paper.without_recipe.get(entry.name, "")
    files = dict.fromkeys((entry.module, entry.module.replace("archzoo.models.", "archzoo.papers.")))
    lines += ["", f"recipe: {recipes or f'none published ({reason})'}", f"code: {', '.join(files)}"]
    out.print("\n".join(map(one_line, lines)), markup=False, highlight=False)


def _describe_options(entry: archzoo.Entry) -> Iterator[str]:
    types = entry.types
    for option, default in entry.options.items():
        values = "fixed: part of what the name means" if option in entry.fixed else describe_type(types[option])
        yield f"{option} = {default!r}  ({values})"


def _describe_claims(entry: archzoo.Entry) -> Iterator[str]:
    """What each paper prints about a network."""
    claims = list(registry.all_claims(entry.name))
    if not claims:
        yield "no paper prints a number about it that can be counted"
    for paper, group in groupby(claims, lambda claim: claim[0].title):
        yield f"printed in {paper}:"
        yield from (f"  {claim}" for _, _, claim in group)


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
        for paper, statement in registry.not_countable(pattern):
            sentence = f"{paper.title}, {statement.where}: {statement.printed}: {statement.why}"
            print(one_line(sentence))
        return
    check_output(output)
    from archzoo import auditor
    from archzoo.report import tables

    results, differences = auditor.audit(pattern), auditor.differences(pattern)
    if form is AuditFormat.table and output is None:
        _print_audit(results, differences, pattern)
    else:
        write(tables.write_audit(results, form.value, differences), output)
    if any(result.verdict == "mismatch" for result in results):
        raise typer.Exit(1)


def _print_audit(results: "Sequence[AuditResult]", differences: "Sequence[Differences]", pattern: str) -> None:
    """The tables; in a narrow terminal, the reasons below them. Then the numbers of claims, and of what is no claim."""
    from archzoo.report import tables

    out = console()
    wide = out.width >= WIDE and sys.stdout.isatty()
    if results:
        print_table(tables.audit_table(results, why=wide), wraps=True)
        print()
    for reason in [] if wide else tables.reasons(results):
        out.print(one_line(reason), "", sep="\n", markup=False, highlight=False)
    if differences:
        print_table(tables.differences_table(differences), wraps=sys.stdout.isatty())
        print()
    rest = len(registry.not_countable(pattern))
    command = "archzoo audit --not-countable" + ("" if pattern == "*" else f" {shlex.quote(pattern)}")
    uncounted = f" {rest} printed number{' is' if rest == 1 else 's are'} not countable: {command}" if rest else ""
    out.print(f"{tables.summary(results)}.{uncounted}", markup=False, highlight=False)
