"""Everything that the page shows about one network."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import archzoo
from archzoo.auditor import AuditResult, profiled
from archzoo.paper import Result
from archzoo.profiler import Profile
from archzoo.registry import Entry, results
from archzoo.report.diagram import diagram
from archzoo.results import Row

MAX_DIAGRAM = 6_000  # bytes of a diagram two levels deep; a network with a larger one is drawn one level deep


@dataclass(frozen=True)
class Network:
    """A network with its costs, its audited claims, its published and its measured errors, and its diagram."""

    entry: Entry
    cost: Profile
    claims: Sequence[AuditResult]
    results: Sequence[Result]
    drawing: str
    measured: Sequence[Row] = ()

    @property
    def name(self) -> str:
        """The registered name."""
        return self.entry.name

    @property
    def verdicts(self) -> Counter[str]:
        """The number of claims per verdict."""
        return Counter(claim.verdict for claim in self.claims)


def describe(name: str, audited: Iterable[AuditResult], measured: Iterable[Row]) -> Network:
    """Collect what the page shows about a network. ``audited`` and ``measured`` may include those of other networks."""
    claims = [claim for claim in audited if claim.name == name]
    runs = [row for row in measured if row.network == name]
    return Network(archzoo.find(name), profiled(name), claims, results(name), _drawing(name), runs)


def _drawing(name: str) -> str:
    size, cost = archzoo.find(name).input_size, profiled(name)
    net = archzoo.build(name, device="meta")
    title = f"Diagram of {name}"
    drawing = diagram(net, size, depth=2, title=title, style=False, counted=cost)
    if len(drawing) <= MAX_DIAGRAM:
        return drawing
    return diagram(net, size, depth=1, title=title, style=False, counted=cost)


def place(result: Result) -> str:
    """Where an error is printed, with the options of the network and whether it was confirmed."""
    setting = ", ".join(f"{key}={value}" for key, value in result.options.items())
    return ", ".join(filter(None, (result.where, setting, "" if result.confirmed else "unconfirmed")))
