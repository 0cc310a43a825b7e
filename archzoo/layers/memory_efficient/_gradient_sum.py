"""The gradient of the feature maps of a dense block, accumulated over the layers that read them."""

import torch
from torch import Tensor

from archzoo.layers.memory_efficient._batch_norm import per_channel
from archzoo.layers.memory_efficient._steps import SavedTensors, Step


class GradientSum:
    """The gradient of every feature map of a dense block, summed over its readers.

    Batch normalization subtracts offset + slope * (map - mean) from the gradient of its input, with two numbers for
    each map. The numbers of all readers are summed like the gradients, and subtracted once.
    """

    def __init__(self, joined: Tensor, mean: Tensor, grad_out: Tensor) -> None:
        self.joined = joined
        self.mean = mean
        self.grad_out = grad_out
        self.accumulated: Tensor | None = None  # grad_out and the gradients of the readers inside, where there are any
        self.offset = torch.zeros_like(mean)
        self.slope = torch.zeros_like(mean)

    def add(self, step: Step, saved: SavedTensors, grad_norm: Tensor, gamma_grad: Tensor, beta_grad: Tensor) -> None:
        """Add a reader: the gradients of its batch norm's output (which is consumed), of gamma and of beta.

        The last layer comes first: it reads the most maps.
        """
        width = grad_norm.shape[1]
        scale = saved.gamma * saved.inverse_std
        if self.accumulated is None:
            accumulated = torch.addcmul(self.grad_out[:, :width], grad_norm, per_channel(scale))
            self.accumulated = accumulated.to(grad_norm.dtype)
        else:
            self.accumulated[:, :width].addcmul_(grad_norm, per_channel(scale))
        if step.trains:
            self.offset[:width].addcmul_(scale, beta_grad)
            self.slope[:width].addcmul_(scale * saved.inverse_std, gamma_grad)

    def of(self, start: int, end: int) -> Tensor:
        """The gradient of maps ``start`` to ``end``, valid once all their readers have been added."""
        if self.accumulated is None:
            return self.grad_out[:, start:end].contiguous(memory_format=torch.channels_last)
        count = self.joined.numel() / self.joined.shape[1]
        slope, mean = self.slope[start:end] / -count, self.mean[start:end]
        offset = torch.addcmul(self.offset[start:end] / -count, mean, slope, value=-1)
        correction = torch.addcmul(per_channel(offset), self.joined[:, start:end], per_channel(slope))
        grad = correction.add_(self.accumulated[:, start:end]).to(self.grad_out.dtype)
        return grad.contiguous(memory_format=torch.channels_last)
