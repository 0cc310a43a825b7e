"""Checks of constructor options. Each raises BadOption with the values that would be right."""

from archzoo.errors import BadOption
from archzoo.limits import max_layers, too_large


def repeats(depth: int, layers_per_unit: int, other_layers: int) -> int:
    """Number of units of ``layers_per_unit`` layers in a network of ``depth`` layers, ``other_layers`` outside them.

    Raises BadOption with the nearest valid depths if ``depth`` is not ``layers_per_unit`` * n + ``other_layers``, and
    for more layers than a network may have.
    """
    if depth > max_layers():
        raise too_large(f"depth {depth:,}", "ARCHZOO_MAX_LAYERS")
    units, remainder = divmod(depth - other_layers, layers_per_unit)
    if units < 1 or remainder:
        nearest = sorted({other_layers + layers_per_unit * max(n, 1) for n in (units, units + 1)})
        formula = f"{layers_per_unit}n + {other_layers}"
        raise BadOption(f"depth must be {formula}, not {depth}: {' or '.join(map(str, nearest))}")
    return units


def doublings(name: str, value: int, blocks: int) -> None:
    """Raise BadOption if ``blocks`` * (2 ** ``value`` - 1) is more layers than a network may have, or ``value`` < 1."""
    at_least(name, value, 1)
    if value >= (max_layers() // blocks + 1).bit_length():
        raise too_large(f"{blocks:,} x (2^{name} - 1) layers with {name}={value:,}", "ARCHZOO_MAX_LAYERS")


def at_least(name: str, value: float, smallest: float) -> None:
    """Raise BadOption if the option ``name`` has a value below ``smallest``."""
    if value < smallest:
        raise BadOption(f"{name} must be at least {smallest}, not {value}")


def probability(name: str, value: float) -> None:
    """Raise BadOption if the option ``name`` is not in the interval [0, 1)."""
    if not 0 <= value < 1:
        raise BadOption(f"{name} must be at least 0 and less than 1, not {value}")
