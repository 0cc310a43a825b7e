"""Learning rates over a training run, as factors of the first one: what papers print, as functions of the step."""

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Unit = Literal["epochs", "iterations"]


@dataclass(frozen=True)
class Run:
    """How long a run is: iterations in all, and in each epoch."""

    iterations: int
    per_epoch: int

    def place(self, iteration: int, unit: Unit) -> float:
        """Where an iteration stands, in epochs or iterations that are over."""
        return iteration // self.per_epoch if unit == "epochs" else iteration


class Schedule(Protocol):
    """A learning rate over a run, as a factor of the first one."""

    def factor(self, iteration: int, run: Run) -> float:
        """The factor at an iteration, counted from 0."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same rate all through."""

    def factor(self, iteration: int, run: Run) -> float:
        return 1.0


@dataclass(frozen=True)
class Steps:
    """Multiplied by ``by`` once each of these is over, in epochs or iterations."""

    at: tuple[int, ...]
    by: float = 0.1
    unit: Unit = "epochs"

    def factor(self, iteration: int, run: Run) -> float:
        return self.by ** sum(run.place(iteration, self.unit) >= one for one in self.at)


@dataclass(frozen=True)
class Stairs:
    """The factor of its own that begins once each of these is over, in epochs or iterations."""

    at: tuple[int, ...]
    factors: tuple[float, ...]
    unit: Unit = "epochs"

    def factor(self, iteration: int, run: Run) -> float:
        over = sum(run.place(iteration, self.unit) >= one for one in self.at)
        return self.factors[over - 1] if over else 1.0


@dataclass(frozen=True)
class Shares:
    """Multiplied by ``by`` once each of these shares of the run is over: (0.5, 0.75)."""

    at: tuple[float, ...]
    by: float = 0.1

    def factor(self, iteration: int, run: Run) -> float:
        return self.by ** sum(iteration >= round(share * run.iterations) for share in self.at)


@dataclass(frozen=True)
class Every:
    """Multiplied by ``by`` after every so many epochs or iterations: exponential, in stairs."""

    many: int
    by: float
    unit: Unit = "epochs"

    def factor(self, iteration: int, run: Run) -> float:
        return float(self.by ** (run.place(iteration, self.unit) // self.many))


@dataclass(frozen=True)
class Halves:
    """Multiplied by ``by`` whenever the epochs that are left have halved, ``times`` over: 200, 300, 350, 375 of 400."""

    by: float = 0.1
    times: int = 4

    def factor(self, iteration: int, run: Run) -> float:
        ends = [run.iterations - run.iterations // 2 ** (time + 1) for time in range(self.times)]
        return float(self.by ** sum(iteration >= end for end in ends))


@dataclass(frozen=True)
class Inverse:
    """Falls as 1 / (1 + rate * t), t in epochs or iterations."""

    rate: float
    unit: Unit = "iterations"

    def factor(self, iteration: int, run: Run) -> float:
        return 1 / (1 + self.rate * run.place(iteration, self.unit))


@dataclass(frozen=True)
class Linear:
    """Falls to zero in a straight line."""

    def factor(self, iteration: int, run: Run) -> float:
        return max(0.0, 1 - iteration / run.iterations)


@dataclass(frozen=True)
class Cosine:
    """Falls to zero as half a cosine, ``restarts`` times over (snapshot ensembles start anew)."""

    restarts: int = 1

    def factor(self, iteration: int, run: Run) -> float:
        length = math.ceil(run.iterations / self.restarts)
        return 0.5 * (1 + math.cos(math.pi * (iteration % length) / length))


@dataclass(frozen=True)
class Plateau:
    """Multiplied by ``by`` when the validation error has not fallen for ``patience`` epochs, ``drops`` times at most.

    What that comes to depends on the run: ``after`` is told the errors, and gives the factor for the next epoch.
    """

    by: float = 0.1
    patience: int = 5
    drops: int = 3

    def factor(self, iteration: int, run: Run) -> float:
        return 1.0

    def after(self, errors: Sequence[float]) -> float:
        """The factor after epochs with these validation errors."""
        best, waited, dropped = math.inf, 0, 0
        for error in errors:
            best, waited = (error, 0) if error < best else (best, waited + 1)
            if waited == self.patience and dropped < self.drops:
                dropped, waited = dropped + 1, 0
        return self.by**dropped


@dataclass(frozen=True)
class WarmUp:
    """Another factor for the first epochs or iterations, then the schedule."""

    factor_then: float
    many: int
    schedule: Schedule
    unit: Unit = "iterations"

    def factor(self, iteration: int, run: Run) -> float:
        if run.place(iteration, self.unit) < self.many:
            return self.factor_then
        return self.schedule.factor(iteration, run)


def rate_factor(schedule: Schedule, iteration: int, run: Run, errors: Sequence[float]) -> float:
    """The factor of any schedule at an iteration, behind epochs with these validation errors."""
    if isinstance(schedule, WarmUp):
        if run.place(iteration, schedule.unit) < schedule.many:
            return schedule.factor_then
        return rate_factor(schedule.schedule, iteration, run, errors)
    return schedule.after(errors) if isinstance(schedule, Plateau) else schedule.factor(iteration, run)


KINDS = {
    kind.__name__: kind for kind in (Constant, Cosine, Every, Halves, Inverse, Linear, Plateau, Shares, Stairs, Steps)
}


def read_schedule(text: str) -> Schedule:
    """A schedule as it is written in Python: Cosine(restarts=5), Steps((30, 60), by=0.1), WarmUp(0.1, 400, Linear()).

    Raises ValueError for anything else; nothing is run.
    """
    try:
        return _called(ast.parse(text, mode="eval").body)
    except (SyntaxError, TypeError, ValueError) as error:
        known = ", ".join([*KINDS, "WarmUp"])
        raise ValueError(f"{text!r} is no schedule: write one of {known} with its values, such as Cosine()") from error


def _called(node: ast.expr) -> Schedule:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError("no call")
    values = [_called(one) if isinstance(one, ast.Call) else ast.literal_eval(one) for one in node.args]
    named = {one.arg or "": ast.literal_eval(one.value) for one in node.keywords}
    kinds: dict[str, Callable[..., Schedule]] = {**KINDS, "WarmUp": WarmUp}
    if node.func.id not in kinds:
        raise ValueError("no schedule")
    return kinds[node.func.id](*values, **named)
