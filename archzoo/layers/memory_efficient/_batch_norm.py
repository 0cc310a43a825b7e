"""Batch normalization in parts: statistics, running statistics, and the normalization followed by ReLU."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import InputError
from archzoo.layers.memory_efficient import _fused


def batch_statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each feature map over the batch, both (C,).

    Raises InputError for one value per channel, with torch's message.
    """
    count = maps.numel() // maps.shape[1]
    if count == 1:
        raise InputError(f"Expected more than 1 value per channel when training, got input size {maps.size()}")
    device = maps.untyped_storage().device.type
    if device == "cuda":  # it has a kernel for statistics alone, which are in float32 at least
        return torch.batch_norm_update_stats(maps, None, None, 0.0)
    mean, variance = maps.new_zeros(2, maps.shape[1], dtype=statistics_dtype(maps))
    if device == "cpu":  # so has the CPU: in the dtype of the running statistics that it is given
        return torch.batch_norm_update_stats(maps, mean, variance, 0.0)
    if maps.device.type == "cuda":  # a meta tensor that stands for one of CUDA: of the size of those statistics
        return mean, variance
    F.batch_norm(maps, mean, variance, training=True, momentum=1.0)  # the running variance is the unbiased one
    return mean, variance * ((count - 1) / count)


class RunningStatistics:
    """Running statistics to update, all at once: on a GPU, a launch for each would take longer than the arithmetic."""

    def __init__(self) -> None:
        self.updates: dict[tuple[float | None, int], list[tuple[nn.BatchNorm2d, Tensor, Tensor]]] = {}

    def add(self, norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
        """Add the statistics of a batch of ``count`` values per channel."""
        self.updates.setdefault((norm.momentum, count), []).append((norm, mean, variance))

    def update(self) -> None:
        """Update running statistics as torch does."""
        for (momentum, count), updates in self.updates.items():
            norms = [norm for norm, _, _ in updates]
            counters = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
            if counters:
                torch._foreach_add_(counters, 1)
            unbiased = torch._foreach_mul([variance for _, _, variance in updates], count / (count - 1))
            for running, batch in (
                ([norm.running_mean for norm in norms], [mean for _, mean, _ in updates]),
                ([norm.running_var for norm in norms], unbiased),
            ):
                average(cast(list[Tensor], running), batch, momentum, norms)


def average(
    running: list[Tensor], batch: Sequence[Tensor], momentum: float | None, norms: list[nn.BatchNorm2d]
) -> None:
    """Average running statistics with those of a batch: exponentially, or over all batches without a momentum."""
    batch = [statistic.to(into.dtype) for into, statistic in zip(running, batch, strict=True)]
    if momentum is not None:
        torch._foreach_lerp_(running, batch, momentum)
        return
    for into, statistic, norm in zip(running, batch, norms, strict=True):
        into.lerp_(statistic, 1 / float(cast(Tensor, norm.num_batches_tracked)))


def batch_norm_relu(
    maps: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    inverse_std: Tensor,
    dtype: torch.dtype | None = None,
    *,
    fused: bool = False,
) -> Tensor:
    """Batch normalization and ReLU of maps (N, C, H, W), in a single tensor of ``dtype``, by default that of maps."""
    if fused:
        return _fused.batch_norm_relu(maps, gamma, beta, mean, inverse_std, dtype or maps.dtype)
    scale = gamma * inverse_std
    shift = torch.addcmul(beta, mean, scale, value=-1)
    return torch.addcmul(per_channel(shift), maps, per_channel(scale)).to(maps.dtype).relu_().to(dtype or maps.dtype)


def statistics_dtype(maps: Tensor) -> torch.dtype:
    """The dtype of batch statistics: float32 at least."""
    return torch.promote_types(maps.dtype, torch.float32)


def per_channel(values: Tensor) -> Tensor:
    """Values (C,) as (C, 1, 1), to broadcast over pixels."""
    return values.view(-1, 1, 1)
