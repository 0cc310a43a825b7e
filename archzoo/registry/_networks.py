"""Networks by name, and what the papers say about them."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from archzoo.claims import Claim
from archzoo.errors import ArchzooError, UnknownName
from archzoo.options import LONGEST, shown
from archzoo.paper import DATA, NotCountable, Paper, Result
from archzoo.registry import _loading
from archzoo.registry._elsewhere import advice
from archzoo.registry._entry import Entry

WILDCARDS = frozenset("*?[")


def build(name: str, /, **options: Any) -> Any:
    """A new network by name. Raises UnknownName or BadOption with the nearest valid one."""
    return find(name).build(**options)


def find(name: str) -> Entry:
    """The entry of a name, in any spelling: "DenseNet-BC", "WRN-28-10" and "VGG16" find theirs.

    Raises UnknownName with the nearest names, or with what a name of another library is here.
    """
    if not isinstance(name, str):
        raise UnknownName(f"the name of a network must be text, not {shown(name)}")
    registry = _loading.loaded()
    if set(name) & WILDCARDS:
        raise UnknownName(_several(name))
    canonical = registry.spellings.get(_loading.plain(name))
    if canonical is None:
        broken = f" (not loaded: {', '.join(registry.broken)})" if registry.broken else ""
        raise UnknownName(
            f"no network is called {shown(name)}{_suggestion(name[:LONGEST], registry.spellings)}{broken}"
        )
    return registry.entries[canonical]


def _suggestion(name: str, spellings: Mapping[str, str]) -> str:
    plain = _loading.plain(name)
    if hint := advice(name, plain, spellings):
        return f": {hint}"
    near = difflib.get_close_matches(plain, spellings, n=3, cutoff=0.6)
    meant = dict.fromkeys(spellings[spelling] for spelling in near)
    return f": did you mean {' or '.join(meant)}?" if meant else "; archzoo.names() lists all"


def _several(pattern: str) -> str:
    matching = names(pattern)
    if not matching:
        return f"no network is called {pattern!r}; archzoo.names() lists all"
    more = f" and {len(matching) - 3} more" if len(matching) > 3 else ""
    return f"one network is wanted, and {pattern!r} is a pattern: choose from {', '.join(matching[:3])}{more}"


def names(pattern: str = "*") -> list[str]:
    """The registered names that match a shell pattern, oldest paper first. A name in any spelling matches itself.

    A pattern that matches no name is one of other spellings: ``VGG1*``, ``WRN-28-*``. Raises UnknownName for what is no
    text.
    """
    if not isinstance(pattern, str):
        raise UnknownName(f"a pattern of names is a text such as 'resnet*', not {shown(pattern)}")
    registry = _loading.loaded()
    if not set(pattern) & WILDCARDS:
        return [registry.spellings[plain] for plain in [_loading.plain(pattern)] if plain in registry.spellings]
    patterns = {pattern.lower(), pattern.lower().replace("-", "_")}
    entries = registry.entries.values()
    matching = [entry for entry in entries if _matches([entry.name], patterns)]
    matching = matching or [entry for entry in entries if _matches(entry.aliases, patterns)]
    # Within a year by link, which on arXiv is by month: never by which file happened to be imported first.
    return [entry.name for entry in sorted(matching, key=lambda entry: (entry.paper.year, entry.paper.link))]


def _matches(spellings: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(spelling, pattern) for spelling in spellings for pattern in patterns)


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
