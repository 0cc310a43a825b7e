"""The channel shuffle of ShuffleNet and CondenseNet."""

import torch
from torch import Tensor, nn


class ChannelShuffle(nn.Module):
    """Maps (g, n) become maps (n, g): each group gets maps of every group (ShuffleNet, Fig. 1c, Sec. 3.1)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, maps: Tensor) -> Tensor:
        return torch.channel_shuffle(maps, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
