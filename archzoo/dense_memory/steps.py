"""BN-ReLU-conv with the dropout after it, forward and backward, keeping no more than what it read."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOWS = 2**20  # numbers of windows that are copied at a time: they stay in the cache, and out of the peak
FEW = 2**12  # pixels of all images, up to which a product is quicker than torch's gradient of what a 1x1 read
NEAR_ZERO = 0.01  # gamma as a share of beta: what a batch norm returned tells what it read, but for two digits at most
aten = torch.ops.aten


class Step(NamedTuple):
    """One BN-ReLU-conv with the dropout after it, as it stands in the forward pass."""

    norm: nn.BatchNorm2d
    conv: nn.Conv2d
    drop: float
    trains: bool  # the batch norm, by the statistics of the batch: it is not frozen
    eps: float


class Kept(NamedTuple):
    """What a step keeps for the backward pass; ``maps`` is what it read, None where the block has it."""

    gamma: Tensor
    beta: Tensor
    weight: Tensor
    mean: Tensor
    inverse: Tensor  # of the standard deviation, as it divides
    maps: Tensor | None
    dropout: Tensor | None


def steps_of(parts: Sequence[nn.Module]) -> list[Step]:
    """The steps that these layers are; none where there are other layers too."""
    starts = [i for i, part in enumerate(parts) if isinstance(part, nn.BatchNorm2d)]
    steps = [step_of(*parts[start:end]) for start, end in pairwise([*starts, len(parts)])]
    return [step for step in steps if step] if starts[:1] == [0] and all(steps) else []


def step_of(norm: Any, relu: Any = None, conv: Any = None, drop: Any = None, *others: nn.Module) -> Step | None:
    """A step, where each layer computes what torch says of its class, with the options that it has in DenseNet."""
    usual = (
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
    if not usual:
        return None
    return Step(norm, conv, drop.p if drop is not None and drop.training else 0.0, norm.training, norm.eps)


def parameters_of(steps: Iterable[Step], maps: Tensor) -> list[Tensor]:
    """Three for each step; the weights in the type that autocast has for convolutions, where it is on."""
    kind = maps.device.type
    cast_on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    found: list[Tensor] = []
    for norm, conv, *_ in steps:
        single = cast_on and conv.weight.dtype != torch.double
        found += [norm.weight, norm.bias, conv.weight.to(torch.get_autocast_dtype(kind)) if single else conv.weight]
    return found


def forward(
    step: Step, maps: Tensor, parameters: Sequence[Tensor], known: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Kept]:
    """What a step returns, and keeps. ``known`` are mean and variance of the maps in this batch, if they are.

    Changes the running statistics as torch's batch normalization does.
    """
    gamma, beta, weight = parameters
    norm, conv = step.norm, step.conv
    if step.trains:
        mean, variance = known or statistics(maps)
        follow(norm, mean, variance, maps.numel() // maps.shape[1])
    else:
        frozen = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        mean, variance = (one.to(precise(maps), copy=True) for one in frozen)
    inverse = torch.rsqrt(variance + step.eps)
    read = normalized(maps, gamma, beta, mean, inverse).to(weight.dtype)
    out = torch.conv2d(read, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    noise = F.dropout(torch.ones_like(out), step.drop) if step.drop else None
    if noise is not None:
        out.mul_(noise)
    return out, Kept(gamma, beta, weight, mean, inverse, maps, None if noise is None else noise.bool())


def backward(
    step: Step, kept: Kept, maps: Tensor, grad: Tensor, *, needed: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The gradients of a step's maps and of its three parameters, the weight's only where it is needed.

    Where the block has the maps, the first is the gradient of what the batch norm returned instead.
    """
    gamma, beta, weight, mean, inverse, own, dropout = kept
    if dropout is not None:
        grad = grad * dropout / (1 - step.drop)
    read = normalized(maps, gamma, beta, mean, inverse)
    flow, weight_grad = convolution_backward(step.conv, grad.to(weight.dtype), read.to(weight.dtype), weight, needed)
    flow = flow.to(read.dtype)
    aten.threshold_backward.grad_input(flow, read, 0, grad_input=flow)
    if own is None:
        return flow, *norm_gradients(kept, maps, flow, read), weight_grad
    del read
    # Where the norm is frozen it takes running statistics: a variance, to which it adds eps.
    variance = inverse if step.trains else inverse.pow(-2) - step.eps
    batch_norm = (gamma.to(mean.dtype), mean, variance, mean, inverse, step.trains, step.eps)
    maps_grad, gamma_grad, beta_grad = aten.native_batch_norm_backward(flow, maps, *batch_norm, [True, True, True])
    return maps_grad, gamma_grad, beta_grad, weight_grad


def norm_gradients(kept: Kept, maps: Tensor, flow: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of gamma and beta, from that of what batch norm returned where the ReLU let it through.

    ``read``, what the ReLU returned, may be written over.
    """
    gamma, beta, mean, inverse = kept.gamma.to(kept.mean.dtype), kept.beta.to(kept.mean.dtype), kept.mean, kept.inverse
    exact = read.device.type == "cpu" and read.dtype == mean.dtype
    if exact and bool((gamma.abs() > NEAR_ZERO * beta.abs()).all()):
        # Where gradients flow, ``read`` is gamma * x + beta. The kernel asks for x as (read - mean) * inverse.
        mean, inverse = beta, gamma.reciprocal()
    else:
        read.copy_(maps)  # the kernel is slow for maps with gaps between the pixels
    batch_norm = (gamma, mean, inverse, mean, inverse, True, 0.0)
    _, gamma_grad, beta_grad = aten.native_batch_norm_backward(flow, read, *batch_norm, [False, True, True])
    return gamma_grad, beta_grad


def convolution_backward(
    conv: nn.Conv2d, grad: Tensor, read: Tensor, weight: Tensor, needed: bool
) -> tuple[Tensor, Tensor | None]:
    """The gradients of what a convolution read, and of its weight where that is needed; by products where they win."""
    products = suits_products(conv, read)
    if products and conv.kernel_size == (1, 1) and read.numel() <= FEW * read.shape[1]:
        read_grad = (by_pixel(grad) @ weight[:, :, 0, 0]).view(-1, *read.shape[2:], read.shape[1]).permute(0, 3, 1, 2)
        return read_grad, weight_gradient(conv, grad, read) if needed else None
    shape = (conv.stride, conv.padding, conv.dilation, False, [0, 0], conv.groups)
    mask = [True, needed and not products, False]
    read_grad, weight_grad, _ = aten.convolution_backward(grad, read, weight, None, *shape, mask)
    return read_grad, weight_gradient(conv, grad, read) if needed and products else weight_grad


def suits_products(conv: nn.Conv2d, read: Tensor) -> bool:
    """Whether ``weight_gradient`` is right, and faster than torch's: on a CPU, for one group without stride."""
    side, padding = conv.kernel_size[0], cast(tuple[int, ...], conv.padding)
    return (
        read.device.type == "cpu"
        and read.dtype in (torch.float32, torch.float64)
        and conv.kernel_size == (side, side)
        and padding == (padding[0], padding[0])
        and padding[0] < side
        and conv.stride == conv.dilation == (1, 1)
        and conv.groups == 1
    )


def weight_gradient(conv: nn.Conv2d, grad: Tensor, read: Tensor) -> Tensor:
    """The gradient of a convolution's weight, as matrix products of what it read with windows of the gradient.

    A dense layer returns few maps and reads many, so that windows of the former are cheap to copy. The products are
    quicker with more rows than columns.
    """
    side, (around, _) = conv.kernel_size[0], cast(tuple[int, ...], conv.padding)
    if side == 1:
        return (by_pixel(read).t() @ by_pixel(grad)).t()[:, :, None, None]
    edge = side - 1 - around
    rows = read.permute(0, 2, 3, 1)
    padded = F.pad(grad.permute(0, 2, 3, 1), (0, 0, edge, edge, edge, edge)).contiguous()
    images, high, wide, maps = *rows.shape[:3], padded.shape[3]
    image, row, pixel, _ = padded.stride()
    windows = padded.as_strided((images, high, wide, side, side * maps), (image, row, pixel, row, 1))
    together = max(WINDOWS // (high * wide * side * side * maps), 1)
    total = read.new_zeros(side * side * maps, read.shape[1])
    for some, seen in zip(torch.split(windows, together), torch.split(rows, together), strict=True):
        total.addmm_(some.reshape(-1, len(total)).t(), seen.reshape(-1, read.shape[1]))
    return total.view(side, side, maps, -1).flip(0, 1).permute(2, 3, 0, 1)


def by_pixel(maps: Tensor) -> Tensor:
    """A row for every pixel of every image."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def normalized(maps: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """BN-ReLU, in one tensor."""
    scale = gamma * inverse
    shift = torch.addcmul(beta, mean, scale, value=-1)
    return torch.addcmul(column(shift), maps, column(scale)).to(maps.dtype).relu_()


def statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each map over the batch. Raises ValueError for one number a map, as torch does."""
    count = maps.numel() // maps.shape[1]
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {maps.size()}")
    mean, variance = maps.new_zeros(2, maps.shape[1], dtype=precise(maps))
    if maps.device.type == "cpu":  # its kernel for statistics alone
        found: tuple[Tensor, Tensor] = torch.batch_norm_update_stats(maps, mean, variance, 0.0)
        return found
    F.batch_norm(maps, mean, variance, training=True, momentum=1.0)  # its running variance divides by one less
    return mean, variance * ((count - 1) / count)


def follow(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move running statistics towards these, of so many numbers a map."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    momentum = 1 / float(cast(Tensor, norm.num_batches_tracked)) if norm.momentum is None else norm.momentum
    for running, new in ((norm.running_mean, mean), (norm.running_var, variance * (count / (count - 1)))):
        cast(Tensor, running).lerp_(new.to(cast(Tensor, running).dtype), momentum)


def precise(maps: Tensor) -> torch.dtype:
    """The type of statistics: single precision at least."""
    return torch.promote_types(maps.dtype, torch.float32)


def column(values: Tensor) -> Tensor:
    """A value for each map, to be spread over its pixels."""
    return values.view(-1, 1, 1)
