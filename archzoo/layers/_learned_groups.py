"""CondenseNet's learned group convolution, and the index layer in front of the standard group convolution it becomes.

G. Huang, S. Liu, L. van der Maaten, K. Weinberger, "CondenseNet: An Efficient DenseNet using Learned Group
Convolutions", CVPR 2018, Sec. 3.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers._modules import Conv2d, Linear

SMALLEST_SQUARE = 1e-6  # of the weights of a group and an input: below, the group lasso leaves them (authors' code)


class LearnedGroupConv(Conv2d):
    """A 1x1 convolution that learns which inputs each group of its filters reads (Sec. 3).

    Filter o belongs to group o mod ``g``. The weights are multiplied by ``mask``, which ``prune`` sets to zero for a
    share 1 / ``c`` of the inputs of each group at a time: at stage ``c`` - 1, each group reads a share 1 / ``c``.

    ``lasso`` is the factor of the group lasso in training; ``add_lasso_gradient`` applies it.
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, g: int, c: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)
        self.g = g
        self.c = c
        self.lasso = 0.0
        self.register_buffer("mask", torch.ones(self.weight.shape))
        self._stage = -1  # not read off the mask yet, which makes an accelerator wait

    def forward(self, maps: Tensor) -> Tensor:
        return F.conv2d(maps, self.weight * self.mask)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size=(1, 1), g={self.g}, c={self.c}, bias=False"

    def stage(self) -> int:
        """How many shares of the inputs are masked, 0 to ``c`` - 1."""
        if self._stage < 0:
            masked = int((self._by_group(self.mask)[0, 0] == 0).sum())
            self._stage = masked // (self.in_channels // self.c)
        return self._stage

    def is_masked_by_groups(self) -> bool:
        """Whether the mask is that of a stage: as many whole inputs masked in each group, for all of its filters."""
        mask, share = self._by_group(self.mask), self.in_channels // self.c
        alike = (mask == mask[0]) & ((mask == 0) | (mask == 1))
        masked = (mask[0] == 0).sum(1)
        return bool(alike.all()) and self.stage() < self.c and bool((masked == self.stage() * share).all())

    @torch.no_grad()
    def prune(self, stage: int) -> None:
        """Mask inputs until ``stage`` shares of them are masked in each group.

        Those with the smallest sums of absolute weights in the group are first.
        """
        if stage <= self.stage():
            return
        unmasked = self._by_group(self.mask)[0]  # (g, inputs), the same for all filters of a group
        sums = self._by_group(_whole(self.weight) * self.mask).abs().sum(0)
        order = sums.masked_fill(unmasked == 0, -1).argsort(dim=1, stable=True)
        left = unmasked.scatter(1, order[:, : stage * (self.in_channels // self.c)], 0)
        self.mask.copy_(left.repeat(self.out_channels // self.g, 1).view_as(self.mask))
        self._stage = stage

    @torch.no_grad()
    def add_lasso_gradient(self) -> None:
        """Add the gradient of ``lasso`` times the group lasso to that of the weights, until the last stage (Sec. 3.1).

        The group lasso is the sum, over groups and inputs, of the root of the sum of squared weights.
        """
        if not self.lasso or self.stage() == self.c - 1 or self.weight.grad is None:
            return
        weight = self._by_group(_whole(self.weight) * self.mask)
        squares = weight.square().sum(0)
        gradient = self.lasso * weight * torch.where(squares > SMALLEST_SQUARE, squares.rsqrt(), 0)
        self.weight.grad.add_(_sharded_like(gradient.view_as(self.mask), self.weight))

    def inputs_of_groups(self) -> Tensor:
        """The inputs that each group reads, ascending: (g, inputs left)."""
        return self._by_group(self.mask)[0].nonzero()[:, 1].view(self.g, -1)

    def _by_group(self, weight: Tensor) -> Tensor:
        """Weights or mask as (filters of a group, g, inputs)."""
        return weight.view(-1, self.g, self.in_channels)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._stage = -1


def _whole(weight: Tensor) -> Tensor:
    """A weight that FSDP may have sharded."""
    return weight.full_tensor() if hasattr(weight, "full_tensor") else weight.detach()


def _sharded_like(gradient: Tensor, weight: Any) -> Tensor:
    """A gradient, sharded as the weight is."""
    if not hasattr(weight, "full_tensor"):
        return gradient
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(gradient, weight.device_mesh, weight.placements, src_data_rank=None)


class PrunableLinear(Linear):
    """A linear layer of which conversion keeps a ``share`` of the features, those with the largest sums of weights."""

    def __init__(self, inputs: int, outputs: int, share: float) -> None:
        super().__init__(inputs, outputs)
        self.share = share

    def features_kept(self) -> Tensor:
        """The features that conversion keeps, by ascending sums of absolute weights (authors' code)."""
        order = self.weight.detach().abs().sum(0).argsort(dim=0, stable=True)
        return order[self.in_features - int(self.share * self.in_features) :]


class Select(nn.Module):
    """Maps (N, C, H, W) or features (N, C) at the places ``index``, in its order: the index layer (Sec. 3.1).

    ``inputs`` is C, their number, so that a loaded index can be checked.
    """

    index: Tensor

    def __init__(self, index: Tensor, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("index", index)

    def takes(self, index: Tensor) -> bool:
        """Whether all places of an index, if it has values, are among the inputs."""
        return index.is_meta or bool(((index >= 0) & (index < self.inputs)).all())

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        index = state_dict.get(f"{prefix}index")
        if isinstance(index, Tensor) and not self.takes(index):
            errors = args[-1]
            errors.append(f"{prefix}index has places outside of the {self.inputs} inputs")
        else:
            super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, maps: Tensor) -> Tensor:
        return maps.index_select(1, self.index)

    def extra_repr(self) -> str:
        return f"{len(self.index)}"
