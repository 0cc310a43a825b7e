"""How much of a forward pass has a formula: operators and their calls, by how they were counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from archzoo.escaping import one_line
from archzoo.profiler._operator import Operator

Calls = dict[str, int]  # of operators, by name


@dataclass(frozen=True)
class Coverage:
    """Operators that a forward pass called on tensors, with their calls.

    Attributes:
        counted: Those with a formula.
        free: Those that have no arithmetic: they move or look up data, or make a view.
        estimated: Those whose count is an estimate, since the library chooses how to compute them.
        uncounted: Those without a formula, which make the multiply-adds a lower bound.
    """

    counted: Calls = field(default_factory=dict)
    free: Calls = field(default_factory=dict)
    estimated: Calls = field(default_factory=dict)
    uncounted: Calls = field(default_factory=dict)

    def copy(self) -> "Coverage":
        """The same calls, to be changed without these."""
        return Coverage(**{kind: dict(calls) for kind, calls in vars(self).items()})

    def __str__(self) -> str:
        kinds = (self.counted, self.free, self.estimated, self.uncounted)
        calls = sum(sum(kind.values()) for kind in kinds)
        parts = [f"{len(self.counted)} with a formula", f"{len(self.free)} without arithmetic"]
        parts += [f"{len(calls)} estimated ({_names(calls)})" for calls in (self.estimated,) if calls]
        parts += [f"{len(calls)} not counted ({_names(calls)})" for calls in (self.uncounted,) if calls]
        return f"{sum(map(len, kinds))} operators in {calls:,} calls: {', '.join(parts)}"


def _names(calls: Calls) -> str:
    return ", ".join(one_line(name.removeprefix("aten.")) for name in calls)


def coverage_of(operators: Sequence[Operator]) -> Coverage:
    """The coverage of these calls."""
    counter = Counter(map(id, operators))
    by_id = {id(operator): operator for operator in operators}
    kinds: dict[str, dict[str, int]] = {"counted": {}, "free": {}, "estimated": {}, "uncounted": {}}
    for key, operator in by_id.items():
        calls = kinds[_kind(operator)]
        calls[operator.name] = calls.get(operator.name, 0) + counter[key]
    return Coverage(**kinds)


def _kind(operator: Operator) -> str:
    if operator.estimate:
        return "estimated"
    if operator.macs is not None or operator.other_ops is not None:
        return "counted"
    return "free" if operator.known else "uncounted"
