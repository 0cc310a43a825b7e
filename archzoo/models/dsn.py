"""Deeply-supervised nets: a companion classifier on each hidden convolution, in training only.

C.-Y. Lee, S. Xie, P. Gallagher, Z. Zhang, Z. Tu, "Deeply-Supervised Nets", AISTATS 2015 (arXiv 2014).
"""

from collections import OrderedDict
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, fx, nn

from archzoo.errors import InputError
from archzoo.layers import Classifiers, Conv2d, Linear, Net, Tapped, gaussian, sequence, xavier_fan_in

SIDE = 32  # of CIFAR's and SVHN's images, in pixels
# The released definition for CIFAR-10: kernel of each convolution, and its maps and those of the 1x1 layers after it.
RELEASED = ((5, (192, 160, 96)), (5, (192, 192, 192)), (3, (192, 192)))


@fx.wrap
def check_side(maps: Tensor, side: int) -> None:
    """Raise InputError for maps of another size, which have no weights."""
    if maps.shape[2] != side or maps.shape[3] != side:
        raise InputError("companion classifiers take images of 32x32 only: train on those")


class Companion(nn.Sequential):
    """A linear classifier on all values of a convolution, before its ReLU (released definition)."""

    def __init__(self, maps: int, side: int, num_classes: int) -> None:
        super().__init__(OrderedDict(flatten=nn.Flatten(), fc=Linear(maps * side**2, num_classes)))
        self.side = side

    def forward(self, maps: Tensor) -> Tensor:
        check_side(maps, self.side)
        for layer in self:
            maps = layer(maps)
        return maps


class Logits(NamedTuple):
    """Outputs of a network with companion classifiers in training: its own, and one for each convolution."""

    main: Tensor
    companion1: Tensor
    companion2: Tensor
    companion3: Tensor

    @property
    def auxiliary_weight(self) -> float:
        """The weight of each companion's loss: the released definition leaves it at 1."""
        return 1.0


def features(in_channels: int) -> dict[str, nn.Module]:
    """The layers of the released definition up to the last but one, which are those of Network In Network.

    The ReLU of a convolution is not in place: a companion reads what is before it.
    """
    parts: dict[str, nn.Module] = {}
    inputs = in_channels
    for number, (kernel, widths) in enumerate(RELEASED, 1):
        parts[f"conv{number}"] = Conv2d(inputs, widths[0], kernel, padding=kernel // 2)
        parts[f"relu{number}"] = nn.ReLU()
        for cccp, (before, after) in enumerate(pairwise(widths), 2 * number - 1):
            parts[f"cccp{cccp}"] = Conv2d(before, after, 1)
            parts[f"relu_cccp{cccp}"] = nn.ReLU(inplace=True)
        if number < len(RELEASED):
            parts[f"pool{number}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
            parts[f"drop{number}"] = nn.Dropout(0.5)
        inputs = widths[-1]
    return parts


def released_initialization(layer: nn.Module) -> None:
    """Gaussian convolutions of deviation 0.05; companions by Caffe's "xavier"; biases zero (released definition)."""
    if isinstance(layer, nn.Linear):
        xavier_fan_in(layer)
    else:
        gaussian(0.05)(layer)


def dsn(*, auxiliary: bool = False, in_channels: int = 3, num_classes: int = 10) -> Net:
    """The network for CIFAR-10 and SVHN, with or without the companion classifiers that help to train it (release).

    With ``auxiliary``, the network in training mode returns ``Logits``, for ``archzoo.training._losses.training_loss``,
    and raises InputError for images of another size than 32x32. In evaluation mode it returns plain logits, as it does
    without. ``without_companions`` removes the companions.
    """
    head: dict[str, nn.Module] = {
        "cccp6": Conv2d(192, num_classes, 1),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
    }
    body = features(in_channels)
    if not auxiliary:
        return Net(sequence(**body), sequence(**head), released_initialization)
    companions = {f"companion{i}": Companion(192, SIDE // 2 ** (i - 1), num_classes) for i in (1, 2, 3)}
    tapped = Tapped(body, ("conv1", "conv2", "conv3"))
    return Net(tapped, Classifiers(head, companions, Logits), released_initialization)


def without_companions(net: Net) -> Net:
    """The network without its companion classifiers, as it is tuned further and tested; shares its parameters."""
    kept = {name: part for name, part in net.classifier.named_children() if not name.startswith("companion")}
    cut = Net(sequence(**dict(net.features.named_children())), sequence(**kept)).train(net.training)
    options = {name: value for name, value in net.options.items() if name != "auxiliary"}
    return cut.named("dsn" if net.name else "", options, net.input_size)
