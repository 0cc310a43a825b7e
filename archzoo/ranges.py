"""Numbers and the ranges that they are taken from: errors say the name, the range and what was given."""

import math
from typing import Any

from archzoo.errors import ArchzooError


def check_whole(name: str, value: Any, low: int, high: int, error: type[ArchzooError] = ArchzooError) -> None:
    """Raise ``error`` unless a value is an integer from ``low`` to ``high``. A bool is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise error(f"{name} must be an integer from {low:,} to {high:,}, not {shown(value)}")


def check_real(
    name: str,
    value: Any,
    low: float,
    high: float,
    error: type[ArchzooError] = ArchzooError,
    *,
    above: bool = False,
    below: bool = False,
) -> None:
    """Raise ``error`` unless a value is a number from ``low`` to ``high``; ``above`` and ``below`` leave an end out."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and low <= value <= high and not (above and value == low) and not (below and value == high):
        return
    parts = [f"more than {low:g}" if above else f"at least {low:g}"]
    if math.isinf(high):
        parts.append("finite")
    else:
        parts.append(f"less than {high:g}" if below else f"at most {high:g}")
    raise error(f"{name} must be {' and '.join(parts)}, not {shown(value)}")


def shown(value: Any) -> str:
    """A value in an error: short, even where it is not."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
