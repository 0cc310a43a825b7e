"""Model FLOPs utilization: the share of a device's peak that the counted operations of training reach."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archzoo.accelerators import accelerator_named
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


def flops_per_image(net: nn.Module, size: Sequence[int]) -> int:
    """Operations of forward and backward for one image, on average over the parts that run: two per multiply-add."""
    blank = copy.deepcopy(net).to("meta")
    cost = profile(blank, torch.empty(1, *size, device="meta"))
    return 2 * round(active_share(blank, cost) * (cost.macs + cost.backward_macs))


class Utilization:
    """What the history says of it. The network is counted once, for the first images, where the peak is known."""

    def __init__(self, net: nn.Module, config: RunConfig, distributed: Distributed) -> None:
        peak = peak_of(distributed.device, config.precision)
        self.net, self.peak = net, None if peak is None else peak * distributed.world_size
        self.flops: int | None = None

    def count(self, images: Tensor) -> None:
        """Count the operations for one of these images (n, ...), unless they are counted."""
        if self.peak is not None and self.flops is None:
            self.flops = flops_per_image(self.net, images.shape[1:])

    def describe(self, images_per_second: float) -> dict[str, float]:
        """The column ``mfu``, or nothing where the peak is not known."""
        return {} if self.peak is None or not self.flops else {"mfu": images_per_second * self.flops / self.peak}
