"""docs/papers/*.md: a page for each paper, from the registry and the audit."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import archzoo
from archzoo import registry
from archzoo.auditor import AuditResult, Differences, audit, differences, profiled
from archzoo.files import write_text
from archzoo.paper import Paper
from archzoo.recipes import describe
from archzoo.registry import Entry, recipes_of
from archzoo.report._papers import name_and_year
from archzoo.report.diagram import diagram
from archzoo.report.tables import markdown_table, place, quantity, summary


def write_pages(folder: Path) -> list[Path]:
    """Write a Markdown page for each paper, oldest first, and a diagram of its first network. Returns the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    results, differing = audit(), differences()
    written = []
    for paper, entries in papers():
        page = folder / f"{module(entries[0]).rpartition('.')[2]}.md"
        drawing = page.with_suffix(".svg")
        name, size = entries[0].name, entries[0].input_size
        drawn = diagram(archzoo.build(name, device="meta"), size, title=name, counted=profiled(name))
        write_text(drawing, drawn)
        claims = [result for result in results if result.name in {entry.name for entry in entries}]
        unlike = [group for group in differing if archzoo.find(group.names[0]) in entries]
        write_text(page, "\n".join(_page(paper, entries, claims, unlike, drawing.name)))
        written.append(page)
    return written


def papers() -> Iterator[tuple[Paper, list[Entry]]]:
    """Each paper with its registered networks, oldest first."""
    by_module: dict[str, list[Entry]] = {}
    for name in archzoo.names():
        entry = archzoo.find(name)
        by_module.setdefault(module(entry), []).append(entry)
    for entries in by_module.values():
        yield entries[0].paper, entries


def module(entry: Entry) -> str:
    """The module of a network's constructor."""
    return entry.module


def _page(
    paper: Paper,
    entries: Sequence[Entry],
    results: Sequence[AuditResult],
    differing: Sequence[Differences],
    drawing: str,
) -> Iterator[str]:
    yield f"# {name_and_year(paper)}"
    yield f"\n**{_plain(paper.title)}**, {paper.authors}, {paper.year}. [{paper.link}]({paper.link})\n"
    yield f"The networks are in {{py:mod}}`{module(entries[0])}`, to be read beside the paper.\n"
    yield "## Networks\n"
    yield from _table(["network", "input", "parameters", "multiply-adds", "depth", ""], map(_counted, entries))
    yield f"\n## What is printed about them\n\n{summary(results)}.\n"
    yield from _table(
        ["verdict", "network", "quantity", "printed", "ours", "where", "why"],
        (
            [
                result.verdict,
                f"`{result.name}`",
                quantity(result),
                result.printed,
                result.ours_text,
                place(result),
                result.why,
            ]
            for result in results
        ),
    )
    rest = [item for source, item in registry.not_countable() if source.title == paper.title]
    if rest:
        yield "\nNo count can speak of these:\n"
        yield from (f"- {_plain(item.printed)} ({_plain(item.where)}): {_plain(item.why)}" for item in rest)
    yield from _differences(differing)
    yield f"\n## `{entries[0].name}`\n\n![Diagram of {entries[0].name}]({drawing})\n"
    yield "## How they were trained\n"
    for recipe in {recipe.name: recipe for entry in entries for recipe in recipes_of(entry.name)[:1]}.values():
        yield f"\n### {recipe.name}\n"
        values = describe(recipe).items()
        yield from (f"- {key.replace('_', ' ')}: {_plain(text)}" for key, text in values if text != "-")
    for entry in entries:
        if why := paper.without_recipe.get(entry.name):
            yield f"\nNo recipe is published for `{entry.name}`: {_plain(why)}.\n"
    yield f"\n## {module(entries[0])}\n\n```{{eval-rst}}\n.. automodule:: {module(entries[0])}\n   :members:\n```\n"


def _differences(differing: Sequence[Differences]) -> Iterator[str]:
    if differing:
        yield "\n## Differs from the release\n"
    for group in differing:
        yield f"- {', '.join(f'`{name}`' for name in group.names)}:"
        yield from (f"  - {_plain(sentence)}" for sentence in group.sentences)


def _counted(entry: Entry) -> list[str]:
    cost = profiled(entry.name)
    size = "x".join(map(str, entry.input_size))
    return [f"`{entry.name}`", size, f"{cost.params:,}", f"{cost.macs:,}", str(cost.depth), _plain(entry.summary)]


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> Iterator[str]:
    yield markdown_table(head, ([_plain(cell) for cell in row] for row in rows))


def _plain(text: str) -> str:
    """A text with Markdown's special characters escaped, outside of code."""
    return re.sub(r"(`[^`]*`)|([*_\[\]<>])", lambda match: match[1] or f"\\{match[2]}", text)
