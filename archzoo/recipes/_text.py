"""A recipe as text: its values, and its learning rate drawn in characters."""

import math
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from archzoo.recipes._optimizers import Optimizer
from archzoo.recipes._recipe import Recipe

SHORT = (("s", 1.0), ("ms", 1e-3), ("\N{MICRO SIGN}s", 1e-6), ("ns", 1e-9))
# A unit, how many of the next smaller one are in it, that unit, and its seconds.
LONG = (("days", 24, "h", 3600), ("h", 60, "min", 60), ("min", 60, "s", 1))


def describe(recipe: Recipe) -> dict[str, str]:
    """Every value of a recipe as text; "-" for nothing. Objects are written as the command line reads them."""
    return {field.name: describe_value(getattr(recipe, field.name)) for field in fields(recipe)}


def describe_value(value: Any) -> str:
    """A value as the command line reads it: ``RandomCrop(padding=4), RandomHorizontalFlip()``."""
    if isinstance(value, Optimizer):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}({', '.join(_arguments(value))})"
    if isinstance(value, list | tuple):
        return ", ".join(map(describe_value, value)) or "-"
    return "-" if value is None or value == "" else str(value)


def _arguments(value: Any) -> list[str]:
    """The arguments of an object that differ from its defaults."""
    texts = []
    for field in fields(value):
        argument = getattr(value, field.name)
        if field.default is MISSING or argument != field.default:
            inner = is_dataclass(argument) and not isinstance(argument, type)
            texts.append(f"{field.name}={describe_value(argument) if inner else repr(argument)}")
    return texts


def draw_rates(recipe: Recipe, images: int, width: int = 60, height: int = 8) -> str:
    """The learning rate over the run, in characters, on a logarithmic axis; zero is at the bottom."""
    rates = recipe.rates(images, width)
    top = math.log10(max(rates))
    lowest = min([math.log10(rate) for rate in rates if rate > 0] + [top - 1])
    bottom = max(lowest, top - 5)
    logs = [max(math.log10(rate), bottom) if rate > 0 else bottom for rate in rates]
    levels = [round((log - bottom) / (top - bottom) * (height - 1)) for log in logs]
    rows = ["".join("*" if level == row else " " for level in levels) for row in reversed(range(height))]
    labels = [f"{10**top:.2g}", *[""] * (height - 2), f"{10**bottom:.2g}"]
    body = [f"{label:>8} |{row}".rstrip() for label, row in zip(labels, rows, strict=True)]
    return "\n".join([*body, f"{'':>8} +{'-' * width}", f"{'':>10}0 to {recipe.length:,} {recipe.unit}"])


def spell_seconds(seconds: float) -> str:
    """A time in its two largest units, or with three digits below a minute: 2 h 13 min, 45.2 s, 12 ms."""
    if round(seconds) < 60:
        name, length = next((unit for unit in SHORT if seconds >= unit[1]), SHORT[0])
        return f"{seconds / length:.3g} {name}"
    for name, in_name, small, length in LONG:
        count, rest = divmod(round(seconds / length), in_name)
        if count:
            return f"{count:,} {name}" + (f" {rest} {small}" if rest else "")
    raise AssertionError(seconds)
