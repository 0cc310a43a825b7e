"""Claims: one printed number each, what it counts, and when a count agrees with it. Imports no torch.

A claim keeps the printed string, and its digits are the tolerance: every count that rounds to 0.8 million meets "0.8M",
and only 60,000 meets "60,000". A claim that no faithful network can meet is *explained*: it says why, and what a
faithful network counts instead.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import prod
from typing import Any

from archzoo.errors import ClaimError
from archzoo.printed import COUNTING, WORDS, check_form, read_number, read_ratio, read_sides
from archzoo.read_only import ReadOnlyDict

Count = int | Fraction | tuple[int, ...]

MATCH, EXPLAINED, MISMATCH = "match", "explained", "mismatch"
UNCONFIRMED = "quoted from memory, not read in the paper"


@dataclass(frozen=True)
class Quantity:
    """What a claim counts: everything that is known of it.

    ``count`` takes a profile, the name of a part and the paper's conventions, and gives our count. ``read`` gives the
    test that a count passes to agree with a printed string. ``separator`` stands between the sides of a size.
    """

    name: str
    description: str
    count: "Callable[[Any, str, frozenset[str]], Count] | None"
    read: "Callable[[str, frozenset[str], int], Callable[[Count], bool]]"
    separator: str = "x"

    @property
    def relates(self) -> bool:
        """Whether it compares the counts of two networks: a ratio or a difference."""
        return self.count is None


@dataclass(frozen=True)
class Claim:
    """One number that a paper prints about a network or a part of it.

    ``quantity`` is what is counted, ``printed`` the number as printed, ``where`` its place in the paper.
    ``at`` names the part of the network it is about (``"features.C3"``; several, joined by ``" + "``), ``counting``
    the paper's convention where it differs from ours (see ``COUNTING``), ``options`` and ``input_size`` the setting.
    A ratio or a difference compares the quantity ``of`` this network with that of another one, ``to`` (with ``to_at``
    and ``to_options``). ``unit`` is what one printed unit stands for where the print leaves it open ("27C^2").

    An explained claim has ``why`` and ``ours``, the number that a faithful network counts instead.
    ``confirmed=False`` marks a number that was quoted from memory and not read in the paper.

    Raises ClaimError if the printed string cannot be read, or an explanation is incomplete.
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
        for name in ("options", "to_options"):
            object.__setattr__(self, name, ReadOnlyDict(getattr(self, name)))
        if bool(self.ours) != bool(self.why):
            raise ClaimError(f"{self}: an explained claim needs both ours= (what a faithful net counts) and why=")
        if self.quantity not in QUANTITIES or (self.of and self.of not in QUANTITIES):
            raise ClaimError(f"no quantity is called {self.of or self.quantity!r}; there are {', '.join(QUANTITIES)}")
        if bool(self.of) != QUANTITIES[self.quantity].relates:
            raise ClaimError(f"{self}: a ratio or a difference, and nothing else, says of= which quantity it is")
        for convention in self.conventions - COUNTING.keys():
            raise ClaimError(f"{self}: counting={convention!r} is unknown; known: {', '.join(COUNTING)}")
        for printed in (self.printed, *filter(None, [self.ours])):
            self.agrees_with(printed)(1)
            check_form(self.quantity if self.quantity != "difference" else self.of, WORDS.get(printed, printed))

    def __str__(self) -> str:
        of = f" of {self.of}" if self.of else ""
        at = f" at {self.at}" if self.at else ""
        to = f" to {self.to}" if self.to else ""
        setting = "".join(f", {key}={value}" for key, value in self.options.items())
        counting = f", {self.counting}" if self.counting else ""
        unconfirmed = "" if self.confirmed else ", unconfirmed"
        return f"{self.quantity}{of}{at}{to} {self.printed} ({self.where}{setting}{counting}{unconfirmed})"

    @property
    def conventions(self) -> frozenset[str]:
        """The named conventions that this claim counts under."""
        return frozenset(filter(None, self.counting.split(", ")))

    def judge(self, count: Count) -> str:
        """The verdict on a network that counts ``count``: ``match``, ``explained`` or ``mismatch``.

        An explained claim that is met after all is a mismatch too: its explanation is wrong.
        """
        if not self.why:
            return MATCH if self.agrees_with(self.printed)(count) else MISMATCH
        excused = not self.agrees_with(self.printed)(count) and self.agrees_with(self.ours)(count)
        return EXPLAINED if excused else MISMATCH

    def agrees_with(self, printed: str) -> Callable[[Count], bool]:
        """The test that a count has to pass to agree with a printed string of this claim's kind."""
        return QUANTITIES[self.quantity].read(WORDS.get(printed, printed), self.conventions, self.unit)

    @property
    def counted(self) -> Quantity:
        """What is counted: of a ratio or a difference, the quantity of both networks."""
        return QUANTITIES[self.of or self.quantity]


def _rounds_to(value: Fraction, step: Fraction, follow: Callable[[Fraction], Fraction], count: Count) -> bool:
    if isinstance(count, tuple):
        raise TypeError(f"a number was printed, but the count is a size: {count}")
    if step < 0:
        return follow(Fraction(count)) > value
    if step == 0:
        return follow(Fraction(count)) < value
    return abs(follow(Fraction(count)) - value) <= step / 2


def _same_sides(sides: tuple[int, ...], count: Count) -> bool:
    """Whether all sides agree; of height, width and channels, the first two may be printed alone."""
    return isinstance(count, tuple) and (count == sides or (len(count) == 3 and count[:2] == sides))


def _agrees_as_number(printed: str, conventions: frozenset[str], unit: int) -> Callable[[Count], bool]:
    return partial(_rounds_to, *read_number(printed, conventions, unit), lambda count: count)


def _agrees_as_ratio(printed: str, conventions: frozenset[str], unit: int) -> Callable[[Count], bool]:
    return partial(_rounds_to, *read_ratio(printed))


def _agrees_as_sides(printed: str, conventions: frozenset[str], unit: int) -> Callable[[Count], bool]:
    return partial(_same_sides, read_sides(printed))


def _same_volume(sides: tuple[int, ...], count: Count) -> bool:
    return prod(sides) == count


def _agrees_as_volume(printed: str, conventions: frozenset[str], unit: int) -> Callable[[Count], bool]:
    return partial(_same_volume, read_sides(printed))


def _agrees_as_list(printed: str, conventions: frozenset[str], unit: int) -> Callable[[Count], bool]:
    return partial(operator.eq, read_sides(printed))


def _sum_over_parts(count: Callable[[Any, frozenset[str]], int]) -> Callable[[Any, str, frozenset[str]], Count]:
    """The sum of a count of one module over the named parts, which are joined by " + "."""

    def count_parts(profile: Any, at: str, conventions: frozenset[str]) -> int:
        return sum(count(profile.at(part), conventions) for part in at.split(" + "))

    return count_parts


def _count_params(module: Any, conventions: frozenset[str]) -> int:
    if "weights only" in conventions:
        return int(module.weights)
    if "with running statistics" in conventions:  # a mean and a variance for each scale and shift
        return int(module.params + module.norm_params)
    return int(module.params - (module.norm_params if "without batch norm" in conventions else 0))


def _count_macs(module: Any, conventions: frozenset[str]) -> int:
    return int(module.under("condensenet") if "CondenseNet's counter" in conventions else module.macs)


def _count_kernels(module: Any, conventions: frozenset[str]) -> int:
    return int(module.output[0]) if module.output else 0


def _weights_of_kernel(module: Any, conventions: frozenset[str]) -> int:
    return int(module.weights) // max(_count_kernels(module, conventions), 1)


def _size_of(profile: Any, at: str, conventions: frozenset[str]) -> tuple[int, ...]:
    """Height, width and channels of what a part returns."""
    output = profile.at(at).output
    return (*output[1:], output[0]) if output else ()


def _depth(profile: Any, at: str) -> int:
    """Of the whole network, or the sum over the named parts."""
    return sum(profile.at(part).depth for part in at.split(" + ")) if at else int(profile.depth)


def _total(name: str, description: str, count: Callable[[Any, frozenset[str]], int]) -> Quantity:
    return Quantity(name, description, _sum_over_parts(count), _agrees_as_number)


QUANTITIES: Mapping[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        _total("params", "learnable numbers", _count_params),
        _total("weights", "parameters but biases and batch normalization", lambda module, _: module.weights),
        _total("macs", "multiply-adds for one input; most papers call these FLOPs", _count_macs),
        _total("flops", "twice the multiply-adds", lambda module, _: module.flops),
        _total("connections", "multiply-adds, and one for each unit with a bias", lambda module, _: module.connections),
        _total("neurons", "outputs of the layers that have weights", lambda module, _: module.neurons),
        _total("layers", "layers with weights that ran", lambda module, _: module.layers),
        _total("bytes", "size of the parameters, four bytes each", lambda *counted: 4 * _count_params(*counted)),
        _total("kernels", "kernels of a convolution: one for each map that it returns", _count_kernels),
        Quantity(
            "kernel",
            "weights of one kernel of a convolution, printed as height x width x maps that it reads",
            _sum_over_parts(_weights_of_kernel),
            _agrees_as_volume,
        ),
        Quantity(
            "depth",
            "layers with weights on the longest path",
            lambda profile, at, _: _depth(profile, at),
            _agrees_as_number,
        ),
        Quantity("size", "a part's output, height x width (x channels)", _size_of, _agrees_as_sides),
        Quantity(
            "sizes",
            "sides of the maps that the features pass through, in order, without repeats",
            lambda profile, at, _: profile.sides(at or "features"),
            _agrees_as_list,
            separator="-",
        ),
        Quantity("ratio", "this network's quantity divided by another's", None, _agrees_as_ratio),
        Quantity("difference", "this network's quantity minus another's", None, _agrees_as_number),
    )
}

params = partial(Claim, "params")
weights = partial(Claim, "weights")
macs = partial(Claim, "macs")
flops = partial(Claim, "flops")
connections = partial(Claim, "connections")
neurons = partial(Claim, "neurons")
kernels = partial(Claim, "kernels")
kernel = partial(Claim, "kernel")
depth = partial(Claim, "depth")
megabytes = partial(Claim, "bytes")
size = partial(Claim, "size")
sizes = partial(Claim, "sizes")
ratio = partial(Claim, "ratio")
difference = partial(Claim, "difference")
