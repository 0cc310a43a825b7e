"""Batch-norm statistics estimated anew after training: the average over batches of training images."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archzoo.errors import RecipeError
from archzoo.layers import evaluation_mode
from archzoo.training._distributed import Distributed


def check_has_batch_norm(net: nn.Module) -> None:
    """Raise RecipeError where a network has no batch norm whose statistics could be estimated."""
    if not any(isinstance(module, _BatchNorm) and module.track_running_stats for module in net.modules()):
        raise RecipeError("batch_norm_images is for networks with batch norm, and this one has none: set it to 0")


def estimate_batch_norms(net: nn.Module, batches: Iterable[Tensor], distributed: Distributed) -> int:
    """Replace the running statistics of all batch norms by the averages of those of ``batches``, and count the batches.

    ``batches`` are this process's shares of images, ready for the network; statistics are those of the whole batches,
    in any number of processes. A share may be empty, but for the first. Batch norms normalize by the batch, as in
    training, and all other layers are in eval mode. Frozen batch norms keep their statistics. Restores train/eval mode.
    """
    norms = _learning_norms(net)
    averages = [_Average(norm, distributed) for norm in norms]
    count = 0
    try:
        with evaluation_mode(net), torch.no_grad():
            image = torch.empty(0)
            for batch in batches if norms else ():
                image = batch[:1] if len(batch) else image
                for average in averages:
                    average.counts = len(batch) > 0
                net(batch if len(batch) else image)  # in step with the other processes
                count += 1
    finally:
        for average in averages:
            average.handle.remove()
    for average in averages if count else ():
        average.write()
    return count


def _learning_norms(net: nn.Module) -> list[_BatchNorm]:
    """The batch norms that update their statistics in train mode: a frozen one stays in eval mode."""
    modes = {module: module.training for module in net.modules()}
    net.train()
    norms = [
        module
        for module in net.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    for module, mode in modes.items():
        module.training = mode
    return norms


class _Average:
    """The cumulative average of one batch norm's statistics, which its running statistics are in between."""

    def __init__(self, norm: _BatchNorm, distributed: Distributed) -> None:
        self.norm, self.distributed = norm, distributed
        self.mean, self.variance, self.batches, self.counts = torch.zeros(()), torch.zeros(()), 0, True
        self.handle = norm.register_forward_pre_hook(self)

    def __call__(self, norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        count, mean, variance = self._statistics(inputs[0])
        if not count:
            return
        self.norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        self.norm.running_var.copy_(variance)  # type: ignore[union-attr]
        self.mean = self.mean.to(mean) + mean
        self.variance = self.variance.to(variance) + variance * count / max(count - 1, 1)  # unbiased, as torch's
        self.batches += 1

    def _statistics(self, maps: Tensor) -> tuple[float, Tensor, Tensor]:
        """How many values a channel has in the batch of all processes, their mean, and their biased variance."""
        variance, mean = torch.var_mean(maps, [0, *range(2, maps.dim())], correction=0)
        mean, variance = mean.double(), variance.double()
        own = maps.numel() // maps.shape[1] if self.counts else 0
        sums = torch.cat([torch.full_like(mean[:1], own), own * mean, own * (variance + mean.square())])
        count, *_ = self.distributed.all_reduce(sums)[:1].tolist()
        mean, square = (sums[1:] / count).chunk(2)
        return count, mean, square - mean.square()

    def write(self) -> None:
        self.norm.running_mean.copy_(self.mean / self.batches)  # type: ignore[union-attr]
        self.norm.running_var.copy_(self.variance / self.batches)  # type: ignore[union-attr]
