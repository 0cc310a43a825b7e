"""Batch normalization in parts: statistics, running statistics, and the normalization followed by ReLU."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import InputError


def batch_statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each feature map over the batch, both (C,).

    Raises InputError for one value per channel, with torch's message.
    """
    count = maps.numel() // maps.shape[1]
    if count == 1:
        raise InputError(f"Expected more than 1 value per channel when training, got input size {maps.size()}")
    mean, variance = maps.new_zeros(2, maps.shape[1], dtype=statistics_dtype(maps))
    if maps.device.type == "cpu":  # the CPU has a kernel for statistics alone
        statistics: tuple[Tensor, Tensor] = torch.batch_norm_update_stats(maps, mean, variance, 0.0)
        return statistics
    F.batch_norm(maps, mean, variance, training=True, momentum=1.0)  # the running variance is the unbiased one
    return mean, variance * ((count - 1) / count)


def update_running_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Update the running statistics of ``norm`` as torch does, from a batch of ``count`` values per channel."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    momentum = 1 / float(cast(Tensor, norm.num_batches_tracked)) if norm.momentum is None else norm.momentum
    for running, batch in ((norm.running_mean, mean), (norm.running_var, variance * (count / (count - 1)))):
        cast(Tensor, running).lerp_(batch.to(cast(Tensor, running).dtype), momentum)


def batch_norm_relu(maps: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, inverse_std: Tensor) -> Tensor:
    """Batch normalization and ReLU of maps (N, C, H, W), in a single tensor."""
    scale = gamma * inverse_std
    shift = torch.addcmul(beta, mean, scale, value=-1)
    return torch.addcmul(per_channel(shift), maps, per_channel(scale)).to(maps.dtype).relu_()


def statistics_dtype(maps: Tensor) -> torch.dtype:
    """The dtype of batch statistics: float32 at least."""
    return torch.promote_types(maps.dtype, torch.float32)


def per_channel(values: Tensor) -> Tensor:
    """Values (C,) as (C, 1, 1), to broadcast over pixels."""
    return values.view(-1, 1, 1)
