"""The module of all Inception networks: branches side by side."""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Inception(nn.Sequential):
    """Parallel branches on the same maps, with concatenated outputs (GoogLeNet, Fig. 2)."""

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__(OrderedDict(branches))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self], dim=1)
