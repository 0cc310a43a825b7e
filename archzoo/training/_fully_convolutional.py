"""A network with its linear layers as convolutions, applied to whole images (VGG, Sec. 3.2)."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import TrainingError
from archzoo.layers import Net


def fully_convolutional(net: Net) -> nn.Module:
    """The same parameters for images of any larger size: linear layers as convolutions, scores averaged.

    At the size that the linear layers were made for it computes what ``net`` computes. The parameters are shared with
    ``net``. Raises TrainingError where a linear layer does not fit the maps.
    """
    layers = [module for module in net.classifier.modules() if not module._modules]
    first = next((index for index, layer in enumerate(layers) if isinstance(layer, nn.Linear)), None)
    pooled = any(isinstance(layer, nn.AdaptiveAvgPool2d) for layer in layers)
    if first is None or pooled:
        return net  # it averages over all positions itself
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    channels = [layer.out_channels for layer in net.features.modules() if isinstance(layer, nn.Conv2d)][-1]
    side = math.isqrt(linear[0].in_features // channels)
    if channels * side * side != linear[0].in_features:
        raise TrainingError(
            f"a linear layer of {linear[0].in_features} inputs is no convolution over {channels} channels"
        )
    return FullyConvolutional(net, layers[first:], channels, side)


class FullyConvolutional(nn.Module):
    """A network whose linear layers are applied at every position of larger images."""

    def __init__(self, net: Net, layers: Sequence[nn.Module], channels: int, side: int) -> None:
        super().__init__()
        self.net = net
        self.layers = list(layers)
        self.channels = channels
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.net.features(images)
        shape = (-1, self.channels, self.side, self.side)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                maps = F.conv2d(maps, layer.weight.view(len(layer.weight), *shape[1:]), layer.bias)
                shape = (-1, layer.out_features, 1, 1)
            elif not isinstance(layer, nn.Flatten):
                maps = layer(maps)
        return maps.mean((2, 3))
