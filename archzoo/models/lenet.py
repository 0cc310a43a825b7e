"""LeNet-5: convolutions, subsampling and full connections, trained end to end to read handwritten digits.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of
the IEEE 86(11), 1998.
"""

from itertools import chain, groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers import Conv2d, Linear, Net, sequence

# Table I, column by column: the maps of S2 that each of the 16 maps of C3 reads.
TABLE_I = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# The target codes of the output: each digit as a bitmap of 7x12 (Fig. 3 shows the style; these drawings are ours).
BITMAPS = """
..###.. ...#... ..###.. ..###.. ....##. ####### ..####. ####### ..###.. ..###..
.#...#. ..##... .#...#. .#...#. ...#.#. #...... .#..... ......# .#...#. .#...#.
#.....# .#.#... #.....# #.....# ...#.#. #...... #...... ......# #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# .....#. ..#..#. #.###.. #.###.. .....#. .#...#. #.....#
#.....# ...#... .....#. ..###.. .#...#. ##...#. ##...#. ....#.. ..###.. .#...##
#.....# ...#... ....#.. .....#. .#...#. ......# #.....# ....#.. .#...#. ..###.#
#.....# ...#... ...#... ......# #....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... #.....# .....#. #.....# #.....# ..#.... #.....# ......#
.#...#. ...#... #...... .#...#. .....#. .#...#. .#...#. ..#.... .#...#. .....#.
..###.. .#####. ####### ..###.. .....#. ..###.. ..###.. ..#.... ..###.. .####..
"""


class ScaledTanh(nn.Module):
    """f(a) = 1.7159 tanh(2a/3), so that f(1) = 1 and f(-1) = -1 (Appendix A)."""

    def forward(self, a: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * a)


class Subsampling(nn.Module):
    """Sum 2x2 inputs, multiply by a trainable coefficient, add a trainable bias: one pair for each map (Sec. II-B)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))

    def forward(self, maps: Tensor) -> Tensor:
        kernel = self.coefficient.view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
        return F.conv2d(maps, kernel, self.bias, stride=2, groups=maps.shape[1])

    def extra_repr(self) -> str:
        return f"maps={len(self.bias)}"


class SparseConv(nn.Module):
    """A 5x5 convolution in which each map reads only the input maps that a table lists (Sec. II-B, C3).

    Neighbors in the table with the same number of inputs are one grouped convolution.
    """

    def __init__(self, table: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.inputs: list[list[int]] = []
        self.convs = nn.ModuleList()
        for size, columns in groupby(table, len):
            maps = list(columns)
            self.inputs.append(list(chain(*maps)))
            self.convs.append(Conv2d(size * len(maps), len(maps), 5, groups=len(maps)))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([conv(maps[:, self.inputs[i]]) for i, conv in enumerate(self.convs)], dim=1)


class RadialBasis(nn.Module):
    """Minus the squared distance to the code of each class: the smallest penalty is the largest logit (Eq. 7).

    The codes are buffers of +1 and -1, not parameters. With a ``rubbish_penalty`` j there is one more logit in training
    mode, -j: cross-entropy is Eq. 9 then, whose rubbish class is the last one.
    """

    codes: Tensor

    def __init__(self, codes: list[list[float]], rubbish_penalty: float | None = None) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor(codes))
        self.rubbish_penalty = rubbish_penalty

    def forward(self, x: Tensor) -> Tensor:
        # |x - w|^2 = |x|^2 - 2xw + |w|^2, where |w|^2 is the number of units: each code is +1 or -1.
        logits = 2 * F.linear(x, self.codes) - x.square().sum(1, keepdim=True) - self.codes.shape[1]
        if self.rubbish_penalty is not None and self.training:
            return F.pad(logits, (0, 1), value=-self.rubbish_penalty)
        return logits

    def extra_repr(self) -> str:
        return "" if self.rubbish_penalty is None else f"rubbish_penalty={self.rubbish_penalty}"


def digit_codes(digits: int) -> list[list[float]]:
    """The bitmaps of the digits below ``digits``, row by row, as +1 (ink) and -1 (Sec. II-B)."""
    rows = [line.split() for line in BITMAPS.split("\n") if line]
    return [[1.0 if dot == "#" else -1.0 for row in rows for dot in row[digit]] for digit in range(digits)]


def uniform_by_fan_in(layer: nn.Module) -> None:
    """Uniform in +-2.4 / fan-in, including biases, which are weights of a constant input (Appendix A)."""
    if isinstance(layer, Subsampling):
        fan_in = 4
    elif isinstance(layer, Conv2d | Linear):
        fan_in = layer.weight[0].numel()
    else:
        return
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -2.4 / fan_in, 2.4 / fan_in)


def lenet5(*, rubbish_penalty: float | None = None, in_channels: int = 1, num_classes: int = 10) -> Net:
    """LeNet-5 as published: a sparse C3, trainable subsampling, radial basis outputs with fixed codes (Sec. II-B).

    Cross-entropy of these outputs is the paper's loss (Eq. 9) with ``rubbish_penalty``, its constant j.

    Differs from the release:
        - No code was released, and the paper prints no value of j. By default it is infinite: the loss compares the
          classes with each other, and does not pull the state of F6 to the code of the right class as a finite j does.
        - The bitmaps of the digits are drawn here, in the style of Fig. 3.

    Args:
        rubbish_penalty: The penalty j of the rubbish class, which is one more logit in training mode; None leaves it
            out.
        in_channels: Channels of the images.
        num_classes: Number of classes, at most 10.
    """
    if rubbish_penalty is not None and rubbish_penalty <= 0:
        raise BadOption(f"rubbish_penalty must be None or more than 0, not {rubbish_penalty}")
    if num_classes > 10:
        raise BadOption(f"num_classes must be at most 10, not {num_classes}: the output codes are those of the digits")
    features = sequence(
        C1=Conv2d(in_channels, 6, 5),
        f1=ScaledTanh(),
        S2=Subsampling(6),
        f2=ScaledTanh(),
        C3=SparseConv(TABLE_I),
        f3=ScaledTanh(),
        S4=Subsampling(16),
        f4=ScaledTanh(),
        C5=Conv2d(16, 120, 5),
        f5=ScaledTanh(),
    )
    classifier = sequence(
        flatten=nn.Flatten(),
        F6=Linear(120, 84),
        f6=ScaledTanh(),
        output=RadialBasis(digit_codes(num_classes), rubbish_penalty),
    )
    return Net(features, classifier, uniform_by_fan_in)


def lenet5_textbook(*, in_channels: int = 1, num_classes: int = 10) -> Net:
    """Not in the paper: the LeNet-5 of textbooks, with average pooling, a dense C3 and a linear output layer."""
    features = sequence(
        C1=Conv2d(in_channels, 6, 5),
        f1=nn.Tanh(),
        S2=nn.AvgPool2d(2),
        C3=Conv2d(6, 16, 5),
        f3=nn.Tanh(),
        S4=nn.AvgPool2d(2),
    )
    classifier = sequence(
        flatten=nn.Flatten(),
        C5=Linear(400, 120),
        f5=nn.Tanh(),
        F6=Linear(120, 84),
        f6=nn.Tanh(),
        output=Linear(84, num_classes),
    )
    return Net(features, classifier, uniform_by_fan_in)
