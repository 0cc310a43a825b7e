"""What papers print, and when a network agrees with it. Knows nothing of PyTorch.

A claim keeps the printed string, and its digits are the tolerance: "0.8M" is met by every count that
rounds to 0.8 million, "60,000" by that number alone. A claim that no faithful network can meet is
*explained*: it says why, and what a faithful network counts instead.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

Count = int | Fraction | tuple[int, ...]

UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "B": 10**9,
    "million": 10**6,
    "billion": 10**9,
    "MB": 10**6,
    "C^2": 1,
}
# What a paper may count differently from us, by name. The first two change what is counted,
# the others how the printed unit is read.
COUNTING = {
    "without batch norm": "no scale and shift of batch normalization",
    "weights only": "convolution and linear weights: no biases, no batch normalization",
    "K = 1024": "a printed K is 1,024",
    "MB = 2^20": "a printed MB is 1,048,576 bytes",
}
WORDS = {"twice": "2x", "doubled": "2x", "one eighth": "0.125x", "thirteen": "13"}
HEDGES = ("about ", "approximately ", "~", "-")

MATCH, EXPLAINED, MISMATCH = "match", "explained", "mismatch"


@dataclass(frozen=True)
class Paper:
    """A paper: what it is called, who wrote it, when, and where to read it."""

    title: str
    authors: str
    year: int
    link: str


@dataclass(frozen=True)
class Claim:
    """One number that a paper prints about a network or a part of it.

    ``quantity`` is what is counted, ``printed`` the number letter by letter, ``where`` its place in the paper.
    ``at`` names the part of the network it is about (``"features.C3"``; several, joined by ``" + "``), ``counting``
    the paper's convention where it differs from ours (see ``COUNTING``), ``options`` and ``input_size`` the setting.
    A ratio or a difference compares the quantity ``of`` this network with that of another one, ``to`` (with ``to_at``
    and ``to_options``). ``unit`` is what one printed unit stands for where the print leaves it open ("27C^2").

    An explained claim has ``why`` and ``ours``, the number that a faithful network counts instead.
    ``confirmed=False`` marks a number that was quoted from memory and not read in the paper.

    Raises ValueError where the print cannot be read, or an explanation is incomplete.
    """

    quantity: str
    printed: str
    where: str
    at: str = field(default="", kw_only=True)
    counting: str = field(default="", kw_only=True)
    options: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)
    input_size: tuple[int, int, int] | None = field(default=None, kw_only=True)
    of: str = field(default="", kw_only=True)
    to: str = field(default="", kw_only=True)
    to_at: str = field(default="", kw_only=True)
    to_options: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)
    unit: int = field(default=1, kw_only=True)
    ours: str = field(default="", kw_only=True)
    why: str = field(default="", kw_only=True)
    confirmed: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if bool(self.ours) != bool(self.why):
            raise ValueError(f"{self}: an explained claim needs both ours= (what a faithful net counts) and why=")
        if bool(self.of) != (self.quantity in ("ratio", "difference")):
            raise ValueError(f"{self}: a ratio or a difference, and nothing else, says of= which quantity it is")
        for convention in self.conventions - COUNTING.keys():
            raise ValueError(f"{self}: counting={convention!r} is unknown; known: {', '.join(COUNTING)}")
        self.agrees_with(self.printed)(1)
        if self.ours:
            self.agrees_with(self.ours)(1)

    def __str__(self) -> str:
        of = f" of {self.of}" if self.of else ""
        at = f" at {self.at}" if self.at else ""
        setting = "".join(f", {key}={value}" for key, value in self.options.items())
        counting = f", {self.counting}" if self.counting else ""
        unconfirmed = "" if self.confirmed else ", unconfirmed"
        return f"{self.quantity}{of}{at} {self.printed} ({self.where}{setting}{counting}{unconfirmed})"

    @property
    def conventions(self) -> frozenset[str]:
        """The named conventions that this claim counts under."""
        return frozenset(filter(None, self.counting.split(", ")))

    def judge(self, count: Count) -> str:
        """The verdict on a network that counts ``count``: ``match``, ``explained`` or ``mismatch``.

        An explained claim whose print is met after all has lost its excuse: that is a mismatch too.
        """
        if not self.why:
            return MATCH if self.agrees_with(self.printed)(count) else MISMATCH
        excused = not self.agrees_with(self.printed)(count) and self.agrees_with(self.ours)(count)
        return EXPLAINED if excused else MISMATCH

    def agrees_with(self, printed: str) -> Callable[[Count], bool]:
        """The test that a count has to pass to agree with a printed string of this claim's kind."""
        printed = WORDS.get(printed, printed)
        if self.quantity in ("size", "sizes"):
            return partial(_same_sides, read_sides(printed))
        if self.quantity == "ratio":
            return partial(_rounds_to, *read_ratio(printed))
        return partial(_rounds_to, *read_number(printed, self.conventions, self.unit), lambda count: count)


def read_number(printed: str, conventions: frozenset[str] = frozenset(), unit: int = 1) -> tuple[Fraction, Fraction]:
    """A printed number and the worth of its last digit, both exact: "0.8M" is 800,000 and 100,000.

    A number that only bounds ("more than 40M") has a last digit of worth -1.
    """
    text, bound = re.subn(r"^more than ", "", printed)
    for hedge in HEDGES:
        text = text.removeprefix(hedge)
    found = re.fullmatch(r"(\d[\d,]*)(?:\.(\d+))?(?:x10\^(\d+))? ?([A-Za-z^2]*)", text)
    if found is None or found[4] not in UNITS:
        raise ValueError(f"cannot read the printed number {printed!r}: expected one like 60,000, 0.8M, 1.8x10^9")
    whole, decimals, exponent, name = found[1].replace(",", ""), found[2] or "", found[3] or "0", found[4]
    worth = Fraction(UNITS[name] * unit * 10 ** int(exponent))
    if name == "K" and "K = 1024" in conventions:
        worth = Fraction(1024)
    if name == "MB" and "MB = 2^20" in conventions:
        worth = Fraction(2**20)
    step = worth / 10 ** len(decimals)
    return int(whole + decimals) * step, Fraction(-1) if bound else step


def read_ratio(printed: str) -> tuple[Fraction, Fraction, Callable[[Fraction], Fraction]]:
    """A printed ratio, the worth of its last digit, and how it follows from our count over theirs."""
    text = printed
    for hedge in HEDGES:
        text = text.removeprefix(hedge)
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?(%|x)( fewer| more)?", text)
    if found is None:
        raise ValueError(f"cannot read the printed ratio {printed!r}: expected one like 90% fewer, 18%, 8x")
    step = Fraction(1, 10 ** len(found[2] or "")) / (100 if found[3] == "%" else 1)
    value = int(found[1] + (found[2] or "")) * step
    rules: dict[tuple[str, str], Callable[[Fraction], Fraction]] = {
        ("%", ""): lambda ratio: ratio,
        ("%", " fewer"): lambda ratio: 1 - ratio,
        ("%", " more"): lambda ratio: ratio - 1,
        ("x", ""): lambda ratio: ratio,
        ("x", " more"): lambda ratio: ratio,
        ("x", " fewer"): lambda ratio: 1 / ratio,
    }
    return value, step, rules[found[3], found[4] or ""]


def read_sides(printed: str) -> tuple[int, ...]:
    """The lengths in "28x28x256" (one map: height, width, channels) or "112-56-28" (the sides of maps, in order)."""
    if not re.fullmatch(r"\d+([x-]\d+)*", printed):
        raise ValueError(f"cannot read the printed size {printed!r}: expected one like 28x28x256 or 112-56-28")
    return tuple(int(side) for side in re.split("[x-]", printed))


def _rounds_to(value: Fraction, step: Fraction, follow: Callable[[Fraction], Fraction], count: Count) -> bool:
    if isinstance(count, tuple):
        raise TypeError(f"a number was printed, but the count is a size: {count}")
    if step < 0:
        return follow(Fraction(count)) > value
    return abs(follow(Fraction(count)) - value) <= step / 2


def _same_sides(sides: tuple[int, ...], count: Count) -> bool:
    return isinstance(count, tuple) and count[: len(sides)] == sides


params = partial(Claim, "params")  # all learnable numbers
weights = partial(Claim, "weights")  # of convolutions and linear layers: no biases, no batch norm
macs = partial(Claim, "macs")  # multiply-adds for one input; most papers call these FLOPs
flops = partial(Claim, "flops")  # twice the multiply-adds
connections = partial(Claim, "connections")  # multiply-adds, and one more for each unit with a bias
neurons = partial(Claim, "neurons")  # outputs of the layers that have weights
depth = partial(Claim, "depth")  # layers with weights on the longest path
megabytes = partial(Claim, "bytes")  # of the parameters, four bytes each
size = partial(Claim, "size")  # of a part's output: height x width (x channels)
sizes = partial(Claim, "sizes")  # sides of the maps that the features pass through, in order, repeats left out
ratio = partial(Claim, "ratio")  # of this network's quantity to another's
difference = partial(Claim, "difference")  # of this network's quantity and another's


@dataclass(frozen=True)
class Unaudited:
    """A printed number that no count can speak of, such as a clock time, and why."""

    printed: str
    where: str
    why: str
