"""What random numbers of the CPU become while a network with random paths is measured."""

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
UNIFORM = {aten.rand, aten.rand_like, aten.uniform, aten.uniform_}
INTEGERS = {aten.randint, aten.randint_like, aten.random, aten.random_}
COINS = {aten.bernoulli, aten.bernoulli_}
LARGEST = 1 - 2**-24  # below 1, of float32


def smallest(operator: Any, args: Any, out: Any) -> None:
    """Every random number is the smallest that can be drawn: a layer that runs where it is below a rate runs."""
    _fill(operator, out, 0.0, 0)


def largest(operator: Any, args: Any, out: Any) -> None:
    """Every random number is the largest that can be drawn: a layer that runs where it is above a rate runs."""
    high = [value for value in args if isinstance(value, int)]
    _fill(operator, out, LARGEST, max(high, default=1) - 1)


def _fill(operator: Any, out: Any, number: float, integer: int) -> None:
    """Overwrite what a random operator drew on the CPU."""
    if not isinstance(out, Tensor) or out.is_meta:
        return
    packet = getattr(operator, "overloadpacket", None)
    if packet in UNIFORM:
        out.fill_(number)
    elif packet in COINS:
        out.fill_(round(number))
    elif packet in INTEGERS:
        out.fill_(integer)
