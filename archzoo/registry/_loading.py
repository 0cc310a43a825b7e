"""All papers, loaded once: this project's, then those of other packages."""

import pkgutil
import re
import warnings
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archzoo.errors import RegistrationError
from archzoo.paper import Network, Paper
from archzoo.registry._entry import Entry

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

PLUGINS = "archzoo.papers"


@dataclass
class Registry:
    """All papers that were loaded, and their networks by name."""

    papers: list[Paper] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, paper: Paper) -> None:
        """Add a paper with all its networks. Raises RegistrationError for a name that is taken."""
        for network in paper.networks:
            self._add(paper, network)
        self.papers.append(paper)

    def _add(self, paper: Paper, network: Network) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", network.name):
            raise RegistrationError(f"{network.name!r} cannot name a network: use lower case letters, digits and _")
        for spelling in (network.name, *network.aliases):
            taken = self.spellings.get(plain(spelling))
            if taken is not None:
                title = self.entries[taken].paper.title
                raise RegistrationError(f"the name {spelling!r} is taken: {taken} ({title}) has it")
        self.spellings |= {plain(spelling): network.name for spelling in (network.name, *network.aliases)}
        self.entries[network.name] = Entry(
            network.name, paper, network.input_size, network.constructor, network.claims, network.fixed, network.aliases
        )

    def extended_by(self, plugin: Any) -> "Registry":
        """A copy with the papers of another package. Raises RegistrationError where one of them cannot be added."""
        extended = Registry(list(self.papers), dict(self.entries), dict(self.spellings), dict(self.broken))
        papers = _papers_in(plugin)
        if not papers:
            raise RegistrationError("it makes no archzoo.paper.Paper")
        for paper in papers:
            extended.add(paper)
        for name in (name for paper in papers for name, _ in paper.statements):
            if plain(name) not in extended.spellings:
                raise RegistrationError(f"it states something about {name!r}, and no network is called so")
        return extended


def plain(name: str) -> str:
    """A name without case and punctuation: "WRN-28-10" and "wrn_28_10" are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def loaded() -> Registry:
    """Import every paper's file of ours, then those that other packages name as entry points."""
    registry = Registry()
    package = import_module("archzoo.papers")
    for module in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        for paper in _papers_in(import_module(f"archzoo.papers.{module}")):
            registry.add(paper)
    for plugin in plugins():
        try:
            registry = registry.extended_by(plugin.load())
        except Exception as error:  # whatever another package raises, the other networks stay available
            registry.broken[plugin.name] = f"{type(error).__name__}: {error}"
            warnings.warn(f"archzoo: could not load {plugin.name!r} ({plugin.value}): {error}", stacklevel=3)
    return registry


def _papers_in(source: Any) -> list[Paper]:
    """The papers that a module makes, in order; or the paper itself where that was loaded."""
    values = vars(source).values() if isinstance(source, ModuleType) else [source]
    return list(dict.fromkeys(value for value in values if isinstance(value, Paper)))


def broken() -> dict[str, str]:
    """The entry points of other packages that could not be loaded, each with its error."""
    return dict(loaded().broken)


def plugins() -> "EntryPoints":
    """The entry points of other packages that add networks."""
    from importlib.metadata import entry_points  # a third of this package's import time

    return entry_points(group=PLUGINS)
