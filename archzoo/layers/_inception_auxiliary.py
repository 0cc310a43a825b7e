"""The auxiliary classifier that trains Inception-v3, Inception-v4 and Inception-ResNet-v2, on maps of 17x17."""

from collections import OrderedDict
from typing import NamedTuple

from torch import Tensor, fx, nn

from archzoo.errors import InputError
from archzoo.layers._inception import InceptionLayers
from archzoo.layers._modules import Linear


@fx.wrap
def check_pooled(pooled: Tensor, maps: Tensor) -> None:
    """Raise InputError for maps that are not pooled to 5x5 or more, which the 5x5 convolution needs."""
    if pooled.shape[2] < 5 or pooled.shape[3] < 5:
        height, width = maps.shape[2:]
        raise InputError(
            f"the auxiliary classifier takes maps of 17x17 or more, not {height}x{width}: train on larger images"
        )


class InceptionAuxiliary(nn.Sequential):
    """5x5/3 average pooling, a 1x1 convolution to 128 maps, 5x5 to 768, and a linear layer (Inception-v3, Fig. 8).

    The 5x5 convolution reads all of 5x5 maps: it is the fully connected layer that Inception-v3 normalizes (Table 3).
    The widths are those of the authors' code.
    """

    def __init__(self, inputs: int, layers: InceptionLayers, num_classes: int, *, norm: bool = True) -> None:
        parts = {
            "pool": nn.AvgPool2d(5, stride=3),
            "conv1": layers.conv(inputs, "1x1", 128),
            "conv2": layers.conv(128, "5x5 V", 768, norm=norm),
            "mean": nn.AdaptiveAvgPool2d(1),  # of one position, for images of 299x299
            "flatten": nn.Flatten(),
            "fc": Linear(768, num_classes),
        }
        super().__init__(OrderedDict(parts))

    def forward(self, maps: Tensor) -> Tensor:
        out = maps
        for place, layer in enumerate(self):
            out = layer(out)
            if place == 0:
                check_pooled(out, maps)
        return out


class InceptionLogits(NamedTuple):
    """Outputs of a network with its auxiliary classifier in training."""

    main: Tensor
    auxiliary: Tensor

    @property
    def auxiliary_weight(self) -> float:
        """The weight of the auxiliary classifier's loss (authors' code)."""
        return 0.4
