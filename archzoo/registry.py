"""Names, and the functions that build what they name. Knows nothing of PyTorch.

Authors use ``register``, ``preset``, ``quote`` and ``unaudited``; users ``build``, ``find`` and ``names``. A file
in ``archzoo/models`` or an entry point of the group ``archzoo.models`` is all that a new paper takes.
"""

import difflib
import inspect
import pkgutil
import re
import types
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from archzoo.claims import Claim, Paper, Unaudited
from archzoo.errors import ArchzooError, BadOption, UnknownName

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

PLUGINS = "archzoo.models"
Constructor = TypeVar("Constructor", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """A registered network: its name, its paper, and how to build it. Describing it builds nothing.

    ``input_size`` is the paper's, (channels, height, width). ``options`` are all options with their defaults,
    ``fixed`` those which make this name this network and cannot be changed, ``claims`` what papers print about it.
    """

    name: str
    paper: Paper
    input_size: tuple[int, int, int]
    constructor: Callable[..., Any] = field(repr=False)
    claims: tuple[Claim, ...] = field(default=(), repr=False)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """Every option and its default, in the constructor's order."""
        defaults = {name: option.default for name, option in _signature(self.constructor).items()}
        return {**defaults, **self.fixed}

    @property
    def types(self) -> dict[str, Any]:
        """The annotated type of every option."""
        return {name: option.annotation for name, option in _signature(self.constructor).items()}

    @property
    def summary(self) -> str:
        """The first line of the constructor's docstring."""
        return (inspect.getdoc(self.constructor) or "").partition("\n")[0]

    def build(self, **options: Any) -> Any:
        """A new network with these options. Raises BadOption, with the nearest option or value that would do."""
        for name, value in options.items():
            self._check(name, value)
        try:
            return self.constructor(**{**self.fixed, **options})
        except BadOption as error:
            raise BadOption(f"{self.name}: {error}") from error
        except ArchzooError:
            raise
        except ValueError as error:
            raise BadOption(f"{self.name}: {error}") from error

    def _check(self, name: str, value: Any) -> None:
        known = self.types
        if name not in known:
            raise BadOption(f"{self.name} has no option {name!r}{_hint(name, known)} (options: {', '.join(known)})")
        if not _fits(value, known[name]):
            raise BadOption(f"{self.name}: {name} must be {spell_type(known[name])}, not {value!r}")
        if name in self.fixed and value != self.fixed[name]:
            family = self.constructor.__name__
            raise BadOption(
                f"{self.name} is {family} with {name}={self.fixed[name]!r}, not {value!r}: "
                f"for that, build {family!r} with {name}={value!r}"
            )
        if name in ("in_channels", "num_classes") and value < 1:
            raise BadOption(f"{self.name}: {name} must be at least 1, not {value}")


_entries: dict[str, Entry] = {}
_spellings: dict[str, str] = {}
_quotes: list[tuple[Paper, str, Claim]] = []
_unaudited: list[tuple[Paper, Unaudited]] = []
_broken: dict[str, str] = {}


def register(
    paper: Paper, *claims: Claim, input_size: tuple[int, int, int], aliases: tuple[str, ...] = ()
) -> Callable[[Constructor], Constructor]:
    """Register a constructor under its own name. Its signature is the list of options: typed, with defaults.

    Raises ValueError for a name that is taken, for ``*args`` or ``**kwargs``, and for an option without a type or
    a default.
    """

    def decorate(constructor: Constructor) -> Constructor:
        _add(Entry(constructor.__name__, paper, input_size, constructor, claims, {}, aliases))
        return constructor

    return decorate


def preset(
    name: str,
    constructor: Callable[..., Any],
    *claims: Claim,
    paper: Paper | None = None,
    aliases: tuple[str, ...] = (),
    **fixed: Any,
) -> None:
    """Register a published setting of a registered constructor under a name of its own.

    ``fixed`` options make this name this network: asking for another value is refused.
    """
    family = _entries.get(constructor.__name__)
    if family is None or family.constructor is not constructor:
        raise ValueError(f"preset {name!r}: {constructor.__name__} is not registered; put @register on it first")
    for option in fixed.keys() - family.types.keys():
        raise ValueError(f"preset {name!r}: {family.name} has no option {option!r}{_hint(option, family.types)}")
    _add(Entry(name, paper or family.paper, family.input_size, constructor, claims, fixed, aliases))


def quote(paper: Paper, name: str, *claims: Claim) -> None:
    """What one paper prints about the network of another, by name: comparisons and rows of competitors."""
    _quotes.extend((paper, name, claim) for claim in claims)


def unaudited(paper: Paper, printed: str, where: str, why: str) -> None:
    """Note a printed number that no count can speak of, with the reason."""
    _unaudited.append((paper, Unaudited(printed, where, why)))


def build(name: str, /, **options: Any) -> Any:
    """A new network by name. Raises UnknownName or BadOption, each with what would be right."""
    return find(name).build(**options)


def find(name: str) -> Entry:
    """The entry of a name, in any spelling: "DenseNet-BC", "WRN-28-10" and "VGG16" find theirs.

    Raises UnknownName with the nearest names.
    """
    _load()
    canonical = _spellings.get(_plain(name))
    if canonical is None:
        near = difflib.get_close_matches(_plain(name), _spellings, n=3, cutoff=0.6)
        meant = dict.fromkeys(_spellings[spelling] for spelling in near)
        hint = f": did you mean {' or '.join(meant)}?" if meant else "; archzoo.names() lists what there is"
        broken = f" (not loaded: {', '.join(_broken)})" if _broken else ""
        raise UnknownName(f"no network is called {name!r}{hint}{broken}")
    return _entries[canonical]


def names(pattern: str = "*") -> list[str]:
    """The registered names that match a shell pattern, oldest paper first."""
    _load()
    patterns = {pattern.lower(), pattern.lower().replace("-", "_")}
    found = [entry for entry in _entries.values() if any(fnmatchcase(entry.name, one) for one in patterns)]
    # Within a year by link, which on arXiv is by month: never by which file happened to be imported first.
    return [entry.name for entry in sorted(found, key=lambda entry: (entry.paper.year, entry.paper.link))]


def published(pattern: str = "*") -> Iterator[tuple[Paper, Entry, Claim]]:
    """Every claim with the paper that prints it and the network it is about, network by network."""
    for name in names(pattern):
        entry = _entries[name]
        for claim in entry.claims:
            yield entry.paper, entry, claim
        for paper, about, claim in _quotes:
            if find(about).name == name:
                yield paper, entry, claim


def not_audited() -> list[tuple[Paper, Unaudited]]:
    """The printed numbers that no count can speak of, oldest paper first."""
    _load()
    return sorted(_unaudited, key=lambda item: item[0].year)


def broken() -> dict[str, str]:
    """The entry points of other packages that could not be loaded, each with its error."""
    _load()
    return dict(_broken)


def plugins() -> "EntryPoints":
    """The entry points of other packages that add networks."""
    from importlib.metadata import entry_points  # a third of this package's import time

    return entry_points(group=PLUGINS)


@cache
def _load() -> None:
    """Import every model file of ours, then those that other packages name as entry points."""
    models = import_module("archzoo.models")
    for module in sorted(module.name for module in pkgutil.iter_modules(models.__path__)):
        import_module(f"archzoo.models.{module}")
    for plugin in plugins():
        before = dict(_entries), dict(_spellings), len(_quotes), len(_unaudited)
        try:
            plugin.load()
        except Exception as error:  # whatever a stranger's package raises, the other networks stay available
            _restore(*before)
            _broken[plugin.name] = f"{type(error).__name__}: {error}"
            warnings.warn(f"archzoo: could not load {plugin.name!r} ({plugin.value}): {error}", stacklevel=3)


def _restore(entries: dict[str, Entry], spellings: dict[str, str], quotes: int, unaudited: int) -> None:
    """Forget what was registered since these copies were made."""
    _entries.clear()
    _entries.update(entries)
    _spellings.clear()
    _spellings.update(spellings)
    del _quotes[quotes:], _unaudited[unaudited:]


def _add(entry: Entry) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", entry.name):
        raise ValueError(f"{entry.name!r} is no name for a network: lower case letters, digits and _ only")
    for spelling in (entry.name, *entry.aliases):
        taken = _spellings.get(_plain(spelling))
        if taken is not None:
            raise ValueError(f"the name {spelling!r} is taken: {taken} ({_entries[taken].paper.title}) has it")
    _signature(entry.constructor)
    _entries[entry.name] = entry
    for spelling in (entry.name, *entry.aliases):
        _spellings[_plain(spelling)] = entry.name


def _plain(name: str) -> str:
    """What is left of a name when case and punctuation are: "WRN-28-10" and "wrn_28_10" are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _signature(constructor: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    types = typing.get_type_hints(constructor)
    for name, option in inspect.signature(constructor).parameters.items():
        if option.kind in (option.VAR_POSITIONAL, option.VAR_KEYWORD):
            raise ValueError(f"{constructor.__name__}: *{name} hides the options; spell them out")
        if name not in types or option.default is option.empty:
            raise ValueError(f"{constructor.__name__}: option {name!r} needs a type and a published default")
        found[name] = option.replace(annotation=types[name])
    for required in {"in_channels", "num_classes"} - found.keys():
        raise ValueError(f"{constructor.__name__}: every network takes {required}")
    return found


def _hint(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else ""


def _fits(value: Any, kind: Any) -> bool:
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return value in inside
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in inside)
    if origin is tuple:
        if not isinstance(value, tuple | list):
            return False
        each = inside[:1] * len(value) if inside[-1] is ... else inside
        return len(each) == len(value) and all(map(_fits, value, each))
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return kind is Any or isinstance(value, kind)


def spell_type(kind: Any) -> str:
    """An option's type in words: "an integer", "'A' or 'B'"."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(map(repr, inside))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(spell_type, inside))
    if origin is tuple:
        return f"a tuple of {spell_type(inside[0]).removeprefix('an ').removeprefix('a ')}s"
    plain = {int: "an integer", float: "a number", bool: "True or False", str: "a string", type(None): "None"}
    return plain.get(kind, str(kind))
