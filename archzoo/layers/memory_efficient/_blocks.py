"""The dense block and the transition as modules, and the autograd functions that they call."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from archzoo.layers._graphs import is_proxy, is_scripting
from archzoo.layers.memory_efficient import _fused
from archzoo.layers.memory_efficient._batch_norm import RunningStatistics, batch_statistics, statistics_dtype
from archzoo.layers.memory_efficient._gradient_sum import GradientSum
from archzoo.layers.memory_efficient._steps import (
    SavedTensors,
    Step,
    convolution_gradients,
    maps_gradients,
    parameters_of,
    step_forward,
    steps_of,
)

Gradients = tuple[Tensor | None, ...]


class DenseBlock(nn.Sequential):
    """Layers of one or two BN-ReLU-conv each; every layer returns its input, followed by its new feature maps."""

    def forward(self, maps: Tensor) -> Tensor:
        if not is_scripting():  # noqa: SIM102 (TorchScript compiles what stands behind an "and")
            if needs_backward(self, maps):
                return self.recomputed(maps)
        for layer in self:
            maps = layer(maps)
        return maps

    @torch.jit.unused
    def recomputed(self, maps: Tensor) -> Tensor:
        """The same maps, with a backward pass that recomputes what is cheap."""
        fused = _fused.supports(maps)
        layers = [steps_of(list(layer.children()), fused=fused) for layer in self]
        if not all(layers):
            plain: Tensor = super().forward(maps)  # type: ignore[no-untyped-call]
            return plain
        steps = [step for layer in layers for step in layer]
        joined: Tensor = _BlockFunction.apply(layers, maps, *parameters_of(steps, maps))  # type: ignore[no-untyped-call]
        return joined


class Transition(nn.Sequential):
    """BN-ReLU-conv, optional dropout, and one last layer: the pooling."""

    def forward(self, maps: Tensor) -> Tensor:
        if not is_scripting():  # noqa: SIM102 (TorchScript compiles what stands behind an "and")
            if needs_backward(self, maps):
                return self.recomputed(maps)
        for layer in self:
            maps = layer(maps)
        return maps

    @torch.jit.unused
    def recomputed(self, maps: Tensor) -> Tensor:
        """The same maps, with a backward pass that recomputes what is cheap."""
        *parts, last = self
        steps = steps_of(parts, fused=_fused.supports(maps))
        if len(steps) != 1:
            plain: Tensor = super().forward(maps)  # type: ignore[no-untyped-call]
            return plain
        out: Tensor = last(_StepFunction.apply(*steps, maps, *parameters_of(steps, maps)))  # type: ignore[no-untyped-call]
        return out


def needs_backward(part: nn.Module, maps: Tensor) -> bool:
    """Whether a backward pass can follow in eager mode, with no hook on a submodule, which would not be called."""
    if is_proxy(maps):
        return False
    differentiable = maps.requires_grad or any(parameter.requires_grad for parameter in part.parameters())
    if not (differentiable and part.training and torch.is_grad_enabled()) or torch.compiler.is_compiling():
        return False
    hooks = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return not any(getattr(inside, kind) for inside in part.modules() if inside is not part for kind in hooks)


class _StepFunction(Function):
    """One step, with its input saved."""

    @staticmethod
    def forward(ctx: Any, step: Step, maps: Tensor, *parameters: Tensor) -> Tensor:
        running = RunningStatistics()
        out, saved = step_forward(step, maps, parameters, running)
        running.update()
        ctx.step = step
        ctx.save_for_backward(*saved)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> Gradients:
        saved = SavedTensors(*ctx.saved_tensors)
        maps = cast(Tensor, saved.maps)
        needs_weight_grad = ctx.needs_input_grad[-1]
        grad, weight, activations = convolution_gradients(
            ctx.step, saved, maps, grad_out, needs_weight_grad=needs_weight_grad
        )
        return None, *maps_gradients(ctx.step, saved, maps, grad, activations), weight


class _BlockFunction(Function):
    """A dense block, given as the list of steps of each layer."""

    @staticmethod
    def forward(ctx: Any, layers: list[list[Step]], maps: Tensor, *parameters: Tensor) -> Tensor:
        joined = torch.empty(
            (len(maps), maps.shape[1] + sum(layer[-1].conv.out_channels for layer in layers), *maps.shape[2:]),
            dtype=torch.promote_types(maps.dtype, parameters[2].dtype),
            device=maps.device,
            memory_format=torch.channels_last,  # the first maps of a pixel are contiguous, however many
        )
        mean, variance = joined.new_zeros(2, joined.shape[1], dtype=statistics_dtype(joined))
        saved_tensors: list[SavedTensors] = []
        remaining, out, width, running = iter(parameters), maps, 0, RunningStatistics()
        for first, *others in layers:
            new_maps = slice(width, width + out.shape[1])
            joined[:, new_maps] = out
            if any(layer[0].trains for layer in layers):
                mean[new_maps], variance[new_maps] = batch_statistics(out)
            width = new_maps.stop
            known = mean[:width], variance[:width]
            out, saved = step_forward(first, joined[:, :width], [next(remaining) for _ in range(3)], running, known)
            saved_tensors.append(saved._replace(maps=None))
            for step in others:
                out, saved = step_forward(step, out, [next(remaining) for _ in range(3)], running)
                saved_tensors.append(saved)
        joined[:, width:] = out
        running.update()
        ctx.layers = layers
        ctx.save_for_backward(joined, mean, *(tensor for saved in saved_tensors for tensor in saved))
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> Gradients:
        joined, mean, *tensors = cast(tuple[Tensor, ...], ctx.saved_tensors)
        fields = len(SavedTensors._fields)
        saved_tensors = [SavedTensors(*tensors[i : i + fields]) for i in range(0, len(tensors), fields)]
        needs_grad = list(ctx.needs_input_grad)
        gradients: list[Tensor | None] = []
        gradient_sum = GradientSum(joined, mean, grad_out, fused=ctx.layers[0][0].fused)
        width = joined.shape[1]
        for layer in reversed(ctx.layers):
            end, width = width, width - layer[-1].conv.out_channels
            grad = gradient_sum.of(width, end)
            for step in reversed(layer):
                saved, needs_weight_grad = saved_tensors.pop(), needs_grad[-1]
                del needs_grad[-3:]
                maps = joined[:, :width] if saved.maps is None else saved.maps
                grad, weight, activations = convolution_gradients(
                    step, saved, maps, grad, needs_weight_grad=needs_weight_grad
                )
                if saved.maps is None:
                    gamma, beta = gradient_sum.add(step, saved, maps, grad, activations)
                else:
                    grad, gamma, beta = maps_gradients(step, saved, maps, grad, activations)
                del activations
                gradients[:0] = (gamma, beta, weight)
        return None, gradient_sum.of(0, width), *gradients
