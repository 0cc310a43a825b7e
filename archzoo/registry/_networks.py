"""Networks by name, and what the papers say about them."""

import difflib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from archzoo.claims import Claim
from archzoo.errors import ArchzooError, UnknownName
from archzoo.options import LONGEST, shown
from archzoo.paper import DATA, NotCountable, Paper, Result
from archzoo.registry import _loading
from archzoo.registry._entry import Entry


def build(name: str, /, **options: Any) -> Any:
    """A new network by name. Raises UnknownName or BadOption with the nearest valid one."""
    return find(name).build(**options)


def find(name: str) -> Entry:
    """The entry of a name, in any spelling: "DenseNet-BC", "WRN-28-10" and "VGG16" find theirs.

    Raises UnknownName with the nearest names.
    """
    if not isinstance(name, str):
        raise UnknownName(f"the name of a network must be text, not {shown(name)}")
    registry = _loading.loaded()
    canonical = registry.spellings.get(_loading.plain(name))
    if canonical is None:
        near = difflib.get_close_matches(_loading.plain(name[:LONGEST]), registry.spellings, n=3, cutoff=0.6)
        meant = dict.fromkeys(registry.spellings[spelling] for spelling in near)
        suggestion = f": did you mean {' or '.join(meant)}?" if meant else "; archzoo.names() lists all"
        broken = f" (not loaded: {', '.join(registry.broken)})" if registry.broken else ""
        raise UnknownName(f"no network is called {shown(name)}{suggestion}{broken}")
    return registry.entries[canonical]


def names(pattern: str = "*") -> list[str]:
    """The registered names that match a shell pattern, oldest paper first. A name in any spelling matches itself."""
    registry = _loading.loaded()
    if not set(pattern) & set("*?["):
        return [registry.spellings[plain] for plain in [_loading.plain(pattern)] if plain in registry.spellings]
    patterns = {pattern.lower(), pattern.lower().replace("-", "_")}
    entries = registry.entries.values()
    matching = [entry for entry in entries if any(fnmatchcase(entry.name, spelling) for spelling in patterns)]
    # Within a year by link, which on arXiv is by month: never by which file happened to be imported first.
    return [entry.name for entry in sorted(matching, key=lambda entry: (entry.paper.year, entry.paper.link))]


def papers() -> list[Paper]:
    """Every paper, oldest first."""
    return sorted(_loading.loaded().papers, key=lambda paper: (paper.year, paper.link))


def all_claims(pattern: str = "*") -> Iterator[tuple[Paper, Entry, Claim]]:
    """Every claim with the paper that prints it and the network it is about, network by network."""
    registry = _loading.loaded()
    stated = [(paper, find(about).name, claim) for paper in registry.papers for about, claim in paper.statements]
    for name in names(pattern):
        entry = registry.entries[name]
        yield from ((entry.paper, entry, claim) for claim in entry.claims)
        yield from ((paper, entry, claim) for paper, about, claim in stated if about == name)


def not_countable(pattern: str = "*") -> list[tuple[Paper, NotCountable]]:
    """The printed numbers that no count can check, oldest paper first.

    With a pattern, those in the papers of the matching networks.
    """
    titles = {find(name).paper.title for name in names(pattern)}
    return [
        (paper, statement)
        for paper in papers()
        if pattern == "*" or paper.title in titles
        for statement in paper.uncountable
    ]


def results(pattern: str = "*", data: str = "") -> list[Result]:
    """The published errors of the networks of these names, on some data or on all, oldest paper first.

    Raises ArchzooError for data that no paper reports.
    """
    if data and data not in DATA:
        raise ArchzooError(f"no results on {data!r}; there are {', '.join(DATA)}")
    published = (result for paper in papers() for result in paper.published_results)
    return [result for result in published if fnmatchcase(result.name, pattern) and data in ("", result.data)]
