"""What the papers print, held against what we build: one verdict a claim."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from archzoo.claims import MISMATCH, QUANTITIES, Claim, Count
from archzoo.errors import ArchzooError
from archzoo.paper import Paper
from archzoo.profiler import Profile, profile
from archzoo.registry import Entry, all_claims, find, names


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
    for paper, entry, claim in all_claims(pattern):
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
        ours=spell(count, QUANTITIES[claim.quantity].separator),
        verdict=verdict,
        why=_reason(claim, verdict, count),
        at=claim.at,
        counting=claim.counting,
        setting=", ".join(f"{name}={value}" for name, value in claim.options.items()),
    )


def measure(entry: Entry, claim: Claim) -> Count:
    """Our count of what a claim is about: an integer, a fraction for a ratio, the sides for a size."""
    ours = _count(claim, entry.name, claim.options, claim.at)
    if not claim.of:
        return ours
    theirs = _count(claim, find(claim.to).name, claim.to_options, claim.to_at)
    if isinstance(ours, tuple) or isinstance(theirs, tuple):
        raise ArchzooError(f"{entry.name}: {claim}: sizes have no ratio")
    return Fraction(ours, theirs) if claim.quantity == "ratio" else ours - theirs


def _count(claim: Claim, name: str, options: Mapping[str, Any], at: str) -> Count:
    count = claim.counted.count
    if count is None:
        raise ArchzooError(f"{name}: {claim}: a {claim.of} has no ratio")
    return count(profiled(name, claim.input_size, **options), at, claim.conventions)


def spell(count: Count, between: str = "x") -> str:
    """A count as people read it: 1,234 · 0.123 · 28x28x256."""
    if isinstance(count, tuple):
        return between.join(map(str, count))
    if isinstance(count, Fraction) and count.denominator != 1:
        return f"{float(count):.4g}"
    return f"{int(count):,}"


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
