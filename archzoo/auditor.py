"""What the papers print, held against what we build: one verdict a claim."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from archzoo.claims import MISMATCH, Claim, Count, Paper
from archzoo.errors import ArchzooError
from archzoo.profiler import Profile, Row, profile
from archzoo.registry import Entry, find, names, published


@dataclass(frozen=True)
class Finding:
    """One claim held against one network.

    ``ours`` is our exact count, or the size; ``why`` the reason of an explained claim, or what went wrong.
    """

    name: str
    paper: str
    quantity: str
    where: str
    printed: str
    ours: str
    verdict: str
    why: str
    at: str = ""
    counting: str = ""
    setting: str = ""


def audit(pattern: str = "*") -> list[Finding]:
    """One verdict for each claim about the networks of these names, oldest paper first.

    Raises ArchzooError where no network has such a name.
    """
    if not names(pattern):
        raise ArchzooError(f"no network is called {pattern!r}; archzoo.names() lists what there is")
    return list(_findings(pattern))


def _findings(pattern: str) -> Iterator[Finding]:
    for paper, entry, claim in published(pattern):
        yield judge(paper, entry, claim)


def judge(paper: Paper, entry: Entry, claim: Claim) -> Finding:
    """Hold one claim against the network that it is about."""
    count = measure(entry, claim)
    verdict = claim.judge(count)
    return Finding(
        name=entry.name,
        paper=paper.title,
        quantity=f"{claim.quantity} of {claim.of}" if claim.of else claim.quantity,
        where=claim.where if claim.confirmed else f"{claim.where} (unconfirmed)",
        printed=claim.printed,
        ours=spell(count, "-" if claim.quantity == "sizes" else "x"),
        verdict=verdict,
        why=_reason(claim, verdict, count),
        at=claim.at,
        counting=claim.counting,
        setting=", ".join(f"{name}={value}" for name, value in claim.options.items()),
    )


def measure(entry: Entry, claim: Claim) -> Count:
    """Our count of what a claim is about: an integer, a fraction for a ratio, the sides for a size."""
    if not claim.of:
        return _count(claim.quantity, entry.name, claim.options, claim.input_size, claim.at, claim.conventions)
    this = _count(claim.of, entry.name, claim.options, claim.input_size, claim.at, claim.conventions)
    that = _count(claim.of, find(claim.to).name, claim.to_options, claim.input_size, claim.to_at, claim.conventions)
    if isinstance(this, tuple) or isinstance(that, tuple):
        raise ArchzooError(f"{entry.name}: {claim}: sizes have no ratio")
    return Fraction(this, that) if claim.quantity == "ratio" else this - that


def spell(count: Count, between: str = "x") -> str:
    """A count as people read it: 1,234 · 0.123 · 28x28x256."""
    if isinstance(count, tuple):
        return between.join(map(str, count))
    if isinstance(count, Fraction) and count.denominator != 1:
        return f"{float(count):.4g}"
    return f"{int(count):,}"


COUNTS: Mapping[str, Callable[[Row], int]] = {
    "params": lambda row: row.params,
    "weights": lambda row: row.weights,
    "macs": lambda row: row.macs,
    "flops": lambda row: row.flops,
    "connections": lambda row: row.connections,
    "neurons": lambda row: row.neurons,
    "layers": lambda row: row.layers,
    "bytes": lambda row: 4 * row.params,
}


def _count(
    quantity: str,
    name: str,
    options: Mapping[str, Any],
    input_size: tuple[int, int, int] | None,
    at: str,
    conventions: frozenset[str],
) -> Count:
    found = profiled(name, input_size, **options)
    if quantity == "depth":
        return found.depth
    if quantity == "sizes":
        return found.sides(at or "features")
    if quantity == "size":
        output = found.at(at).output
        return (*output[1:], output[0]) if output else ()
    if quantity == "params" and "weights only" in conventions:
        quantity = "weights"
    rows = [found.at(part) for part in at.split(" + ")]
    if quantity == "params" and "without batch norm" in conventions:
        return sum(row.params - row.norm_params for row in rows)
    return sum(COUNTS[quantity](row) for row in rows)


def profiled(name: str, input_size: tuple[int, int, int] | None = None, **options: Any) -> Profile:
    """The profile of a registered network with these options, at its paper's input size unless another is given.

    Counted once: behind it the same profile comes back.
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
        return f"explained without need: the count meets the print ({claim.why})"
    return f"expected {claim.ours}: {claim.why}" if claim.why else ""
