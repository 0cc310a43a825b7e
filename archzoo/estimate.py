"""Estimates of training cost: arithmetic, memory traffic, memory, and communication between processes.

The counts come from the profiler, the accelerators from their data sheets. The result is a lower bound on time, since
no accelerator computes faster than its peak or moves bytes faster than its memory. The share of the bound that real
training reaches (its utilization) has to be measured.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Literal

from torch import nn

import archzoo
from archzoo.accelerators import Accelerator
from archzoo.errors import EstimateError
from archzoo.profiler import active_share, memory, profile, storage_bytes
from archzoo.recipes import TRAINING_IMAGES, Recipe, spell_seconds
from archzoo.registry import find_recipe

Precision = Literal["float32", "bfloat16"]
BYTES = {"float32": 4, "bfloat16": 2}
BOARD = 8  # accelerators joined by links; more of them communicate over the network


@dataclass(frozen=True)
class TrainingCost:
    """The cost of training one network by one recipe.

    Attributes:
        macs: Multiply-adds of forward and backward for one image, on average over the parts that run.
        active_share: The share of the network's multiply-adds that runs, below 1 if blocks or paths are dropped.
        layer_elements: Elements that layers with weights read and write for one image.
        other_elements: Elements that all other operators read and write for one image.
        parameters: Bytes of the parameters, the classifier included.
        classifier: Bytes of the classifier's parameters.
        buffers: Bytes of the buffers.
        batch: The batch size.
        iterations: The number of steps.
    """

    network: str
    recipe: str
    macs: int
    active_share: float
    layer_elements: int
    other_elements: int
    parameters: int
    classifier: int
    buffers: int
    batch: int
    iterations: int

    @property
    def images(self) -> int:
        """Images processed in training, counting repeats."""
        return self.batch * self.iterations

    @property
    def flops(self) -> int:
        """Operations of the whole training: two per multiply-add."""
        return 2 * self.macs * self.images

    def seconds(self, accelerator: Accelerator, precision: Precision = "bfloat16") -> float:
        """The lower bound on the time of one image on one device.

        Layers with weights take the maximum of their arithmetic and their memory traffic. All other operators take
        their memory traffic, as each is a kernel of its own.
        """
        size = BYTES[precision]
        arithmetic = 2 * self.macs / getattr(accelerator, precision)
        layers = max(arithmetic, size * self.layer_elements / accelerator.bandwidth)
        return float(layers + size * self.other_elements / accelerator.bandwidth)

    def hours(
        self,
        accelerator: Accelerator,
        devices: int = 1,
        *,
        precision: Precision = "bfloat16",
        utilization: float = 1,
    ) -> float:
        """Hours of the whole training at a given utilization. Each step waits for the device with the most images.

        Raises EstimateError if ``utilization`` is not above 0 and at most 1, or ``devices`` is below 1.
        """
        if not 0 < utilization <= 1:
            raise EstimateError(f"utilization must be above 0 and at most 1, not {utilization}")
        if devices < 1:
            raise EstimateError(f"devices must be at least 1, not {devices}")
        images_per_step = ceil(self.batch / devices)
        return self.iterations * images_per_step * self.seconds(accelerator, precision) / utilization / 3600


def estimate(name: str, recipe: Recipe | None = None, **options: Any) -> TrainingCost:
    """Estimate the cost of training a network by a recipe, its paper's by default.

    ``options`` are the network's. Raises UnknownName, BadOption or RecipeError.
    """
    entry = archzoo.find(name)
    recipe = recipe or find_recipe(entry.name)
    net = archzoo.build(entry.name, device="meta", **options)
    _, *sides = entry.input_size
    channels = options.get("in_channels", entry.options["in_channels"])
    cost = profile(net, (channels, *([recipe.input_side] * 2 if recipe.input_side else sides)))
    share = active_share(net, cost)
    work = cost.modules[0].work
    forward = 2 * work.neurons, 3 * work.norm + work.pool_reads + 2 * work.elementwise
    layers, other = (round(3 * share * elements) for elements in forward)
    return TrainingCost(
        network=entry.name,
        recipe=recipe.name,
        macs=round(share * (cost.macs + cost.backward_macs)),
        active_share=share,
        layer_elements=layers,
        other_elements=other,
        parameters=storage_bytes(net.parameters()),
        classifier=storage_bytes(net.classifier.parameters()),
        buffers=storage_bytes(net.buffers()),
        batch=recipe.batch_size,
        iterations=recipe.duration(_images(recipe)).iterations,
    )


def _images(recipe: Recipe) -> int:
    return TRAINING_IMAGES.get(recipe.data, TRAINING_IMAGES["imagenet"])


def sent_by_ddp(cost: TrainingCost, devices: int) -> int:
    """Bytes that each process sends at most in a step of DDP: gradients, and the buffers of the first process.

    A ring all-reduce of p processes sends (p - 1) / p of all bytes to sum them, and as many to distribute the sums.
    """
    return round(2 * (devices - 1) / devices * cost.parameters) + (cost.buffers if devices > 1 else 0)


def sent_by_fsdp(cost: TrainingCost, devices: int) -> int:
    """Bytes that each process sends in a step of FSDP: parameters all-gathered, gradients reduce-scattered.

    The features' parameters are gathered for the forward and again for the backward pass, the classifier's once.
    """
    return round((devices - 1) / devices * (3 * cost.parameters - cost.classifier))


def largest_batch(net: nn.Module, input_size: tuple[int, ...], capacity: float) -> int:
    """The largest batch whose training step, in float32 with momentum, fits into ``capacity`` bytes; 0 if none does.

    A peak is the maximum of several moments, each linear in the batch size: the line through the last two batches
    leads to the answer, or closer to it.
    """
    peaks = {batch: memory(net, input_size, batch=batch, device="cuda").training for batch in (1, 256)}
    while True:
        fits = max((batch for batch, peak in peaks.items() if peak <= capacity), default=0)
        too_large = min((batch for batch, peak in peaks.items() if peak > capacity), default=None)
        if too_large is not None and too_large - fits == 1:
            return fits
        (batch0, peak0), (batch1, peak1) = list(peaks.items())[-2:]
        slope = max((peak1 - peak0) / (batch1 - batch0), 1)
        guess = max(batch1 + floor((capacity - peak1) / slope), fits + 1)
        guess = guess if too_large is None else min(guess, too_large - 1)
        peaks[guess] = memory(net, input_size, batch=guess, device="cuda").training


def _hours(hours: float) -> str:
    return f"{hours:,.2f} hours" if hours >= 1 else spell_seconds(3600 * hours)


def summary(
    cost: TrainingCost, accelerator: Accelerator, devices: int, precision: Precision, utilization: float
) -> str:
    """The cost of a training on ``devices`` accelerators as text."""
    hours = cost.hours(accelerator, devices, precision=precision, utilization=utilization)
    step = hours * 3600 / cost.iterations
    bound = "at least" if utilization == 1 else f"at {utilization:g} of the bound"
    lines = {
        "recipe": f"{cost.recipe}: batch {cost.batch}, {cost.iterations:,} iterations, {cost.images:,} images",
        "multiply-adds per image": f"{cost.macs:,} forward and backward, {cost.active_share:.1%} of the network runs",
        "total operations": f"{cost.flops:.3e}",
        f"{devices} x {accelerator.title}": (f"{_hours(hours)} in {precision}, {spell_seconds(step)} a step, {bound}"),
    }
    if devices > 1:
        rate = accelerator.link if devices <= BOARD else accelerator.network
        for kind, sent in (("DDP", sent_by_ddp(cost, devices)), ("FSDP", sent_by_fsdp(cost, devices))):
            lines[f"{kind}, sent by each"] = f"{sent / 1e6:,.1f} MB a step, {1e3 * sent / rate:.3g} ms"
    width = max(map(len, lines))
    return "\n".join([cost.network, *(f"  {key:<{width}}  {text}" for key, text in lines.items())])
