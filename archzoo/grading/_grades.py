"""The result of grading: checks with points, as text and in Gradescope's form. Imports no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from archzoo.escaping import json_text, one_line


@dataclass(frozen=True)
class Check:
    """One thing that is right or not: what was asked, what the answer is, and what it is worth."""

    name: str
    passed: bool
    text: str
    points: float = 1


@dataclass(frozen=True)
class Grade:
    """What is right and what is not in an implementation.

    ``checks`` are in the order in which they were made. ``notes`` are what a teacher should know and costs no points.
    """

    network: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def points(self) -> float:
        """The points of the checks that passed."""
        return sum(check.points for check in self.checks if check.passed)

    @property
    def possible(self) -> float:
        """The points of all checks."""
        return sum(check.points for check in self.checks)

    def __str__(self) -> str:
        lines = [f"{'right' if check.passed else 'wrong'}  {check.name}: {check.text}" for check in self.checks]
        lines += [f"note   {note}" for note in self.notes]
        lines.append(f"{self.network}: {self.points:g} of {self.possible:g} points")
        return "\n".join(map(one_line, lines))

    def as_gradescope(self) -> str:
        """The text of a ``results.json`` as Gradescope's autograder reads it."""
        tests = [
            {
                "name": one_line(check.name),
                "score": check.points if check.passed else 0,
                "max_score": check.points,
                "status": "passed" if check.passed else "failed",
                "output": one_line(check.text),
            }
            for check in self.checks
        ]
        values = {"score": self.points, "output": "\n".join(map(one_line, self.notes)), "tests": tests}
        return json_text(values, indent=1) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """All of it as values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Grade":
        """The grade that ``as_dict`` returned."""
        checks = tuple(Check(**check) for check in values["checks"])
        return cls(str(values["network"]), checks, tuple(map(str, values["notes"])))
