"""The gradient of the feature maps of a dense block, accumulated over the layers that read them."""

import torch
from torch import Tensor

from archzoo.layers.memory_efficient import _fused
from archzoo.layers.memory_efficient._batch_norm import per_channel
from archzoo.layers.memory_efficient._steps import SavedTensors, Step, norm_gradients, through_relu


class GradientSum:
    """The gradient of every feature map of a dense block, summed over its readers.

    Batch normalization subtracts offset + slope * (map - mean) from the gradient of its input, with two numbers for
    each map. The numbers of all readers are summed like the gradients, and subtracted once.
    """

    def __init__(self, joined: Tensor, mean: Tensor, grad_out: Tensor, *, fused: bool) -> None:
        self.joined = joined
        self.mean = mean
        self.grad_out = grad_out
        self.fused = fused
        self.accumulated: Tensor | None = None  # grad_out and the gradients of the readers inside, where there are any
        self.offset = torch.zeros_like(mean)
        self.slope = torch.zeros_like(mean)

    def add(
        self, step: Step, saved: SavedTensors, maps: Tensor, grad: Tensor, activations: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Add a reader: the gradient of its ReLU's output, ``activations``, both of which are consumed.

        Returns the gradients of gamma and beta. The last layer comes first: it reads the most maps.
        """
        if activations is None:
            return self._add_fused(step, saved, maps, grad)
        grad = through_relu(grad, activations)
        gamma_grad, beta_grad = norm_gradients(saved, maps, grad, activations)
        width, scale = grad.shape[1], saved.gamma * saved.inverse_std
        if self.accumulated is None:
            accumulated = torch.addcmul(self.grad_out[:, :width], grad, per_channel(scale))
            self.accumulated = accumulated.to(grad.dtype)
        else:
            self.accumulated[:, :width].addcmul_(grad, per_channel(scale))
        if step.trains:
            self.offset[:width].addcmul_(scale, beta_grad)
            self.slope[:width].addcmul_(scale * saved.inverse_std, gamma_grad)
        return gamma_grad, beta_grad

    def _add_fused(self, step: Step, saved: SavedTensors, maps: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """``add`` in one pass over the gradients and the maps."""
        width = grad.shape[1]
        before = self.grad_out if self.accumulated is None else self.accumulated
        if self.accumulated is None:
            self.accumulated = _fused.empty_rows(maps, maps.dtype)
        norm = (saved.gamma, saved.beta, saved.mean, saved.inverse_std)
        sums = (self.offset[:width], self.slope[:width]) if step.trains else None
        total = self.accumulated[:, :width]
        return _fused.add_gradient(_fused.dense_rows(grad), maps, norm, before[:, :width], total, sums)

    def of(self, start: int, end: int) -> Tensor:
        """The gradient of maps ``start`` to ``end``, valid once all their readers have been added."""
        if self.accumulated is None:
            return self.grad_out[:, start:end].contiguous(memory_format=torch.channels_last)
        count = self.joined.numel() / self.joined.shape[1]
        if self.fused:
            total, maps, mean = self.accumulated[:, start:end], self.joined[:, start:end], self.mean[start:end]
            return _fused.corrected(total, maps, mean, self.offset[start:end], self.slope[start:end], count)
        slope, mean = self.slope[start:end] / -count, self.mean[start:end]
        offset = torch.addcmul(self.offset[start:end] / -count, mean, slope, value=-1)
        correction = torch.addcmul(per_channel(offset), self.joined[:, start:end], per_channel(slope))
        grad = correction.add_(self.accumulated[:, start:end]).to(self.grad_out.dtype)
        return grad.contiguous(memory_format=torch.channels_last)
