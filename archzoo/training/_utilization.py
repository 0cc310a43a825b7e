"""Model FLOPs utilization: the share of a device's peak that the counted operations of training reach."""

import copy

import torch

from archzoo.accelerators import accelerator_named
from archzoo.layers import Net
from archzoo.profiler import active_share, profile
from archzoo.training._config import RunConfig
from archzoo.training._distributed import Distributed


def peak_of(device: torch.device, precision: str) -> float | None:
    """FLOP/s of a device in a precision by its data sheet; None where it has none here, as a CPU."""
    if device.type != "cuda":
        return None
    accelerator = accelerator_named(torch.cuda.get_device_name(device))
    if accelerator is None or precision == "float32":  # sheets have float32 in TF32
        return None
    return accelerator.float32 if precision == "tf32" else accelerator.bfloat16


def flops_per_image(net: Net, input_size: tuple[int, int, int]) -> int:
    """Operations of forward and backward for one image, on average over the parts that run: two per multiply-add."""
    blank = copy.deepcopy(net).to("meta")
    cost = profile(blank, input_size)
    return 2 * round(active_share(blank, cost) * (cost.macs + cost.backward_macs))


class Utilization:
    """What the history says of it. The network is counted once, where the peak of the device is known."""

    def __init__(self, net: Net, config: RunConfig, distributed: Distributed, channels: int, side: int) -> None:
        peak = peak_of(distributed.device, config.precision)
        self.peak = None if peak is None else peak * distributed.world_size
        self.flops = 0 if peak is None else flops_per_image(net, (channels, side, side))

    def describe(self, images_per_second: float) -> dict[str, float]:
        """The column ``mfu``, or nothing where the peak is not known."""
        return {} if self.peak is None else {"mfu": images_per_second * self.flops / self.peak}
