"""A step, BN-ReLU-conv with the dropout after it: forward and backward with its input alone saved."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers.memory_efficient import _fused
from archzoo.layers.memory_efficient._batch_norm import (
    RunningStatistics,
    batch_norm_relu,
    batch_statistics,
    statistics_dtype,
)
from archzoo.layers.memory_efficient._convolution import convolution_backward

# The smallest |gamma| / |beta| for which the input of a batch norm is recovered from its output: two digits are lost.
MIN_GAMMA_TO_BETA = 0.01
aten = torch.ops.aten


class Step(NamedTuple):
    """One BN-ReLU-conv and the dropout after it, with their modes at the time of the forward pass."""

    norm: nn.BatchNorm2d
    conv: nn.Conv2d
    drop: float
    trains: bool  # whether the batch norm takes the statistics of the batch, and not frozen ones
    eps: float
    fused: bool  # whether the kernels of ``_fused.py`` compute it


class SavedTensors(NamedTuple):
    """What a step saves for the backward pass. ``maps`` is its input, or None where the block has it."""

    gamma: Tensor
    beta: Tensor
    weight: Tensor
    mean: Tensor
    inverse_std: Tensor
    maps: Tensor | None
    dropout_mask: Tensor | None


def steps_of(parts: Sequence[nn.Module], *, fused: bool = False) -> list[Step]:
    """The steps that these layers form, or an empty list if there are other layers among them."""
    starts = [i for i, part in enumerate(parts) if isinstance(part, nn.BatchNorm2d)]
    steps = [step_of(*parts[start:end]) for start, end in pairwise([*starts, len(parts)])]
    return [step._replace(fused=fused) for step in steps if step] if starts[:1] == [0] and all(steps) else []


def step_of(norm: Any, relu: Any = None, conv: Any = None, drop: Any = None, *others: nn.Module) -> Step | None:
    """The step of these layers, or None unless each is a plain layer of torch with the options it has in DenseNet."""
    supported = (
        type(norm).forward is nn.BatchNorm2d.forward
        and norm.affine
        and norm.running_mean is not None
        and getattr(type(relu), "forward", None) is nn.ReLU.forward
        and getattr(type(conv), "forward", None) is nn.Conv2d.forward
        and conv.bias is None
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and (drop is None or (type(drop).forward is nn.Dropout.forward and drop.p < 1))
        and not others
    )
    if not supported:
        return None
    return Step(norm, conv, drop.p if drop is not None and drop.training else 0.0, norm.training, norm.eps, False)


def parameters_of(steps: Iterable[Step], maps: Tensor) -> list[Tensor]:
    """Gamma, beta and weight of each step, the weight in autocast's dtype where autocast is enabled."""
    device = maps.device.type
    autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    parameters: list[Tensor] = []
    for norm, conv, *_ in steps:
        weight: Tensor = conv.weight
        if autocast and weight.dtype != torch.double:
            weight = weight.to(torch.get_autocast_dtype(device))
        parameters += [norm.weight, norm.bias, weight]
    return parameters


def step_forward(
    step: Step,
    maps: Tensor,
    parameters: Sequence[Tensor],
    running: RunningStatistics,
    known: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, SavedTensors]:
    """The output of a step, and what it saves. ``known`` is the mean and variance of ``maps``, if already computed.

    Adds to ``running`` what torch's batch normalization would update.
    """
    gamma, beta, weight = parameters
    norm, conv = step.norm, step.conv
    if step.trains:
        mean, variance = known or batch_statistics(maps)
        running.add(norm, mean, variance, maps.numel() // maps.shape[1])
    else:
        frozen = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        mean, variance = (statistic.to(statistics_dtype(maps), copy=True) for statistic in frozen)
    inverse_std = torch.rsqrt(variance + step.eps)
    activations = batch_norm_relu(maps, gamma, beta, mean, inverse_std, weight.dtype, fused=step.fused)
    out = torch.conv2d(activations, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    noise = F.dropout(torch.ones_like(out), step.drop) if step.drop else None
    if noise is not None:
        out.mul_(noise)
    mask = None if noise is None else noise.bool()
    return out, SavedTensors(gamma, beta, weight, mean, inverse_std, maps, mask)


def convolution_gradients(
    step: Step, saved: SavedTensors, maps: Tensor, grad_out: Tensor, *, needs_weight_grad: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradients of the ReLU's output and, if needed, of the weight; and that output, where it is read again."""
    gamma, beta, weight, mean, inverse_std, _, dropout_mask = saved
    if dropout_mask is not None:
        grad_out = grad_out * dropout_mask / (1 - step.drop)
    dtype = weight.dtype if step.fused else None
    activations = batch_norm_relu(maps, gamma, beta, mean, inverse_std, dtype, fused=step.fused)
    grad, weight_grad = convolution_backward(
        step.conv,
        grad_out.to(weight.dtype),
        activations.to(weight.dtype),
        weight,
        needs_weight_grad=needs_weight_grad,
    )
    return grad, weight_grad, None if step.fused else activations


def maps_gradients(
    step: Step, saved: SavedTensors, maps: Tensor, grad: Tensor, activations: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a step's input, gamma and beta, from that of the ReLU's output, ``activations``."""
    gamma, beta, _, mean, inverse_std, _, _ = saved
    if activations is None:
        return _fused.norm_relu_backward(grad, maps, (gamma, beta, mean, inverse_std), trains=step.trains)
    grad = through_relu(grad, activations)
    del activations
    # In eval mode the kernel takes running statistics: a variance, to which it adds eps.
    variance = inverse_std if step.trains else inverse_std.pow(-2) - step.eps
    batch_norm = (gamma.to(mean.dtype), mean, variance, mean, inverse_std, step.trains, step.eps)
    gradients: tuple[Tensor, Tensor, Tensor] = aten.native_batch_norm_backward(
        grad, maps, *batch_norm, [True, True, True]
    )
    return gradients


def through_relu(grad: Tensor, activations: Tensor) -> Tensor:
    """The gradient of a ReLU's input, from that of its output."""
    grad = grad.to(activations.dtype)
    aten.threshold_backward.grad_input(grad, activations, 0, grad_input=grad)
    return grad


def norm_gradients(saved: SavedTensors, maps: Tensor, grad: Tensor, activations: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of gamma and beta, from that of the batch norm's output, which is zero where the ReLU cut it off.

    Overwrites ``activations``, the output of the ReLU.
    """
    mean, inverse_std = saved.mean, saved.inverse_std
    gamma, beta = saved.gamma.to(mean.dtype), saved.beta.to(mean.dtype)
    exact = activations.device.type == "cpu" and activations.dtype == mean.dtype
    if exact and bool((gamma.abs() > MIN_GAMMA_TO_BETA * beta.abs()).all()):
        # Where the gradient is not zero, ``activations`` is gamma * x + beta for the normalized input x, which the
        # kernel computes as (activations - mean) * inverse_std.
        mean, inverse_std = beta, gamma.reciprocal()
    else:
        activations.copy_(maps)  # the kernel is slow for maps that are not contiguous
    batch_norm = (gamma, mean, inverse_std, mean, inverse_std, True, 0.0)
    _, gamma_grad, beta_grad = aten.native_batch_norm_backward(grad, activations, *batch_norm, [False, True, True])
    return gamma_grad, beta_grad
