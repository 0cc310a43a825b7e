"""Layers that drop at random in training: DropConnect, drop path, fractional max pooling."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DropConnectLinear(nn.Linear):
    """A linear layer that drops single weights in training, the same ones for a mini-batch (Wan et al. 2013).

    Kept weights are divided by their probability, so that the expectation is the layer itself.
    """

    p: float = 0.5

    def forward(self, inputs: Tensor) -> Tensor:
        weight = F.dropout(self.weight, self.p, self.training)
        return F.linear(inputs, weight, self.bias)


class PathDropout(nn.Module):
    """Zeros in place of whole images with probability ``p`` in training; the others are divided by ``1 - p``.

    At the end of a residual branch its block is the shortcut alone for these images: stochastic depth by image.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return maps
        kept = torch.rand(len(maps), 1, 1, 1, device=maps.device) >= self.p
        return maps * kept.to(maps.dtype).div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:.4f}"


class FractionalMaxPool2d(nn.Module):
    """Max pooling over random regions in training (Graham 2014), to the output size of another max pooling.

    Regions are 2 wide, or 3 and overlapping where those of 2 would start at the same positions in every draw, as on
    maps of an even side that are halved. In evaluation the positions are those of a draw of one half.
    """

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        height, width = self.pool(maps.new_empty(1, 1, *maps.shape[2:], device="meta")).shape[2:]
        regions = _region(maps.shape[2], height), _region(maps.shape[3], width)
        samples = torch.full((len(maps), maps.shape[1], 2), 0.5, dtype=maps.dtype, device=maps.device)
        if self.training:
            samples.uniform_()
        return F.fractional_max_pool2d(maps, regions, output_size=(height, width), _random_samples=samples)


def _region(side: int, outputs: int) -> int:
    """The side of the regions: 2 where their positions are random, 3 otherwise."""
    is_random = outputs > 1 and (side - 2) % (outputs - 1) > 0
    return min(2 if is_random else 3, side - outputs + 1)
