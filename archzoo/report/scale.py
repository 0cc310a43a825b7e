"""What training by the papers' recipes costs, on paper: arithmetic, memory and its traffic, what processes exchange.

Counts are the profiler's, machines are their data sheets. What comes out is a bound, as no machine computes faster than
its peak or moves bytes faster than its memory; what share of it real training reaches is a matter of measurement.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Literal

import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import EstimateError
from archzoo.layers import Net
from archzoo.profiler import Profile, memory, profile
from archzoo.profiler.storages import size_of
from archzoo.recipes import TRAINING_IMAGES, Recipe
from archzoo.registry import find_recipe
from archzoo.training.parallel import skips_modules

Precision = Literal["float32", "bfloat16"]
BYTES = {"float32": 4, "bfloat16": 2}
BOARD = 8  # accelerators that a link joins; beyond that it is the network


@dataclass(frozen=True)
class Machine:
    """An accelerator as its data sheet has it, dense, with what joins it to others.

    ``float32`` and ``bfloat16`` are FLOP/s (float32 as PyTorch convolves by default, in TF32 where there is that),
    ``bandwidth`` is of its memory, ``link`` what it sends to others on the same board and ``network`` to those of other
    machines, in bytes/s; ``memory`` is in bytes.
    """

    title: str
    float32: float
    bfloat16: float
    bandwidth: float
    memory: float
    link: float
    network: float


MACHINES = {
    "h200": Machine("NVIDIA H200 SXM", 494.7e12, 989.5e12, 4.8e12, 141e9, 450e9, 50e9),
    "h100": Machine("NVIDIA H100 SXM", 494.7e12, 989.5e12, 3.35e12, 80e9, 450e9, 50e9),
    "a100": Machine("NVIDIA A100 80GB SXM", 156e12, 312e12, 2.039e12, 80e9, 300e9, 25e9),
    "v100": Machine("NVIDIA V100 16GB SXM2", 15.7e12, 125e12, 0.9e12, 16e9, 150e9, 12.5e9),
}


@dataclass(frozen=True)
class TrainingCost:
    """One network trained by one recipe.

    ``macs`` are multiply-adds of forward and backward for one image, of what is run on average: ``run`` is that as a
    share of all, below 1 where blocks or paths are dropped. ``layer_elements`` and ``other_elements`` are numbers that
    layers with weights and all other operators read and write for one image; ``parameters``, the ``classifier``'s
    among them, and ``buffers`` are bytes.
    """

    network: str
    recipe: str
    macs: int
    run: float
    layer_elements: int
    other_elements: int
    parameters: int
    classifier: int
    buffers: int
    batch: int
    iterations: int

    @property
    def images(self) -> int:
        """Images that training sees, each as often as it is seen."""
        return self.batch * self.iterations

    @property
    def flops(self) -> int:
        """Operations of the whole training, two for each multiply-add."""
        return 2 * self.macs * self.images

    def seconds(self, machine: Machine, precision: Precision = "bfloat16") -> float:
        """The least that one image takes on one device.

        Layers with weights take as long as their arithmetic or their traffic, whichever is more; all other operators as
        long as their traffic, as each is a kernel of its own.
        """
        size = BYTES[precision]
        arithmetic = 2 * self.macs / getattr(machine, precision)
        layers = max(arithmetic, size * self.layer_elements / machine.bandwidth)
        return float(layers + size * self.other_elements / machine.bandwidth)

    def hours(
        self, machine: Machine, devices: int = 1, *, precision: Precision = "bfloat16", share: float = 1
    ) -> float:
        """Hours of the whole training at a share of the bound; each step waits for the device with most images.

        Raises EstimateError for a share that is not above 0 and at most 1, or for no device.
        """
        if not 0 < share <= 1 or devices < 1:
            raise EstimateError(f"a share is above 0 and at most 1, devices are at least 1; not {share}, {devices}")
        each = ceil(self.batch / devices)
        return self.iterations * each * self.seconds(machine, precision) / share / 3600


def training_cost(name: str, recipe: Recipe | None = None, **options: Any) -> TrainingCost:
    """What a network, by name and options, costs by a recipe: its paper's by default."""
    entry = archzoo.find(name)
    found = recipe or find_recipe(entry.name)
    net = archzoo.build(entry.name, device="meta", **options)
    cost = profile(net, entry.input_size)
    run = run_share(net, cost)
    work = cost.rows[0].work
    forward = 2 * work.neurons, 3 * work.norm + work.pool_reads + 2 * work.elementwise
    layers, other = (round(3 * run * elements) for elements in forward)
    parameters, buffers = size_of(net.parameters()), size_of(net.buffers())
    return TrainingCost(
        network=entry.name,
        recipe=found.name,
        macs=round(run * (cost.macs + cost.backward_macs)),
        run=run,
        layer_elements=layers,
        other_elements=other,
        parameters=parameters,
        classifier=size_of(net.classifier.parameters()),
        buffers=buffers,
        batch=found.batch_size,
        iterations=found.duration(_images(found)).iterations,
    )


def _images(recipe: Recipe) -> int:
    return TRAINING_IMAGES.get(recipe.data, TRAINING_IMAGES["imagenet"])


def run_share(net: Net, cost: Profile, draws: int = 400) -> float:
    """The share of the multiply-adds that training runs on average: 1, or less with dropped blocks or paths.

    Blocks with a probability of survival count by it, exactly; drop-path is drawn so often, from a fixed seed. ``cost``
    is the network's, which is left in training mode, with layers that no longer compute anything.
    """
    if not skips_modules(net):
        return 1.0
    survivals = {name: getattr(module, "survival", None) for name, module in net.named_modules()}
    blocks = {name: survival for name, survival in survivals.items() if isinstance(survival, float)}
    if blocks:
        return 1 - sum((1 - survival) * cost.at(f"{name}.layers").macs for name, survival in blocks.items()) / cost.macs
    ran = cost.at("classifier").macs * draws
    for name, module in net.features.named_modules(prefix="features"):
        if not any(module.children()):
            macs = cost.at(name).macs

            def hand_on(maps: Tensor, macs: int = macs) -> Tensor:
                nonlocal ran
                ran += macs
                return maps

            module.forward = hand_on  # who is called is all that matters
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        net.train()
        for _ in range(draws):
            net.features(torch.zeros(1))
    return ran / draws / cost.macs


def sent_by_ddp(cost: TrainingCost, devices: int) -> int:
    """Bytes that each process sends at most in a step of DDP: sums of gradients, and the buffers of the first.

    A ring of p processes sends (p - 1) / p of all bytes once to sum them, and once to tell the sums.
    """
    return round(2 * (devices - 1) / devices * cost.parameters) + (cost.buffers if devices > 1 else 0)


def sent_by_fsdp(cost: TrainingCost, devices: int) -> int:
    """Bytes that each process sends in a step of FSDP: parameters gathered, sums of gradients scattered.

    The features' are gathered for the forward and again for the backward pass, the classifier's stay in between.
    """
    return round((devices - 1) / devices * (3 * cost.parameters - cost.classifier))


def largest_batch(net: nn.Module, input_size: tuple[int, ...], room: float) -> int:
    """The largest batch whose training step, in float32 with momentum, has its peak within so many bytes; 0 if none.

    A peak is the largest of several moments, each of which grows in a straight line with the batch: the line through
    the last two batches that were followed leads to the answer, or nearer to it.
    """
    peaks = {batch: memory(net, input_size, batch=batch, device="cuda").training for batch in (1, 256)}
    while True:
        fits = max((batch for batch, peak in peaks.items() if peak <= room), default=0)
        too_many = min((batch for batch, peak in peaks.items() if peak > room), default=None)
        if too_many is not None and too_many - fits == 1:
            return fits
        (one, low), (other, high) = list(peaks.items())[-2:]
        slope = max((high - low) / (other - one), 1)
        guess = max(other + floor((room - high) / slope), fits + 1)
        guess = guess if too_many is None else min(guess, too_many - 1)
        peaks[guess] = memory(net, input_size, batch=guess, device="cuda").training


def summary(cost: TrainingCost, machine: Machine, devices: int, precision: Precision, share: float) -> str:
    """What a training costs on so many devices, in lines for people."""
    hours = cost.hours(machine, devices, precision=precision, share=share)
    step = hours * 3600 / cost.iterations
    bound = "at least" if share == 1 else f"at {share:g} of the bound"
    lines = {
        "recipe": f"{cost.recipe}: batch {cost.batch}, {cost.iterations:,} iterations, {cost.images:,} images",
        "multiply-adds of an image": f"{cost.macs:,} forward and backward, {cost.run:.1%} of the network run",
        "operations in all": f"{cost.flops:.3e}",
        f"{devices} x {machine.title}": f"{hours:,.2f} hours in {precision}, {1e3 * step:.3g} ms a step, {bound}",
    }
    if devices > 1:
        rate = machine.link if devices <= BOARD else machine.network
        for kind, sent in (("DDP", sent_by_ddp(cost, devices)), ("FSDP", sent_by_fsdp(cost, devices))):
            lines[f"{kind}, sent by each"] = f"{sent / 1e6:,.1f} MB a step, {1e3 * sent / rate:.3g} ms"
    width = max(map(len, lines))
    return "\n".join([cost.network, *(f"  {key:<{width}}  {text}" for key, text in lines.items())])
