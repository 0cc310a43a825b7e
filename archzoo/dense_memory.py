"""DenseNet's dense blocks and transitions, trained with memory linear in depth: concatenations are made again.

A plain block keeps, for every layer, all maps that it read: once concatenated, once after batch norm. Here a block
keeps one tensor, which each layer's new maps are written into, and what each bottleneck's first convolution returned.
The mean and variance of a map are the same for all its readers, so they are found once. In the backward pass what a
convolution read is scaled, shifted and cut off by the ReLU again; no convolution or statistic is computed twice.

G. Pleiss et al., "Memory-Efficient Implementation of DenseNets", 2017, arXiv:1707.06990.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

aten = torch.ops.aten
Gradients = tuple[Tensor | None, ...]


class DenseBlock(nn.Sequential):
    """Layers of one or two BN-ReLU-conv each; every layer returns what it read, with its new maps behind."""

    def forward(self, maps: Tensor) -> Tensor:
        layers = [steps_of(list(layer.children())) for layer in self]
        if not all(layers) or not learns(self, maps):
            plain: Tensor = super().forward(maps)  # type: ignore[no-untyped-call]
            return plain
        steps = [step for layer in layers for step in layer]
        joined: Tensor = _Block.apply(layers, maps, *parameters_of(steps, maps))  # type: ignore[no-untyped-call]
        return joined


class Transition(nn.Sequential):
    """BN-ReLU-conv, with dropout after it or without, and one layer more."""

    def forward(self, maps: Tensor) -> Tensor:
        *parts, last = self
        steps = steps_of(parts)
        if len(steps) != 1 or not learns(self, maps):
            plain: Tensor = super().forward(maps)  # type: ignore[no-untyped-call]
            return plain
        out: Tensor = last(_Step.apply(*steps, maps, *parameters_of(steps, maps)))  # type: ignore[no-untyped-call]
        return out


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
    variance: Tensor
    maps: Tensor | None
    dropout: Tensor | None


def learns(part: nn.Module, maps: Tensor) -> bool:
    """Whether a backward pass will come, which no compiler plans, and nobody watches what happens inside."""
    wanted = maps.requires_grad or any(parameter.requires_grad for parameter in part.parameters())
    if not (wanted and part.training and torch.is_grad_enabled()) or torch.compiler.is_compiling():
        return False
    hooks = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return not any(getattr(inside, kind) for inside in part.modules() if inside is not part for kind in hooks)


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


class _Step(Function):
    """A step by itself."""

    @staticmethod
    def forward(ctx: Any, step: Step, maps: Tensor, *parameters: Tensor) -> Tensor:
        out, kept = forward(step, maps, parameters, statistics(maps) if step.trains else None)
        ctx.step = step
        ctx.save_for_backward(*kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        kept = Kept(*ctx.saved_tensors)
        return None, *backward(ctx.step, kept, cast(Tensor, kept.maps), grad, needed=ctx.needs_input_grad[-1])


class _Block(Function):
    """A dense block, of a list of steps for each layer."""

    @staticmethod
    def forward(ctx: Any, layers: list[list[Step]], maps: Tensor, *parameters: Tensor) -> Tensor:
        joined = torch.empty(
            (len(maps), maps.shape[1] + sum(layer[-1].conv.out_channels for layer in layers), *maps.shape[2:]),
            dtype=torch.promote_types(maps.dtype, parameters[2].dtype),
            device=maps.device,
            memory_format=torch.channels_last,  # the first maps of a pixel stand side by side, however many
        )
        mean, variance = joined.new_zeros(2, joined.shape[1], dtype=precise(joined))
        kept: list[Kept] = []
        left, out, width = iter(parameters), maps, 0
        for bottleneck in layers:
            here = slice(width, width + out.shape[1])
            joined[:, here] = out
            if any(layer[0].trains for layer in layers):
                mean[here], variance[here] = statistics(out)
            width = here.stop
            out, known = joined[:, :width], (mean[:width], variance[:width])
            for number, step in enumerate(bottleneck):
                if number and step.trains:
                    known = statistics(out)
                out, one = forward(step, out, [next(left) for _ in range(3)], known if step.trains else None)
                kept.append(one if number else one._replace(maps=None))
        joined[:, width:] = out
        ctx.layers = layers
        ctx.save_for_backward(joined, mean, *(tensor for one in kept for tensor in one))
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        joined, mean, *rest = cast(tuple[Tensor, ...], ctx.saved_tensors)
        kept = [Kept(*rest[i : i + len(Kept._fields)]) for i in range(0, len(rest), len(Kept._fields))]
        needed = list(ctx.needs_input_grad)
        gradients: list[Tensor | None] = []
        total = Total(joined, mean, grad)
        width = joined.shape[1]
        for layer in reversed(ctx.layers):
            end, width = width, width - layer[-1].conv.out_channels
            flow = total.of(width, end)
            for step in reversed(layer):
                one, weight_needed = kept.pop(), needed[-1]
                del needed[-3:]
                maps = joined[:, :width] if one.maps is None else one.maps
                flow, gamma, beta, weight = backward(step, one, maps, flow, needed=weight_needed)
                gradients[:0] = (gamma, beta, weight)
                if one.maps is None:
                    total.add(step, one, flow, gamma, beta)
        return None, total.of(0, width), *gradients


class Total:
    """The gradient of every map of a block, by all that read it.

    A batch norm takes from the gradient of its maps offset + slope * (map - mean), two numbers a map. Those of all
    readers add up as the gradients do, and are taken off once.
    """

    def __init__(self, joined: Tensor, mean: Tensor, grad: Tensor) -> None:
        self.joined = joined
        self.mean = mean
        self.grad = grad
        self.inside: Tensor | None = None  # by the block's own layers
        self.offset = torch.zeros_like(mean)
        self.slope = torch.zeros_like(mean)

    def add(self, step: Step, kept: Kept, flow: Tensor, gamma: Tensor, beta: Tensor) -> None:
        """Add what a step asks for: the gradients of what its batch norm returned, which it takes, gamma and beta."""
        width, count = flow.shape[1], flow.numel() / flow.shape[1]
        inverse = torch.rsqrt(kept.variance + step.eps)
        scale = kept.gamma * inverse
        if self.inside is None:  # the last layer comes first, and has read the most maps
            self.inside = flow.mul_(column(scale))
        else:
            self.inside[:, :width].addcmul_(flow, column(scale))
        if step.trains:
            self.offset[:width] += scale * beta / count
            self.slope[:width] += scale * inverse * gamma / count

    def of(self, start: int, end: int) -> Tensor:
        """The gradient of some maps, once all that read them have been added."""
        grad = self.grad[:, start:end]
        if self.inside is not None:
            offset, slope, mean = (column(one[start:end]) for one in (self.offset, self.slope, self.mean))
            taken = torch.addcmul(offset, self.joined[:, start:end] - mean, slope)
            grad = grad + (self.inside[:, start:end] - taken).to(grad.dtype)
        return grad.contiguous(memory_format=torch.channels_last)


def forward(
    step: Step, maps: Tensor, parameters: Sequence[Tensor], known: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Kept]:
    """What a step returns, and keeps. ``known`` are mean and variance of the maps in this batch, None if it is frozen.

    Changes the running statistics as torch's batch normalisation does.
    """
    gamma, beta, weight = parameters
    if known is None:
        mean, variance = cast(Tensor, step.norm.running_mean), cast(Tensor, step.norm.running_var)
        known = mean.to(precise(maps), copy=True), variance.to(precise(maps), copy=True)
    else:
        follow(step.norm, *known, count=maps.numel() // maps.shape[1])
    conv, read = step.conv, normalised(maps, gamma, beta, *known, step.eps).to(weight.dtype)
    out = torch.conv2d(read, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    noise = F.dropout(torch.ones_like(out), step.drop) if step.drop else None
    if noise is not None:
        out.mul_(noise)
    return out, Kept(gamma, beta, weight, *known, maps, None if noise is None else noise.bool())


def backward(
    step: Step, kept: Kept, maps: Tensor, grad: Tensor, *, needed: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The gradients of a step's maps and of its three parameters, the weight's only where it is needed.

    Where the block has the maps, the first is the gradient of what the batch norm returned instead.
    """
    gamma, beta, weight, mean, variance, own, dropout = kept
    if dropout is not None:
        grad = grad * dropout / (1 - step.drop)
    conv, read = step.conv, normalised(maps, gamma, beta, mean, variance, step.eps)
    shape = (conv.stride, conv.padding, conv.dilation, False, [0, 0], conv.groups)
    flow, weight_grad, _ = aten.convolution_backward(
        grad.to(weight.dtype), read.to(weight.dtype), weight, None, *shape, [True, needed, False]
    )
    flow = flow.to(read.dtype)
    aten.threshold_backward.grad_input(flow, read, 0, grad_input=flow)
    alone = own is not None
    maps = maps if alone else read.copy_(maps)  # its kernel is slow for maps with gaps between the pixels
    del read
    batch_norm = (gamma.to(mean.dtype), mean, variance, mean, torch.rsqrt(variance + step.eps), step.trains, step.eps)
    maps_grad, gamma_grad, beta_grad = aten.native_batch_norm_backward(flow, maps, *batch_norm, [alone, True, True])
    return maps_grad if alone else flow, gamma_grad, beta_grad, weight_grad


def normalised(maps: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """BN-ReLU, in one tensor."""
    scale = gamma * torch.rsqrt(variance + eps)
    return torch.addcmul(column(beta - mean * scale), maps, column(scale)).to(maps.dtype).relu_()


def statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each map over the batch. Raises ValueError for one number a map, as torch does."""
    mean, variance = maps.new_zeros(2, maps.shape[1], dtype=precise(maps))
    F.batch_norm(maps, mean, variance, training=True, momentum=1.0)  # its running variance divides by one less
    count = maps.numel() // maps.shape[1]
    return mean, variance * ((count - 1) / count)


def follow(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move running statistics towards these."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    momentum = 1 / float(cast(Tensor, norm.num_batches_tracked)) if norm.momentum is None else norm.momentum
    for running, new in ((norm.running_mean, mean), (norm.running_var, variance * (count / (count - 1)))):
        cast(Tensor, running).mul_(1 - momentum).add_(new, alpha=momentum)


def precise(maps: Tensor) -> torch.dtype:
    """The type of statistics: single precision at least."""
    return torch.promote_types(maps.dtype, torch.float32)


def column(values: Tensor) -> Tensor:
    """A value for each map, to be spread over its pixels."""
    return values[:, None, None]
