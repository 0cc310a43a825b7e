"""Passes of a model in any batch, against the memory that a device has."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from archzoo.errors import ProfileError
from archzoo.profiler._checkpointing import Change, ways
from archzoo.profiler._inputs import common_axis, meta_inputs
from archzoo.profiler._memory_passes import MakeOptimizer
from archzoo.profiler._memory_setup import Conditions, passes, run_or_retry
from archzoo.profiler._peaks import Peak, PeakTracker, peak_of
from archzoo.profiler._shapes import META
from archzoo.profiler._sparse_layouts import INDICES

Kind = Literal["training", "inference"]


@dataclass(frozen=True)
class Result:
    """One run: whether it fits, the peaks of what is allocated and reserved, and what is allocated then."""

    fits: bool
    allocated: int
    reserved: int
    peak: Peak
    optimizer: str


@dataclass(frozen=True)
class Runs:
    """A model, and the device that it runs on. ``capacity`` are the bytes that the allocator may take from it."""

    model: nn.Module
    input_size: Any
    conditions: Conditions
    make_optimizer: MakeOptimizer
    capacity: int
    change: Change | None = None
    micro_batches: int = 1
    results: dict[tuple[Kind, int], Result] = field(default_factory=dict)

    def changed(self, **values: Any) -> "Runs":
        """The same with other values."""
        return replace(self, results={}, **values)

    def attempts(self, kind: Kind) -> Callable[[int], tuple[bool, int]]:
        """From a batch to whether it fits, and the bytes that it allocates."""

        def attempt(batch: int) -> tuple[bool, int]:
            result = self.result(kind, batch)
            return result.fits, result.allocated

        return attempt

    def result(self, kind: Kind, batch: int) -> Result:
        """The run with this batch."""
        if (kind, batch) not in self.results:
            self.results[kind, batch] = self._result(kind, batch)
        return self.results[kind, batch]

    def smallest(self, kind: Kind) -> int:
        """The smallest batch that ran."""
        return min(batch for of_kind, batch in self.results if of_kind == kind)

    def _result(self, kind: Kind, batch: int) -> Result:
        result = self._run(kind, batch, None)
        if result.allocated <= self.capacity < result.reserved:
            with suppress(MemoryError):  # raised where free segments do not suffice
                return self._run(kind, batch, self.capacity)
        return replace(result, fits=result.reserved <= self.capacity)

    def _run(self, kind: Kind, batch: int, capacity: int | None) -> Result:
        """A run that takes at most ``capacity`` bytes. Raises MemoryError where it needs more."""
        return run_or_retry(partial(self._run_under, kind, batch, capacity), self.conditions)

    def _run_under(self, kind: Kind, batch: int, capacity: int | None, conditions: Conditions) -> Result:
        trackers: list[PeakTracker] = []

        def make_tracker(net: nn.Module) -> PeakTracker:
            trackers.append(PeakTracker(net, conditions.device, capacity))
            return trackers[-1]

        inputs = inputs_of(self.model, self.input_size, batch)
        with passes(
            self.model, inputs, conditions, self.input_size, make_tracker=make_tracker, change=self.change
        ) as running:
            if kind == "inference":
                allocated = running.infer()
            else:
                running.micro_batches = self.micro_batches
                running.prepare_training(self.make_optimizer)
                allocated = running.train("worst").peak
            peak = peak_of(running, trackers[-1], allocated)
        reserved = getattr(trackers[-1].allocator, "peak_reserved", allocated)
        optimizer = type(running.optimizer).__name__ if running.optimizer else "no optimizer"
        return Result(True, allocated, reserved, peak, optimizer)

    def cheaper(self, batch: int) -> Iterator[tuple[str, Result]]:
        """Changes of a training step that may save memory, and the step with them. What does not run is left out."""
        if self.conditions.device == "cuda":
            if self.conditions.autocast is None:
                yield from self._try("bfloat16", batch, conditions=replace(self.conditions, autocast=torch.bfloat16))
            if not self.conditions.channels_last:
                yield from self._try("channels_last", batch, conditions=replace(self.conditions, channels_last=True))
        yield from self._accumulation(batch)
        checkpointed = [result for name, change in ways(self.model) for result in self._try(name, batch, change=change)]
        yield from sorted(checkpointed, key=lambda named: named[1].allocated)[:1]

    def _accumulation(self, batch: int) -> Iterator[tuple[str, Result]]:
        """Gradients of two micro-batches, or of as many as it takes to fit."""
        count = 2
        while -(-batch // count) < batch:
            size = -(-batch // count)
            of_two = list(self._try(f"accumulating {count} micro-batches of {size}", size, micro_batches=2))
            if not of_two or of_two[0][1].fits or size <= 1:
                yield from of_two
                return
            count *= 2

    def _try(self, name: str, batch: int, **changes: Any) -> Iterator[tuple[str, Result]]:
        with suppress(ProfileError):
            yield name, self.changed(**changes).result("training", batch)


def inputs_of(model: nn.Module, input_size: Any, batch: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments in a batch of this size; example tensors stand for their shape.

    Raises ProfileError for examples that have different numbers of inputs.
    """
    if common_axis(input_size, None, 0) is None:
        raise ProfileError("example tensors must have one batch along dimension 0, which is varied")
    if any(isinstance(leaf, Tensor) and leaf.layout in INDICES for leaf in tree_leaves(input_size)):
        raise ProfileError("a sparse input has no batch that could be varied, and its memory is not modeled")
    args, kwargs, _ = meta_inputs(model, _resized(input_size, batch), batch)
    return args, kwargs


def _resized(value: Any, batch: int) -> Any:
    if isinstance(value, Tensor) and value.dim():
        return torch.empty((batch, *value.shape[1:]), dtype=value.dtype, device=META)
    if isinstance(value, dict):
        return {name: _resized(inner, batch) for name, inner in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(inner, Tensor | list | tuple | dict) for inner in value):
        return type(value)(_resized(inner, batch) for inner in value)
    return value
