"""What a network computes, as steps on single channels.

Every channel of every map has a number, its slot. Slot 0 is a channel of zeros. A step reads slots and writes new ones.
Concatenations, splits, shuffles and paddings by zero maps are no steps: they choose which slots the next step reads.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Slots = npt.NDArray[np.int64]
Mixing = Literal["product", "channelwise", "position", "opaque"]
PRODUCTS = ("convolution", "linear")
ZERO = 0


@dataclass(frozen=True)
class Weight:
    """A parameter or buffer that a step reads: ``rows`` of it for one group, and ``form`` is what was done to it.

    ``others`` are those that it was computed with, as the direction and the length of a normalized weight.
    """

    name: str
    shape: tuple[int, ...]
    rows: tuple[int, int] | None = None
    form: str = ""
    others: tuple["Weight", ...] = ()


@dataclass
class Step:
    """One operation.

    ``settings`` change what is computed, ``training`` only what training computes, and ``written`` is how the operation
    is written where that has no effect on inputs of this size.
    """

    kind: str
    mixing: Mixing
    reads: list[Slots]
    count: int
    settings: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Weight] = field(default_factory=dict)
    positions: Slots | None = None
    first: int = 0
    module: str = ""
    shape: tuple[int, ...] = ()

    @property
    def writes(self) -> Slots:
        """The slots that the step writes."""
        return np.arange(self.first, self.first + self.count)

    @property
    def is_product(self) -> bool:
        """Whether every output channel reads every input channel by weights: a convolution or linear layer."""
        return self.mixing == "product"

    @property
    def form(self) -> tuple[Any, ...]:
        """What the weights are: their roles and how they are derived, without sizes that depend on the wiring."""
        return tuple((role, weight.form) for role, weight in sorted(self.weights.items()))


@dataclass
class Graph:
    """The steps of a network in the order of execution, the slots of its inputs and outputs, and its names."""

    inputs: int = 0
    slots: int = 1
    steps: list[Step] = field(default_factory=list)
    outputs: list[tuple[tuple[int, ...], Slots, Slots]] = field(default_factory=list)
    names: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, step: Step) -> Slots:
        """Append a step and return the slots that it writes."""
        step.first = self.slots
        self.slots += step.count
        self.steps.append(step)
        return step.writes

    def owners(self) -> Slots:
        """For each slot, the index of the step that writes it; -1 for zeros and inputs."""
        owner = np.full(self.slots, -1, dtype=np.int64)
        for index, step in enumerate(self.steps):
            owner[step.first : step.first + step.count] = index
        return owner

    @property
    def used(self) -> set[str]:
        """The names of the parameters and buffers that some step reads."""
        return {weight.name for step in self.steps for weight in step.weights.values()}
