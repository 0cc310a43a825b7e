"""Learning-rate schedules: the factor of the initial rate at each iteration. Imports no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from archzoo.recipes._ranges import check_numbers
from archzoo.recipes._transforms import check_choice, require

Unit = Literal["epochs", "iterations"]
Measure = Literal["validation", "training"]


@dataclass(frozen=True)
class Duration:
    """The length of a run: iterations in all, and in each epoch."""

    iterations: int
    per_epoch: int

    def position(self, iteration: int, unit: Unit) -> int:
        """How many whole epochs, or iterations, are done before this iteration."""
        return iteration // self.per_epoch if unit == "epochs" else iteration


@dataclass(frozen=True)
class Schedule:
    """A learning rate over a run, as a factor of the initial one."""

    def __post_init__(self) -> None:
        check_numbers(self)
        unit = getattr(self, "unit", "epochs")
        name = type(self).__name__
        require(unit in get_args(Unit), f"unit of {name} must be 'epochs' or 'iterations', not {unit!r}")
        for field in ("milestones", "fractions"):
            values = getattr(self, field, ())
            is_sorted = isinstance(values, tuple) and list(values) == sorted(values)
            require(is_sorted, f"{field} of {name} must be a tuple of increasing numbers, not {values!r}")

    def factor(self, iteration: int, run: Duration) -> float:
        """The factor at an iteration, counted from 0."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout."""

    def factor(self, iteration: int, run: Duration) -> float:
        return 1.0


@dataclass(frozen=True)
class MultiStep(Schedule):
    """Multiply by ``gamma`` after each milestone, in epochs or iterations."""

    milestones: tuple[int, ...]
    gamma: float = 0.1
    unit: Unit = "epochs"

    def factor(self, iteration: int, run: Duration) -> float:
        position = run.position(iteration, self.unit)
        return self.gamma ** sum(position >= milestone for milestone in self.milestones)


@dataclass(frozen=True)
class PiecewiseConstant(Schedule):
    """A factor of its own after each milestone, in epochs or iterations."""

    milestones: tuple[int, ...]
    factors: tuple[float, ...]
    unit: Unit = "epochs"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            len(self.milestones) == len(self.factors),
            f"PiecewiseConstant takes one factor for each milestone, not {len(self.factors)} for "
            f"{len(self.milestones)}",
        )

    def factor(self, iteration: int, run: Duration) -> float:
        position = run.position(iteration, self.unit)
        passed = sum(position >= milestone for milestone in self.milestones)
        return self.factors[passed - 1] if passed else 1.0


@dataclass(frozen=True)
class MultiStepFraction(Schedule):
    """Multiply by ``gamma`` after each of these fractions of the run: (0.5, 0.75)."""

    fractions: tuple[float, ...]
    gamma: float = 0.1

    def factor(self, iteration: int, run: Duration) -> float:
        return self.gamma ** sum(iteration >= round(fraction * run.iterations) for fraction in self.fractions)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Multiply by ``gamma`` every ``step_size`` epochs or iterations."""

    step_size: int
    gamma: float
    unit: Unit = "epochs"

    def factor(self, iteration: int, run: Duration) -> float:
        return float(self.gamma ** (run.position(iteration, self.unit) // self.step_size))


@dataclass(frozen=True)
class RemainingHalves(Schedule):
    """Multiply by ``gamma`` whenever the remaining run has halved, ``times`` times: at 200, 300, 350, 375 of 400."""

    gamma: float = 0.1
    times: int = 4

    def factor(self, iteration: int, run: Duration) -> float:
        ends = [run.iterations - run.iterations // 2 ** (time + 1) for time in range(self.times)]
        return float(self.gamma ** sum(iteration >= end for end in ends))


@dataclass(frozen=True)
class InverseTime(Schedule):
    """1 / (1 + rate * t), with t in epochs or iterations."""

    rate: float
    unit: Unit = "iterations"

    def factor(self, iteration: int, run: Duration) -> float:
        return 1 / (1 + self.rate * run.position(iteration, self.unit))


@dataclass(frozen=True)
class LinearDecay(Schedule):
    """Fall to zero in a straight line."""

    def factor(self, iteration: int, run: Duration) -> float:
        return max(0.0, 1 - iteration / run.iterations)


@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """Fall to zero as a power of the remaining share of the run (Caffe's "poly")."""

    power: float = 1.0

    def factor(self, iteration: int, run: Duration) -> float:
        return float(max(0.0, 1 - iteration / run.iterations) ** self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Fall to zero along half a cosine, ``restarts`` times (snapshot ensembles restart; Huang et al. 2017)."""

    restarts: int = 1

    def factor(self, iteration: int, run: Duration) -> float:
        length = math.ceil(run.iterations / self.restarts)
        return 0.5 * (1 + math.cos(math.pi * (iteration % length) / length))


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply by ``gamma`` after ``patience`` epochs without a better error, at most ``drops`` times.

    The error is that of validation, or that of training with ``measure="training"``. The factor depends on the run:
    ``factor_after`` takes the errors of the epochs that are done.
    """

    gamma: float = 0.1
    patience: int = 5
    drops: int = 3
    measure: Measure = "validation"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "measure", Measure)

    def factor(self, iteration: int, run: Duration) -> float:
        return 1.0

    def factor_after(self, errors: Sequence[float]) -> float:
        """The factor after epochs with these validation errors."""
        best, waited, dropped = math.inf, 0, 0
        for error in errors:
            best, waited = (error, 0) if error < best else (best, waited + 1)
            if waited == self.patience and dropped < self.drops:
                dropped, waited = dropped + 1, 0
        return self.gamma**dropped


@dataclass(frozen=True)
class Warmup(Schedule):
    """A constant factor for the first ``length`` epochs or iterations, then ``schedule``."""

    initial: float
    length: int
    schedule: Schedule
    unit: Unit = "iterations"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(isinstance(self.schedule, Schedule), f"Warmup is followed by a schedule, not {self.schedule!r}")

    def factor(self, iteration: int, run: Duration) -> float:
        if run.position(iteration, self.unit) < self.length:
            return self.initial
        return self.schedule.factor(iteration, run)


@dataclass(frozen=True)
class WarmupUntil(Schedule):
    """A constant factor to the end of the first epoch whose training error is below ``error``, then ``schedule``.

    ResNet-110 on CIFAR-10 starts so, below an error of 0.8 (Sec. 4.2). Plans and drawings, which know no errors, leave
    the start out.
    """

    initial: float
    error: float
    schedule: Schedule

    def __post_init__(self) -> None:
        super().__post_init__()
        require(isinstance(self.schedule, Schedule), f"WarmupUntil is followed by a schedule, not {self.schedule!r}")

    def factor(self, iteration: int, run: Duration) -> float:
        return self.schedule.factor(iteration, run)


def rate_factor(
    schedule: Schedule,
    iteration: int,
    run: Duration,
    errors: Sequence[float],
    training_errors: Sequence[float] = (),
) -> float:
    """The factor of any schedule at an iteration, given the validation and training errors of the epochs before."""
    if isinstance(schedule, Warmup) and run.position(iteration, schedule.unit) < schedule.length:
        return schedule.initial
    if isinstance(schedule, WarmupUntil) and not any(error < schedule.error for error in training_errors):
        return schedule.initial
    if isinstance(schedule, Warmup | WarmupUntil):
        return rate_factor(schedule.schedule, iteration, run, errors, training_errors)
    if isinstance(schedule, ReduceOnPlateau):
        return schedule.factor_after(errors if schedule.measure == "validation" else training_errors)
    return schedule.factor(iteration, run)


SCHEDULES: tuple[type[Schedule], ...] = (
    Constant,
    Cosine,
    InverseTime,
    LinearDecay,
    MultiStep,
    MultiStepFraction,
    PiecewiseConstant,
    PolynomialDecay,
    ReduceOnPlateau,
    RemainingHalves,
    StepDecay,
    Warmup,
    WarmupUntil,
)
