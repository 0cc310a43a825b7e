"""Checks every number that the papers print against the networks: one verdict per claim."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from archzoo.claims import MISMATCH, Claim, Count, Paper
from archzoo.errors import ArchzooError
from archzoo.profiler import ModuleStats, Profile, profile
from archzoo.registry import Entry, find, names, published


@dataclass(frozen=True)
class AuditResult:
    """The verdict on one claim about one network.

    ``ours`` is the network's own count: an integer, a float for a ratio, the side lengths for a size. ``why`` explains
    an "explained" claim or a mismatch.
    """

    name: str
    paper: str
    quantity: str
    where: str
    printed: str
    ours: int | float | tuple[int, ...]
    verdict: str
    why: str
    at: str = ""
    counting: str = ""
    setting: str = ""

    @property
    def ours_text(self) -> str:
        """``ours`` as text, in the form of the printed number: 1,234, 0.123, 28x28x256, 112-56-28."""
        return spell(self.ours, "-" if self.quantity == "sizes" else "x")


def audit(pattern: str = "*") -> list[AuditResult]:
    """One verdict for each claim about the networks whose names match ``pattern``, oldest paper first.

    Raises ArchzooError if no name matches.
    """
    if not names(pattern):
        raise ArchzooError(f"no network is called {pattern!r}; archzoo.names() lists what there is")
    return [judge(paper, entry, claim) for paper, entry, claim in published(pattern)]


def judge(paper: Paper, entry: Entry, claim: Claim) -> AuditResult:
    """Check one claim against the network that it is about."""
    count = measure(entry, claim)
    verdict = claim.judge(count)
    return AuditResult(
        name=entry.name,
        paper=paper.title,
        quantity=f"{claim.quantity} of {claim.of}" if claim.of else claim.quantity,
        where=claim.where if claim.confirmed else f"{claim.where} (unconfirmed)",
        printed=claim.printed,
        ours=float(count) if isinstance(count, Fraction) else count,
        verdict=verdict,
        why=_reason(claim, verdict, count),
        at=claim.at,
        counting=claim.counting,
        setting=", ".join(f"{name}={value}" for name, value in claim.options.items()),
    )


def measure(entry: Entry, claim: Claim) -> Count:
    """The network's count of a claim's quantity: an integer, a fraction for a ratio, side lengths for a size."""
    if not claim.of:
        return _count(claim.quantity, entry.name, claim.options, claim.input_size, claim.at, claim.conventions)
    this = _count(claim.of, entry.name, claim.options, claim.input_size, claim.at, claim.conventions)
    that = _count(claim.of, find(claim.to).name, claim.to_options, claim.input_size, claim.to_at, claim.conventions)
    if isinstance(this, tuple) or isinstance(that, tuple):
        raise ArchzooError(f"{entry.name}: {claim}: sizes have no ratio")
    return Fraction(this, that) if claim.quantity == "ratio" else this - that


def spell(count: float | tuple[int, ...], separator: str = "x") -> str:
    """A count as text: 1,234, 0.123, 28x28x256."""
    if isinstance(count, tuple):
        return separator.join(map(str, count))
    return f"{int(count):,}" if count == int(count) else f"{count:.4g}"


COUNTS: Mapping[str, Callable[[ModuleStats], int]] = {
    "params": lambda stats: stats.params,
    "weights": lambda stats: stats.weights,
    "macs": lambda stats: stats.macs,
    "flops": lambda stats: stats.flops,
    "connections": lambda stats: stats.connections,
    "neurons": lambda stats: stats.neurons,
    "layers": lambda stats: stats.layers,
    "bytes": lambda stats: 4 * stats.params,
}


def _count(
    quantity: str,
    name: str,
    options: Mapping[str, Any],
    input_size: tuple[int, int, int] | None,
    at: str,
    conventions: frozenset[str],
) -> Count:
    counted = profiled(name, input_size, **options)
    if quantity == "depth":
        return counted.depth
    if quantity == "sizes":
        return counted.sides(at or "features")
    if quantity == "size":
        output = counted.at(at).output
        return (*output[1:], output[0]) if output else ()
    if quantity == "params" and "weights only" in conventions:
        quantity = "weights"
    parts = [counted.at(part) for part in at.split(" + ")]
    if quantity == "params" and "without batch norm" in conventions:
        return sum(stats.params - stats.norm_params for stats in parts)
    return sum(COUNTS[quantity](stats) for stats in parts)


def profiled(name: str, input_size: tuple[int, int, int] | None = None, **options: Any) -> Profile:
    """The profile of a registered network with these options, at its paper's input size by default.

    Profiles are cached.
    """
    entry = find(name)
    return _profiled(entry.name, tuple(options.items()), input_size or entry.input_size)


@cache
def _profiled(name: str, options: tuple[tuple[str, Any], ...], input_size: tuple[int, int, int]) -> Profile:
    import torch

    with torch.device("meta"):
        net = find(name).build(**dict(options))
    return profile(net, input_size)


def _reason(claim: Claim, verdict: str, count: Count) -> str:
    if verdict != MISMATCH:
        return claim.why
    if claim.why and claim.agrees_with(claim.printed)(count):
        return f"the explanation is obsolete: the count agrees with the printed number ({claim.why})"
    return f"expected {claim.ours}: {claim.why}" if claim.why else ""
