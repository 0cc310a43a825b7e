"""DenseNet's dense blocks and transitions, trained with memory linear in depth: concatenations are made again.

A plain block keeps, for every layer, all maps that it read: once concatenated, once after batch norm. Here a block
keeps one tensor, which each layer's new maps are written into, and what each bottleneck's first convolution returned.
The mean and variance of a map are the same for all its readers, so they are found once. In the backward pass what a
convolution read is scaled, shifted and cut off by the ReLU again; no convolution or statistic is computed twice.

G. Pleiss et al., "Memory-Efficient Implementation of DenseNets", 2017, arXiv:1707.06990.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from archzoo.dense_memory.steps import (
    Kept,
    Step,
    backward,
    column,
    forward,
    parameters_of,
    precise,
    statistics,
    steps_of,
)

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


def learns(part: nn.Module, maps: Tensor) -> bool:
    """Whether a backward pass will come, which no compiler plans, and nobody watches what happens inside."""
    wanted = maps.requires_grad or any(parameter.requires_grad for parameter in part.parameters())
    if not (wanted and part.training and torch.is_grad_enabled()) or torch.compiler.is_compiling():
        return False
    hooks = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return not any(getattr(inside, kind) for inside in part.modules() if inside is not part for kind in hooks)


class _Step(Function):
    """A step by itself."""

    @staticmethod
    def forward(ctx: Any, step: Step, maps: Tensor, *parameters: Tensor) -> Tensor:
        out, kept = forward(step, maps, parameters)
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
            first, *others = bottleneck
            known = mean[:width], variance[:width]
            out, one = forward(first, joined[:, :width], [next(left) for _ in range(3)], known)
            kept.append(one._replace(maps=None))
            for step in others:
                out, one = forward(step, out, [next(left) for _ in range(3)])
                kept.append(one)
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
        self.inside: Tensor | None = None  # grad with what readers in the block add; all maps that have such
        self.offset = torch.zeros_like(mean)
        self.slope = torch.zeros_like(mean)

    def add(self, step: Step, kept: Kept, flow: Tensor, gamma: Tensor, beta: Tensor) -> None:
        """Add what a step asks for: the gradients of what its batch norm returned, which it takes, gamma and beta."""
        width = flow.shape[1]
        scale = kept.gamma * kept.inverse
        if self.inside is None:  # the last layer comes first, and has read the most maps
            self.inside = torch.addcmul(self.grad[:, :width], flow, column(scale)).to(flow.dtype)
        else:
            self.inside[:, :width].addcmul_(flow, column(scale))
        if step.trains:
            self.offset[:width].addcmul_(scale, beta)
            self.slope[:width].addcmul_(scale * kept.inverse, gamma)

    def of(self, start: int, end: int) -> Tensor:
        """The gradient of some maps, once all that read them have been added."""
        if self.inside is None:
            return self.grad[:, start:end].contiguous(memory_format=torch.channels_last)
        count = self.joined.numel() / self.joined.shape[1]
        slope, mean = self.slope[start:end] / -count, self.mean[start:end]
        offset = torch.addcmul(self.offset[start:end] / -count, mean, slope, value=-1)
        added = torch.addcmul(column(offset), self.joined[:, start:end], column(slope))
        total = added.add_(self.inside[:, start:end]).to(self.grad.dtype)
        return total.contiguous(memory_format=torch.channels_last)
