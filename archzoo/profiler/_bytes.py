"""Numbers of bytes as text, read and written."""

import re

from archzoo.errors import ProfileError
from archzoo.options import shown

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
UNITS |= {f"{name}i": 2 ** (10 * power) for power, name in enumerate(UNITS) if name}


def read_bytes(size: int | float | str, what: str = "memory") -> int:
    """Bytes, from a number of them or a text such as "24GiB", "500 MB" or "1.5e9 B".

    ``what`` names the argument in the message. Raises ProfileError for anything else, for zero and negative sizes, and
    for more than 64 bits count.
    """
    number = _number(size)
    if number is None or not 1 <= number < 1 << 63:  # NaN is not either
        raise ProfileError(
            f"{what} must be a positive number of bytes, or a text with a unit such as '24GiB' or '500MB', below 2^63 "
            f"bytes, not {shown(size)}"
        )
    return int(number)


def _number(size: object) -> float | None:
    if isinstance(size, bool):
        return None
    if isinstance(size, int | float):
        return size
    if not isinstance(size, str):
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?(?:e\d{1,3})?)\s*(|[kmgt]i?)b\s*", size.lower())
    return float(match[1]) * UNITS[match[2]] if match else None


def spell_bytes(size: float) -> str:
    """Bytes in GiB or MiB: 2.50 GiB."""
    return f"{size / 2**30:,.2f} GiB" if abs(size) >= 2**30 else f"{size / 2**20:,.2f} MiB"
