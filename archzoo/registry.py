"""Every network by name: what its paper says, and the function that builds it. Imports no torch until one is built.

The papers are the files of ``archzoo/papers``, and those of other packages: an entry point of the group
``archzoo.papers`` names a module that makes ``archzoo.paper.Paper`` objects.
"""

import difflib
import inspect
import pkgutil
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archzoo.claims import Claim
from archzoo.errors import ArchzooError, BadOption, RecipeError, RegistrationError, UnknownName
from archzoo.options import describe_type, hint, is_of_type, signature_of
from archzoo.paper import DATA, Network, NotCountable, Paper, Result
from archzoo.recipes import DEFAULT_RECIPES, Recipe

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

PLUGINS = "archzoo.papers"


@dataclass(frozen=True)
class Entry:
    """A registered network: its name, its paper, and how to build it. Nothing is imported before it is needed.

    ``input_size`` is the paper's, (channels, height, width). ``fixed`` are the options that make this name this
    network and cannot be changed; ``claims`` are what its own paper prints about it.
    """

    name: str
    paper: Paper
    input_size: tuple[int, int, int]
    target: str
    claims: tuple[Claim, ...] = field(default=(), repr=False)
    fixed: Mapping[str, Any] = field(default_factory=dict, hash=False)
    aliases: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name of the constructor: networks of one family differ in their options alone."""
        return self.target.partition(":")[2]

    @property
    def module(self) -> str:
        """The name of the module with the constructor."""
        return self.target.partition(":")[0]

    @property
    def constructor(self) -> Callable[..., Any]:
        """The function that builds the network. Imports its module, and with it PyTorch."""
        return _constructor(self.target)

    @property
    def options(self) -> dict[str, Any]:
        """Every option and its default, in the constructor's order."""
        defaults = {name: option.default for name, option in self._signature().items()}
        return {**defaults, **self.fixed}

    @property
    def types(self) -> dict[str, Any]:
        """The annotated type of every option."""
        return {name: option.annotation for name, option in self._signature().items()}

    def _signature(self) -> dict[str, inspect.Parameter]:
        signature = signature_of(self.constructor)
        for option in self.fixed:
            if option not in signature:
                raise RegistrationError(f"{self.name}: {self.family} has no option {option!r}{hint(option, signature)}")
        return signature

    @property
    def summary(self) -> str:
        """The first line of the constructor's docstring."""
        return (inspect.getdoc(self.constructor) or "").partition("\n")[0]

    def build(self, **options: Any) -> Any:
        """A new network with these options. Raises BadOption with the nearest valid option or value."""
        types = self.types
        for name, value in options.items():
            self._check(types, name, value)
        try:
            return self.constructor(**{**self.fixed, **options})
        except ValueError as error:
            raise BadOption(f"{self.name}: {error}") from error

    def _check(self, types: Mapping[str, Any], name: str, value: Any) -> None:
        if name not in types:
            raise BadOption(f"{self.name} has no option {name!r}{hint(name, types)} (options: {', '.join(types)})")
        if not is_of_type(value, types[name]):
            raise BadOption(f"{self.name}: {name} must be {describe_type(types[name])}, not {value!r}")
        if name in self.fixed and value != self.fixed[name]:
            raise BadOption(
                f"{self.name} is {self.family} with {name}={self.fixed[name]!r}, not {value!r}: "
                f"for that, build {self.family!r} with {name}={value!r}"
            )
        if name in ("in_channels", "num_classes") and value < 1:
            raise BadOption(f"{self.name}: {name} must be at least 1, not {value}")


@cache
def _constructor(target: str) -> Callable[..., Any]:
    module, _, function = target.partition(":")
    constructor = getattr(import_module(module), function, None)
    if constructor is None:
        raise RegistrationError(f"{module} has no function {function!r}, which a paper's file declares")
    return constructor  # type: ignore[no-any-return]


@dataclass
class _Registry:
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
            taken = self.spellings.get(_plain(spelling))
            if taken is not None:
                title = self.entries[taken].paper.title
                raise RegistrationError(f"the name {spelling!r} is taken: {taken} ({title}) has it")
        self.spellings |= {_plain(spelling): network.name for spelling in (network.name, *network.aliases)}
        self.entries[network.name] = Entry(
            network.name, paper, network.input_size, network.constructor, network.claims, network.fixed, network.aliases
        )

    def extended_by(self, loaded: Any) -> "_Registry":
        """A copy with the papers of another package. Raises RegistrationError where one of them cannot be added."""
        extended = _Registry(list(self.papers), dict(self.entries), dict(self.spellings), dict(self.broken))
        papers = _papers_in(loaded)
        if not papers:
            raise RegistrationError("it makes no archzoo.paper.Paper")
        for paper in papers:
            extended.add(paper)
        for name in (name for paper in papers for name, _ in paper.statements):
            if _plain(name) not in extended.spellings:
                raise RegistrationError(f"it states something about {name!r}, and no network is called so")
        return extended


def _plain(name: str) -> str:
    """A name without case and punctuation: "WRN-28-10" and "wrn_28_10" are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _loaded() -> _Registry:
    """Import every paper's file of ours, then those that other packages name as entry points."""
    registry = _Registry()
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


def _papers_in(loaded: Any) -> list[Paper]:
    """The papers that a module makes, in order; or the paper itself where that was loaded."""
    values = vars(loaded).values() if isinstance(loaded, ModuleType) else [loaded]
    return list(dict.fromkeys(value for value in values if isinstance(value, Paper)))


def build(name: str, /, **options: Any) -> Any:
    """A new network by name. Raises UnknownName or BadOption with the nearest valid one."""
    return find(name).build(**options)


def find(name: str) -> Entry:
    """The entry of a name, in any spelling: "DenseNet-BC", "WRN-28-10" and "VGG16" find theirs.

    Raises UnknownName with the nearest names.
    """
    registry = _loaded()
    canonical = registry.spellings.get(_plain(name))
    if canonical is None:
        near = difflib.get_close_matches(_plain(name), registry.spellings, n=3, cutoff=0.6)
        meant = dict.fromkeys(registry.spellings[spelling] for spelling in near)
        suggestion = f": did you mean {' or '.join(meant)}?" if meant else "; archzoo.names() lists all"
        broken = f" (not loaded: {', '.join(registry.broken)})" if registry.broken else ""
        raise UnknownName(f"no network is called {name!r}{suggestion}{broken}")
    return registry.entries[canonical]


def names(pattern: str = "*") -> list[str]:
    """The registered names that match a shell pattern, oldest paper first."""
    patterns = {pattern.lower(), pattern.lower().replace("-", "_")}
    matching = [
        entry for entry in _loaded().entries.values() if any(fnmatchcase(entry.name, spelling) for spelling in patterns)
    ]
    # Within a year by link, which on arXiv is by month: never by which file happened to be imported first.
    return [entry.name for entry in sorted(matching, key=lambda entry: (entry.paper.year, entry.paper.link))]


def papers() -> list[Paper]:
    """Every paper, oldest first."""
    return sorted(_loaded().papers, key=lambda paper: (paper.year, paper.link))


def all_claims(pattern: str = "*") -> Iterator[tuple[Paper, Entry, Claim]]:
    """Every claim with the paper that prints it and the network it is about, network by network."""
    registry = _loaded()
    stated = [(paper, find(about).name, claim) for paper in registry.papers for about, claim in paper.statements]
    for name in names(pattern):
        entry = registry.entries[name]
        yield from ((entry.paper, entry, claim) for claim in entry.claims)
        yield from ((paper, entry, claim) for paper, about, claim in stated if about == name)


def not_countable() -> list[tuple[Paper, NotCountable]]:
    """The printed numbers that no count can check, oldest paper first."""
    ordered = sorted(_loaded().papers, key=lambda paper: paper.year)
    return [(paper, statement) for paper in ordered for statement in paper.uncountable]


def results(pattern: str = "*", data: str = "") -> list[Result]:
    """The published errors of the networks of these names, on some data or on all, oldest paper first.

    Raises ArchzooError for data that no paper reports.
    """
    if data and data not in DATA:
        raise ArchzooError(f"no results on {data!r}; there are {', '.join(DATA)}")
    published = (result for paper in papers() for result in paper.published_results)
    return [result for result in published if fnmatchcase(result.name, pattern) and data in ("", result.data)]


def recipes() -> list[Recipe]:
    """Every recipe: those of the papers, oldest first, then this project's own."""
    return [*(recipe for paper in papers() for recipe in paper.recipes), *DEFAULT_RECIPES]


def find_recipe(name: str, data: str = "") -> Recipe:
    """The recipe of this name, or the one that trains a network (on some data, where there are several).

    Without ``data`` it is the network's paper that decides. Raises RecipeError where there is none, with those there
    are, and where no recipe is published for a network.
    """
    for recipe in recipes():
        if recipe.name == name:
            return recipe
    try:
        entry = find(name)
    except UnknownName as error:
        raise RecipeError(f"no recipe is called {name!r}, and {error}") from error
    published = recipes_of(entry.name)
    candidates = [*published, *DEFAULT_RECIPES] if data else published
    for recipe in candidates:
        if data in ("", recipe.data):
            return recipe
    own = ", ".join(recipe.name for recipe in DEFAULT_RECIPES)
    if not published:
        raise RecipeError(
            f"no recipe is published for {entry.name} ({entry.paper.without_recipe[entry.name]}): choose one by name, "
            f"such as {own}"
        )
    known = ", ".join(recipe.name for recipe in candidates)
    raise RecipeError(f"no recipe for {entry.name!r} on {data!r}; there are {known}")


def recipes_of(network: str) -> list[Recipe]:
    """The papers' recipes for a network; those that name it come before those whose pattern matches it."""
    published = [recipe for paper in papers() for recipe in paper.recipes]
    named = [recipe for recipe in published if network in recipe.networks]
    matching = [
        recipe
        for recipe in published
        if recipe not in named and any(fnmatchcase(network, pattern) for pattern in recipe.networks)
    ]
    return [*named, *matching]


def broken() -> dict[str, str]:
    """The entry points of other packages that could not be loaded, each with its error."""
    return dict(_loaded().broken)


def plugins() -> "EntryPoints":
    """The entry points of other packages that add networks."""
    from importlib.metadata import entry_points  # a third of this package's import time

    return entry_points(group=PLUGINS)
