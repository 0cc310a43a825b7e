"""Squeeze-and-excitation: maps scaled by weights that all of them determine."""

from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers._modules import Conv2d


class SqueezeExcitation(nn.Module):
    """Maps (N, C, H, W), each scaled by a number from 0 to 1 that all maps determine (SENet, Eq. 2 to 4).

    Squeeze, FC to C / ``reduction``, ReLU, FC to C, sigmoid, scale (Fig. 3). The quotient is rounded down. The FC
    layers are 1x1 convolutions, whose weights have no values before ``Net`` initializes them. As the last layer of any
    residual branch, it makes that branch the paper's.

    ``squeeze`` replaces global average pooling, and ``gate`` the sigmoid. Raises BadOption for a reduction that leaves
    no unit.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        squeeze: nn.Module | None = None,
        gate: nn.Module | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if not 1 <= reduction <= channels:
            raise BadOption(f"reduction must be from 1 to {channels}, the number of maps, not {reduction}")
        self.squeeze = nn.AdaptiveAvgPool2d(1) if squeeze is None else squeeze
        self.fc1 = Conv2d(channels, channels // reduction, 1, bias=bias)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = Conv2d(channels // reduction, channels, 1, bias=bias)
        self.gate = nn.Sigmoid() if gate is None else gate

    def forward(self, maps: Tensor) -> Tensor:
        scales: Tensor = self.gate(self.fc2(self.relu(self.fc1(self.squeeze(maps)))))
        return maps * scales
