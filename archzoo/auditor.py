"""Checks every number that the papers print against the networks: one verdict per claim."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from archzoo import notebook_html as html
from archzoo.claims import EXPLAINED, MATCH, MISMATCH, QUANTITIES, Claim, Count
from archzoo.errors import ArchzooError
from archzoo.options import in_a_line
from archzoo.paper import Paper
from archzoo.profiler import Profile, profile
from archzoo.registry import Entry, all_claims, find, names

VERDICTS = (MATCH, EXPLAINED, MISMATCH)


@dataclass(frozen=True)
class AuditResult:
    """The verdict on one claim about one network.

    ``ours`` is the network's own count: an integer, a float for a ratio, the side lengths for a size, and () for none.
    ``why`` explains an "explained" claim or a mismatch. ``to`` is the other network of a ratio or a difference.
    ``confirmed`` is whether the printed number was read in the paper; otherwise it was quoted from memory.
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
    to: str = ""
    confirmed: bool = True

    @property
    def ours_text(self) -> str:
        """``ours`` as text, in the form of the printed number: 1,234, 0.123, 28x28x256, 112-56-28."""
        return spell(self.ours, QUANTITIES[self.quantity.partition(" ")[0]].separator)

    @property
    def quantity_text(self) -> str:
        """The quantity with the part, the setting and the convention that it is counted in."""
        to = f" to {self.to}" if self.to else ""
        details = [f"of {self.at}" if self.at else "", self.setting, self.counting]
        return f"{self.quantity}{to} {', '.join(filter(None, details))}".strip()

    def _repr_html_(self) -> str:
        return Audit([self])._repr_html_()


class Audit(list[AuditResult]):
    """The verdicts of an audit, a list. Its repr counts them, and a notebook shows them as a table."""

    def __repr__(self) -> str:
        counts = Counter(result.verdict for result in self)
        numbers = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
        return f"{len(self)} claim{'' if len(self) == 1 else 's'}: {numbers}"

    def _repr_html_(self) -> str:
        rows = [
            (r.verdict, r.name, r.quantity_text, r.printed, r.ours_text, f"{r.where}, {r.paper}", r.why) for r in self
        ]
        heads = ("verdict", "network", "quantity", "printed", "ours", "where", "why")
        return html.paragraph(repr(self)) + html.table(heads, rows, numbers=("printed", "ours"))


def audit(pattern: str = "*") -> Audit:
    """One verdict for each claim about the networks whose names match ``pattern``, oldest paper first.

    A claim that cannot be counted, since its network fails to build or to run, is a mismatch, and says why. Raises
    UnknownName if no name matches.
    """
    if not names(pattern):
        find(pattern)  # raises UnknownName with the nearest names
    return Audit(judge(paper, entry, claim) for paper, entry, claim in all_claims(pattern))


def judge(paper: Paper, entry: Entry, claim: Claim) -> AuditResult:
    """Check one claim against the network that it is about."""
    try:
        count = measure(entry, claim)
        verdict = claim.judge(count)
        why = _reason(claim, verdict, count)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a network of another package does, also an exit, the others are judged
        count, verdict, why = (), MISMATCH, f"cannot be counted: {type(error).__name__}: {in_a_line(error)}"
    return AuditResult(
        name=entry.name,
        paper=paper.title,
        quantity=f"{claim.quantity} of {claim.of}" if claim.of else claim.quantity,
        where=claim.where,
        printed=claim.printed,
        ours=float(count) if isinstance(count, Fraction) else count,
        verdict=verdict,
        why=why,
        at=claim.at,
        counting=claim.counting,
        setting=_spell_options(claim.options),
        to=f"{claim.to} ({_spell_options(claim.to_options)})" if claim.to_options else claim.to,
        confirmed=claim.confirmed,
    )


def _spell_options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


@dataclass(frozen=True)
class Differences:
    """How networks differ from their authors' released code: ``sentences``, one or more for each difference.

    ``names`` are the networks of one constructor, whose docstring says so.
    """

    names: tuple[str, ...]
    paper: str
    sentences: tuple[str, ...]


def differences(pattern: str = "*") -> list[Differences]:
    """What the networks whose names match ``pattern`` do differently from the released code, oldest paper first.

    A network that follows the release is not among them. One whose constructor or docstring cannot be read is, with
    the error.
    """
    families: dict[str, list[Entry]] = {}
    for entry in map(find, names(pattern)):
        families.setdefault(entry.target, []).append(entry)
    return [
        Differences(tuple(entry.name for entry in entries), entries[0].paper.title, sentences)
        for entries in families.values()
        if (sentences := _sentences(entries[0]))
    ]


def _sentences(entry: Entry) -> tuple[str, ...]:
    try:
        return entry.differences
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of another package
        return (f"What differs cannot be read: {type(error).__name__}: {in_a_line(error)}",)


def measure(entry: Entry, claim: Claim) -> Count:
    """The network's count of a claim's quantity: an integer, a fraction for a ratio, side lengths for a size."""
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
    return count(_shared_profile(name, claim.input_size, options), at, claim.conventions)


def spell(count: float | tuple[int, ...], separator: str = "x") -> str:
    """A count as text: 1,234, 0.123, 28x28x256."""
    if isinstance(count, tuple):
        return separator.join(map(str, count))
    return f"{int(count):,}" if count == int(count) else f"{count:.4g}"


def profiled(name: str, input_size: tuple[int, int, int] | None = None, **options: Any) -> Profile:
    """The profile of a registered network with these options, at its paper's input size by default.

    Profiles are cached, and this is a copy: what is changed in it changes no other.
    """
    return _shared_profile(name, input_size, options).copy()


def _shared_profile(name: str, input_size: tuple[int, int, int] | None, options: Mapping[str, Any]) -> Profile:
    entry = find(name)
    return _profiled(entry.name, tuple(entry.checked(options).items()), tuple(input_size or entry.input_size))


@cache
def _profiled(name: str, options: tuple[tuple[str, Any], ...], input_size: tuple[int, ...]) -> Profile:
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
