"""How a printed number is read: its value, and the worth of its last digit, the tolerance. Imports no torch."""

import re
from collections.abc import Callable
from fractions import Fraction

from archzoo.errors import ClaimError

UNITS = {
    "": 1,
    "K": 10**3,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "B": 10**9,
    "million": 10**6,
    "billion": 10**9,
    "MB": 10**6,
    "C^2": 1,
}
# How a printed number of a quantity looks, as a pattern and an example. The other quantities are counts, none in MB.
FORMS = {
    "bytes": (r".*MB", "4.8MB"),
    "depth": (r"\D*\d+", "34"),
    "layers": (r"\D*\d+", "13"),
    "size": (r"\d+(x\d+)*", "28x28x256"),
    "sizes": (r"\d+(-\d+)*", "112-56-28"),
}
COUNT = (r"(?!.*MB).*", "60,000 or 0.8M")
# Conventions of papers that differ from ours, by name. The first four change what is counted, the others how the
# printed unit is read.
COUNTING = {
    "without batch norm": "no scale and shift of batch normalization",
    "weights only": "convolution and linear weights: no biases, no batch normalization",
    "with running statistics": "the running mean and variance of batch normalization, beside its scale and shift",
    "CondenseNet's counter": "inputs of ReLUs, reads by average pooling and biases of linear layers as multiply-adds",
    "K = 1024": "a printed K is 1,024",
    "MB = 2^20": "a printed MB is 1,048,576 bytes",
}
WORDS = {
    "twice": "2x",
    "doubled": "2x",
    "one eighth": "0.125x",
    "thirteen": "13",
    "no extra": "0",
    "exactly the same": "0",
}
ABOVE, BELOW = "more than ", "less than "
HEDGES = ("about ", "approximately ", "~", "-")


def check_form(quantity: str, printed: str) -> None:
    """Raise ClaimError for a printed number that is of another kind than the quantity: bytes for parameters."""
    pattern, example = FORMS.get(quantity, COUNT)
    if not re.fullmatch(pattern, printed):
        raise ClaimError(f"a number of the quantity {quantity!r} is printed like {example}, not {printed!r}")


def read_number(printed: str, conventions: frozenset[str] = frozenset(), unit: int = 1) -> tuple[Fraction, Fraction]:
    """A printed number and the worth of its last digit, both exact: "0.8M" is 800,000 and 100,000.

    For a lower bound ("more than 40M") the worth is -1, for an upper one ("less than 10M") 0. Raises ClaimError if the
    string cannot be read.
    """
    text = printed.removeprefix(ABOVE).removeprefix(BELOW)
    for hedge in HEDGES:
        text = text.removeprefix(hedge)
    parsed = re.fullmatch(r"(\d[\d,]*)(?:\.(\d+))?(?:x10\^(\d+))? ?([A-Za-z^2]*)", text)
    if parsed is None or parsed[4] not in UNITS:
        raise ClaimError(f"cannot read the printed number {printed!r}: expected one like 60,000, 0.8M, 1.8x10^9")
    whole, decimals, exponent, name = parsed[1].replace(",", ""), parsed[2] or "", parsed[3] or "0", parsed[4]
    worth = Fraction(UNITS[name] * unit * 10 ** int(exponent))
    if name == "K" and "K = 1024" in conventions:
        worth = Fraction(1024)
    if name == "MB" and "MB = 2^20" in conventions:
        worth = Fraction(2**20)
    step = worth / 10 ** len(decimals)
    value = int(whole + decimals) * step
    if printed.startswith((ABOVE, BELOW)):
        return value, Fraction(-1 if printed.startswith(ABOVE) else 0)
    return value, step


def read_ratio(printed: str) -> tuple[Fraction, Fraction, Callable[[Fraction], Fraction]]:
    """A printed ratio, the worth of its last digit, and the function from our ratio to the printed form.

    For a bound the worth is that of ``read_number``.
    """
    text = printed.removeprefix(ABOVE).removeprefix(BELOW)
    for hedge in HEDGES:
        text = text.removeprefix(hedge)
    parsed = re.fullmatch(r"(\d+)(?:\.(\d+))?(%|x)( fewer| more)?", text)
    if parsed is None:
        raise ClaimError(f"cannot read the printed ratio {printed!r}: expected one like 90% fewer, 18%, 8x")
    step = Fraction(1, 10 ** len(parsed[2] or "")) / (100 if parsed[3] == "%" else 1)
    value = int(parsed[1] + (parsed[2] or "")) * step
    rules: dict[tuple[str, str], Callable[[Fraction], Fraction]] = {
        ("%", ""): lambda ratio: ratio,
        ("%", " fewer"): lambda ratio: 1 - ratio,
        ("%", " more"): lambda ratio: ratio - 1,
        ("x", ""): lambda ratio: ratio,
        ("x", " more"): lambda ratio: ratio,
        ("x", " fewer"): lambda ratio: 1 / ratio,
    }
    if printed.startswith((ABOVE, BELOW)):
        step = Fraction(-1 if printed.startswith(ABOVE) else 0)
    return value, step, rules[parsed[3], parsed[4] or ""]


def read_sides(printed: str) -> tuple[int, ...]:
    """The lengths in "28x28x256" (height, width, channels) or "112-56-28" (side lengths of maps, in order)."""
    if not re.fullmatch(r"\d+([x-]\d+)*", printed):
        raise ClaimError(f"cannot read the printed size {printed!r}: expected one like 28x28x256 or 112-56-28")
    return tuple(int(side) for side in re.split("[x-]", printed))
