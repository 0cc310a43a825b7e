"""ShuffleNet: the 1x1 convolutions of a bottleneck have groups, and a channel shuffle lets the groups exchange maps.

X. Zhang, X. Zhou, M. Lin, J. Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
CVPR 2018 (arXiv 2017).
"""

from math import ceil
from typing import Literal

from archzoo.errors import BadOption
from archzoo.layers import (
    Net,
    Shuffle,
    ShuffleBranch,
    gaussian_by_inputs,
    sequence,
    shufflenet_classifier,
    shufflenet_stages,
    shufflenet_stem,
)

Groups = Literal[1, 2, 3, 4, 8]

# Table 1: maps of stage 2 by the number of groups; stages 3 and 4 have twice and four times as many. Units of each.
TABLE_1 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
UNITS = (4, 8, 4)
# Maps of the first convolution by width. At 0.25x, which was not released, the printed 13M fit 12 maps and not six.
STEM = {0.25: 12, 0.5: 12, 1.0: 24, 1.5: 24, 2.0: 48}
# Twelve maps beside the others of a first unit cannot be divided into eight groups (authors' code for 0.5x).
STEM_OF_8_GROUPS = {0.25: 8, 0.5: 16}


def stage_width(groups: int, width: float) -> int:
    """Maps of stage 2: ``width`` times those of Table 1, up to the next number that bottlenecks of groups divide.

    At 0.5x and 4 groups these are 144 maps and not 136, which gives the 576 of stage 4 in Sec. 4.2.
    """
    divisor = 4 * groups
    return ceil(width * TABLE_1[groups] / divisor) * divisor


def shufflenet_v1(
    width: float = 1.0,
    g: Groups = 3,
    *,
    shuffle: Shuffle = "paper",
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """ShuffleNet ``width``x with ``g`` groups (Table 1, Table 2). ``shuffle="none"`` is a row of Table 3.

    Differs from the release:
        - The released code shuffles after the depthwise convolution, and the other way round: maps (n, g) become maps
          (g, n). ``shuffle="release"`` is the released network.
    """
    if width not in STEM:
        raise BadOption(f"width must be one of the paper's, not {width}: {', '.join(map(str, STEM))}")
    stem = STEM_OF_8_GROUPS.get(width, STEM[width]) if g == 8 else STEM[width]
    maps = [2**doublings * stage_width(g, width) for doublings in range(len(UNITS))]
    stages = shufflenet_stages(ShuffleBranch(g, shuffle), stem, maps, UNITS)
    features = sequence(**shufflenet_stem(in_channels, stem), **stages)
    return Net(features, shufflenet_classifier(maps[-1], num_classes), gaussian_by_inputs)
