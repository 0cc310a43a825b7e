"""Checks of constructor options. Each raises BadOption with the values that would be right."""

from archzoo.errors import BadOption


def repeats(depth: int, layers_per_unit: int, other_layers: int) -> int:
    """Number of units of ``layers_per_unit`` layers in a network of ``depth`` layers, ``other_layers`` outside them.

    Raises BadOption with the nearest valid depths if ``depth`` is not ``layers_per_unit`` * n + ``other_layers``.
    """
    units, remainder = divmod(depth - other_layers, layers_per_unit)
    if units < 1 or remainder:
        nearest = sorted({other_layers + layers_per_unit * max(n, 1) for n in (units, units + 1)})
        formula = f"{layers_per_unit}n + {other_layers}"
        raise BadOption(f"depth must be {formula}, not {depth}: {' or '.join(map(str, nearest))}")
    return units


def at_least(name: str, value: float, smallest: float) -> None:
    """Raise BadOption if the option ``name`` has a value below ``smallest``."""
    if value < smallest:
        raise BadOption(f"{name} must be at least {smallest}, not {value}")


def probability(name: str, value: float) -> None:
    """Raise BadOption if the option ``name`` is not in the interval [0, 1)."""
    if not 0 <= value < 1:
        raise BadOption(f"{name} must be at least 0 and less than 1, not {value}")
