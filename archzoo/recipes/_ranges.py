"""The ranges of all numbers in schedules, transforms, preprocessing and protocols, by name. Imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from archzoo.errors import RecipeError
from archzoo.ranges import check_real, check_whole

SIDE = 16_384  # pixels
LONGEST = 999_999_999  # iterations or epochs


@dataclass(frozen=True)
class Whole:
    """Integers from ``low`` to ``high``."""

    low: int
    high: int

    def check(self, name: str, value: Any) -> None:
        """Raise RecipeError for any other value."""
        check_whole(name, value, self.low, self.high, RecipeError)


@dataclass(frozen=True)
class Real:
    """Numbers from ``low`` to ``high``; ``above`` and ``below`` leave an end out."""

    low: float
    high: float
    above: bool = False
    below: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise RecipeError for any other value."""
        check_real(name, value, self.low, self.high, RecipeError, above=self.above, below=self.below)


LARGE = 1e6
POSITIVE = Real(0, LARGE, above=True)
# By the name of the field, or by class and field where they differ. A tuple's range is that of its items.
RANGES: Mapping[str, Whole | Real] = {
    # Schedules.
    "drops": Whole(0, 1_000),
    "error": Real(0, 1, above=True),
    "factors": Real(0, LARGE),
    "fractions": Real(0, 1, above=True),
    "gamma": Real(0, 1, above=True),
    "initial": Real(0, LARGE),
    "length": Whole(1, LONGEST),
    "milestones": Whole(1, LONGEST),
    "patience": Whole(1, LONGEST),
    "power": Real(0, 100, above=True),
    "rate": Real(0, LARGE),
    "restarts": Whole(1, 10_000),
    "step_size": Whole(1, LONGEST),
    "times": Whole(1, 30),  # the remaining run halves to nothing
    # Transforms and protocols.
    "brightness": Real(0, 1),
    "contrast": Real(0, 1),
    "fill": Real(-LARGE, LARGE),
    "hue": Real(0, 0.5),
    "max_size": Whole(1, SIDE),
    "padding": Whole(0, SIDE),
    "ratio": Real(0, 1_000, above=True),
    "resize": Whole(1, SIDE),
    "saturation": Real(0, 1),
    "scale": Real(0, 1, above=True),
    "sides": Whole(1, SIDE),
    "size": Whole(1, SIDE),
    "PCALighting.std": Real(0, 1_000),
    "eigenvalues": Real(0, LARGE),
    "components": Real(-LARGE, LARGE),
    # Preprocessing.
    "epsilon": POSITIVE,
    "high": Real(-LARGE, LARGE),
    "low": Real(-LARGE, LARGE),
    "mean": Real(-LARGE, LARGE),
    "values": Real(-LARGE, LARGE),
    "Normalize.std": POSITIVE,
    "ZCAWhitening.contrast": POSITIVE,
    # Of a recipe itself.
    "lr": POSITIVE,
    "batch_size": Whole(1, 10_000_000),
    "weight_decay": Real(0, LARGE),
    "label_smoothing": Real(0, 1, below=True),
    "grad_clip_norm": Real(0, math.inf, below=True),
    "filter_limit": Real(0, math.inf, below=True),
    "ema": Real(0, 1, below=True),
    "batch_norm_images": Whole(0, LONGEST),
    "epochs": Whole(1, LONGEST),
    "iterations": Whole(1, LONGEST),
    "input_side": Whole(1, SIDE),
    "lr_mult": Real(0, LARGE),
    "decay_mult": Real(0, LARGE),
}


def check_numbers(owner: Any, prefix: str = "") -> None:
    """Raise RecipeError where a number of a dataclass is out of its range, or no number. None stands for a default."""
    kind = type(owner).__name__
    for field in fields(owner):
        allowed = RANGES.get(f"{kind}.{field.name}", RANGES.get(field.name))
        value = getattr(owner, field.name)
        if allowed is None or (value is None and field.default is None):
            continue
        name = f"{prefix}{field.name}" if prefix else f"{field.name} of {kind}"
        if str(field.type).startswith(("tuple", "Range")) or field.type == tuple[float, float]:
            _check_items(name, value, allowed)
        else:
            allowed.check(name, value)


def _check_items(name: str, values: Any, allowed: Whole | Real) -> None:
    if not isinstance(values, tuple | list):
        raise RecipeError(f"{name} must be a tuple, not {values!r}")
    for value in values:
        if isinstance(value, tuple | list):
            _check_items(name, value, allowed)
        else:
            allowed.check(f"each of {name}", value)
