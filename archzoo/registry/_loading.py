"""All papers, loaded once: this project's, then those of other packages."""

import os
import pkgutil
import re
import sys
import threading
import warnings
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from archzoo.errors import RegistrationError
from archzoo.options import in_a_line
from archzoo.paper import Network, Paper
from archzoo.registry._entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint, EntryPoints

PLUGINS = "archzoo.papers"
WAIT = 300.0  # seconds for another thread that loads the papers


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
        paper.complete()
        self.papers.append(paper)

    def _add(self, paper: Paper, network: Network) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", network.name):
            raise RegistrationError(f"{network.name!r} cannot name a network: use lower case letters, digits and _")
        for spelling in (network.name, *network.aliases):
            if not plain(spelling):
                raise RegistrationError(f"{spelling!r} cannot be an alias of {network.name}: it has no letter or digit")
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


class Shared:
    """What all threads share: the papers, once they are loaded, and the lock of the thread that loads them."""

    def __init__(self) -> None:
        self.registry: Registry | None = None
        self.renew_lock()

    def renew_lock(self) -> None:
        """Make a new lock: a forked process has the lock of a thread that it does not have."""
        self.lock = threading.RLock()


class Loading(threading.local):
    """What this thread has loaded so far, which is what a plugin sees that asks for networks as it is loaded."""

    so_far: Registry | None = None


SHARED = Shared()
LOADING = Loading()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SHARED.renew_lock)


def loaded() -> Registry:
    """The papers of this project, then those that other packages name as entry points, loaded by one thread.

    Another thread waits for it. One that imports a module would wait for ever where a plugin needs that module: it
    loads the papers itself, without the lock, since Python's own locks of modules find such circles. A plugin that asks
    for networks as it is loaded gets what is there so far. Raises RegistrationError after WAIT seconds.
    """
    registry = SHARED.registry
    if registry is not None:
        return registry
    if LOADING.so_far is not None:
        return LOADING.so_far
    if not SHARED.lock.acquire(blocking=False):
        if _imports_a_module(sys._getframe()):
            return _load()[0]
        if not SHARED.lock.acquire(timeout=WAIT):
            raise RegistrationError(
                f"another thread has loaded the papers of other packages for {WAIT:g} seconds, and is not done: one of "
                f"{', '.join(plugin.name for plugin in plugins())} may wait for this thread"
            )
    try:
        failures: list[str] = []
        registry = SHARED.registry
        if registry is None:
            registry, failures = _load()
            SHARED.registry = registry
    finally:
        SHARED.lock.release()
    for failure in failures:
        warnings.warn(failure, stacklevel=3)
    return registry


def forget() -> None:
    """Load the papers anew when they are asked for next."""
    SHARED.registry = None


def _imports_a_module(frame: FrameType | None) -> bool:
    """Whether an import statement of this thread waits for the code that runs."""
    while frame is not None:
        if frame.f_globals.get("__name__") in ("importlib._bootstrap", "_frozen_importlib"):
            return True
        frame = frame.f_back
    return False


def _load() -> tuple[Registry, list[str]]:
    """The registry, and a sentence for each plugin that could not be loaded."""
    registry, failures = Registry(), []
    try:
        package = import_module("archzoo.papers")
        for module in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
            for paper in _papers_in(import_module(f"archzoo.papers.{module}")):
                registry.add(paper)
        for plugin in _entry_points(registry):
            LOADING.so_far = registry
            try:
                registry = registry.extended_by(plugin.load())
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever another package does, also an exit, the others stay available
                reason = in_a_line(error)
                name = plugin.name if plugin.name not in registry.broken else f"{plugin.name} ({plugin.value})"
                registry.broken[name] = f"{type(error).__name__}: {reason}"
                failures.append(f"archzoo: could not load {plugin.name!r} ({plugin.value}): {reason}")
    finally:
        LOADING.so_far = None
    return registry, failures


def _entry_points(registry: Registry) -> "Iterable[EntryPoint]":
    """The entry points of other packages; none, with the reason, where the metadata of one cannot be read."""
    try:
        return plugins()
    except Exception as error:
        registry.broken["metadata of the installed packages"] = f"{type(error).__name__}: {in_a_line(error)}"
        return ()


def _papers_in(source: Any) -> list[Paper]:
    """The papers that a module makes, in order; or the paper itself where that was loaded."""
    values = list(vars(source).values()) if isinstance(source, ModuleType) else [source]
    return list(dict.fromkeys(value for value in values if isinstance(value, Paper)))


def broken() -> dict[str, str]:
    """The entry points of other packages that could not be loaded, each with its error."""
    return dict(loaded().broken)


def plugins() -> "EntryPoints":
    """The entry points of other packages that add networks."""
    from importlib.metadata import entry_points  # a third of this package's import time

    return entry_points(group=PLUGINS)
