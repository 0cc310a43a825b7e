"""The memory that the profiler predicts, against what the CPU allocator hands out in a real run.

    python benchmarks/memory.py [NAME ...]

Measured are the peaks of live bytes over a forward pass in evaluation mode, and over forward, backward and optimizer
step in training mode (the second step, when the optimizer's state exists), from PyTorch's own record of every
allocation. Exits with 1 if a prediction misses its bar: 2% in training, 10% in inference.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity
from torch.profiler import profile as record

import archzoo
from archzoo.profiler import OPTIMIZERS, memory, scalar_loss, storage_bytes

CASES = {
    "resnet18": (2, 8),
    "vgg_d": (1, 4),
    "densenet_bc": (4, 16),
    "shufflenet_v2_x1_0": (4, 16),
    "fractalnet20": (8, 32),
}
# All paths of a fractal: which of them a training step drops is drawn anew each time.
OPTIONS: dict[str, dict[str, Any]] = {"fractalnet20": {"drop_path": 0.0}}
BARS = {"training": 0.02, "inference": 0.10}


class Peak:
    """Live bytes at the start, and the largest number of live bytes during a run."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.bytes = 0


@contextmanager
def peak_of(tensors: Iterator[Tensor]) -> Iterator[Peak]:
    """Follow every allocation inside, on top of the tensors that exist already."""
    peak = Peak(storage_bytes(tensors))
    with record(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        yield peak
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = highest = peak.start
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        highest = max(highest, live)
    peak.bytes = highest


def measured(net: nn.Module, images: Tensor) -> tuple[int, int]:
    """Peaks of inference and of a training step."""

    def exist() -> Iterator[Tensor]:
        attributes = (value for module in net.modules() for value in vars(module).values())
        kept = (value for value in attributes if isinstance(value, Tensor))  # such as what weight_norm computes
        yield from (*net.parameters(), *net.buffers(), *kept, images)

    net.eval()
    with torch.no_grad(), peak_of(exist()) as inference:
        net(images)
    optimizer = OPTIMIZERS["sgd"](net.parameters())
    net.train()

    def step() -> None:
        optimizer.zero_grad()
        loss = scalar_loss(net(images))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()
    optimizer.zero_grad()
    momentum = (state["momentum_buffer"] for state in optimizer.state.values())
    with peak_of(iter([*exist(), *momentum])) as training:
        step()
    return inference.bytes, training.bytes


def main(names: list[str]) -> int:
    """Print a line for each net, batch and phase; how many bars were missed."""
    missed = 0
    print(f"{'':22}{'batch':>6}{'phase':>11}{'predicted MiB':>15}{'measured MiB':>14}{'off':>8}")
    for name in names or CASES:
        for batch in CASES.get(name, (2, 8)):
            size = archzoo.find(name).input_size
            net = archzoo.build(name, **OPTIONS.get(name, {}))
            images = torch.randn(batch, *size)
            profile = memory(net, size, batch=batch)
            peaks = dict(zip(("inference", "training"), measured(net, images), strict=True))
            for phase, true in peaks.items():
                predicted = getattr(profile, phase)
                off = predicted / true - 1
                missed += abs(off) > BARS[phase]
                print(
                    f"{name:22}{batch:6}{phase:>11}{predicted / 2**20:15.2f}{true / 2**20:14.2f}{off:8.2%}", flush=True
                )
    return missed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
