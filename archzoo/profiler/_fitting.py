"""Whether a model fits into a device's memory: how much is left, the largest batch, the peak, and what would save."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from archzoo.errors import ProfileError
from archzoo.options import shown
from archzoo.profiler._bytes import read_bytes, spell_bytes
from archzoo.profiler._inputs import common_axis, sizes_of
from archzoo.profiler._largest_batch import MOST, largest_batch
from archzoo.profiler._memory_passes import MakeOptimizer
from archzoo.profiler._memory_profile import optimizer_maker
from archzoo.profiler._memory_setup import Conditions
from archzoo.profiler._peaks import Peak
from archzoo.profiler._runs import Kind, Result, Runs
from archzoo.wrappers import unwrapped

KINDS: tuple[Kind, ...] = ("training", "inference")
AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
CONTEXT = 2**29  # bytes of a CUDA context with PyTorch's kernels, about: no allocator counts them
DOUBT = 0.03  # of the memory: on an H200, peaks were up to 2.5% above what is simulated


@dataclass(frozen=True)
class Need:
    """What passes of one kind need.

    Attributes:
        fits: Whether they fit.
        allocated: The peak of allocated bytes, ``torch.cuda.max_memory_allocated`` on CUDA.
        reserved: The bytes that the allocator takes from the device for them if it may; on a CPU, those allocated.
        margin: The bytes that are left of the memory; those that are missing, as a negative number.
        largest_batch: The largest batch that fits, 0 if none does.
        peak: What is allocated at the peak.
    """

    fits: bool
    allocated: int
    reserved: int
    margin: int
    largest_batch: int
    peak: Peak


@dataclass(frozen=True)
class Saving:
    """A change of a training step, and its memory: what it saves, and whether the step fits with it."""

    change: str
    saved: int
    allocated: int
    fits: bool


@dataclass(frozen=True)
class Fit:
    """Whether training and inference of a model fit into ``memory`` bytes, of which CUDA's context takes ``context``.

    ``savings`` are changes of the training step that save memory, those that save most first.
    """

    model: str
    input_size: Any
    batch: int
    memory: int
    context: int
    device: str
    precision: str
    optimizer: str
    training: Need
    inference: Need
    savings: list[Saving] = field(default_factory=list)

    @property
    def is_close(self) -> bool:
        """Whether the margin of the training step is smaller than what the simulation may be off by."""
        return self.device == "cuda" and abs(self.training.margin) < DOUBT * self.memory

    def as_dict(self) -> dict[str, Any]:
        """All values in plain types."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        context = f", {spell_bytes(self.context)} of it for CUDA's context" if self.context else ""
        yield f"{self.model}, batch {self.batch}, {self.precision}, {self.optimizer}, {self.device}"
        yield f"{'memory':>10}  {spell_bytes(self.memory)}{context}"
        for kind in KINDS:
            need: Need = getattr(self, kind)
            left = f"{spell_bytes(abs(need.margin))} {'left' if need.margin >= 0 else 'too much'}"
            reserved = f", {spell_bytes(need.reserved)} reserved" if self.device == "cuda" else ""
            verdict = "fits" if need.fits else "does not fit"
            yield f"{kind:>10}  {verdict}: {spell_bytes(need.allocated)} allocated{reserved}, {left}"
            yield f"{'':>10}  largest batch {need.largest_batch:,}{' or more' if need.largest_batch == MOST else ''}"
        if self.is_close:
            yield f"{'':>10}  closer than {DOUBT:.0%} of the memory, which the simulation may be off by: try it"
        yield f"{'peak':>10}  {self.training.peak}"
        for saving in self.savings:
            left = "fits" if saving.fits else "does not fit"
            yield f"{'to save':>10}  {saving.change}: {spell_bytes(saving.saved)} less, {left}"


@torch.inference_mode(False)
@torch.enable_grad()
def fits(
    model: nn.Module,
    input_size: Any,
    memory: int | float | str,
    *,
    batch: int | None = None,
    precision: Literal["float32", "bfloat16", "float16"] = "float32",
    optimizer: str | MakeOptimizer = "sgd",
    device: Literal["cpu", "cuda"] = "cuda",
    channels_last: bool = False,
    context: int | float | str | None = None,
    variants: Mapping[str, nn.Module] | None = None,
    savings: bool = True,
) -> Fit:
    """Whether a training step and a forward pass of ``model`` fit into ``memory``, and with which batch they still do.

    Nothing is allocated, and no GPU is needed: the passes run on the meta device, and CUDA's allocator is simulated.
    Where it may not reserve more, it returns the segments that are free, as PyTorch's does.

    Args:
        model: Any module.
        input_size: As for ``archzoo.profile``. Example tensors stand for inputs of their shape, in any batch.
        memory: The memory of the device: bytes, or a text such as "24GiB".
        batch: How many inputs run together. By default the largest training batch that fits, or 1.
        precision: That of autocast, as for ``archzoo train``. "float32" is no autocast.
        optimizer: As for ``memory``.
        device: "cuda" or "cpu", as for ``memory``.
        channels_last: Convert the model and its 4-dimensional inputs to channels_last.
        context: The part of ``memory`` that CUDA takes for itself: half a GiB by default, none on a CPU.
        variants: Other forms of the model, by name, to tell what they would save.
        savings: Whether to try what would save memory.

    Raises:
        ProfileError: An argument is wrong, or the model failed; the message names the part that did.
    """
    if batch is not None:
        common_axis((), batch, 0)  # raises for what is no batch
    if precision not in AUTOCAST:
        raise ProfileError(f"precision must be one of {', '.join(map(repr, AUTOCAST))}, not {shown(precision)}")
    if device == "cpu" and precision != "float32":
        raise ProfileError(f"precision={precision!r} is modeled for device='cuda' alone, not for {device!r}")
    conditions = Conditions(device, AUTOCAST[precision], channels_last)
    conditions.check()
    total, taken = read_bytes(memory), _context(device, context)
    if taken >= total:
        raise ProfileError(f"CUDA's context takes {spell_bytes(taken)}, all of the memory of {spell_bytes(total)}")
    make_optimizer, model = optimizer_maker(model, optimizer), unwrapped(model)
    runs = Runs(model, input_size, conditions, make_optimizer, total - taken)
    largest = {kind: largest_batch(runs.attempts(kind), runs.capacity) for kind in KINDS}
    batch = batch or max(largest["training"], runs.smallest("training"))
    step = runs.result("training", batch)
    cheaper = [*_variants(runs, batch, variants or {}), *runs.cheaper(batch)] if savings else []
    tried = [Saving(name, step.allocated - run.allocated, run.allocated, run.fits) for name, run in cheaper]
    return Fit(
        model=type(model).__name__,
        input_size=sizes_of(input_size),
        batch=batch,
        memory=total,
        context=taken,
        device=device,
        precision=precision,
        optimizer=step.optimizer,
        training=_need(step, runs.capacity, largest["training"]),
        inference=_need(runs.result("inference", batch), runs.capacity, largest["inference"]),
        savings=sorted((saving for saving in tried if saving.saved > 0), key=lambda saving: -saving.saved),
    )


def _context(device: str, context: int | float | str | None) -> int:
    if context is None:
        return CONTEXT if device == "cuda" else 0
    return 0 if context == 0 and not isinstance(context, bool) else read_bytes(context, "context")


def _need(result: Result, capacity: int, largest: int) -> Need:
    margin = capacity - result.reserved
    return Need(result.fits, result.allocated, result.reserved, margin, largest, result.peak)


def _variants(runs: Runs, batch: int, variants: Mapping[str, nn.Module]) -> Iterator[tuple[str, Result]]:
    for name, model in variants.items():
        yield name, runs.changed(model=model).result("training", batch)
