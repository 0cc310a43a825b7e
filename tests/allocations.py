"""What PyTorch's allocator for the CPU hands out in a real run: the witness of what is computed without one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, record_function
from torch.profiler import profile as record

from archzoo.profiler import scalar_loss


def recorded_peaks(
    make: Callable[[], nn.Module], inputs: Tensor, make_optimizer: Callable[[Any], torch.optim.Optimizer]
) -> dict[str, int]:
    """The peaks of "inference" and "training", the second step, of a network that is made meanwhile."""
    before = inputs.untyped_storage().nbytes()
    with record(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        net = make().eval()
        with torch.no_grad(), record_function("inference"):
            net(inputs)
        optimizer = make_optimizer(net.train().parameters())
        for name in ("first step", "training"):
            with record_function(name):
                optimizer.zero_grad()
                scalar_loss(net(inputs)).backward()
                optimizer.step()
    events = recorded.profiler.kineto_results.events()
    spans = {event.name(): (event.start_ns(), event.start_ns() + event.duration_ns()) for event in events}
    peaks = {"inference": 0, "training": 0}
    live = before
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            for name in peaks:
                start, end = spans[name]
                if start <= event.start_ns() <= end:
                    peaks[name] = max(peaks[name], live, live + event.nbytes())
            live += event.nbytes()
    return peaks
