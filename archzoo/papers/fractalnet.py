"""FractalNet: the networks of Tables 1 to 3, their errors, and how they were trained.

The paper counts convolutions only: B blocks of C columns are B x 2^(C-1) deep.
"""

from typing import Any

from archzoo.claims import Claim, depth, params, sizes
from archzoo.paper import CIFAR_AND_SVHN, TOP_1_AND_5, Paper
from archzoo.recipes import (
    CIFAR_AUGMENTATION,
    MultiStep,
    ParameterGroup,
    RandomCrop,
    RandomHorizontalFlip,
    RemainingHalves,
    Resize,
    SubtractMean,
    TenCrop,
)

PAPER = Paper(
    "FractalNet: Ultra-Deep Neural Networks without Residuals",
    "G. Larsson, M. Maire, G. Shakhnarovich",
    2016,
    "https://arxiv.org/abs/1605.07648",
    models="archzoo.models.fractalnet",
)

# Maps in each block: of the nets of Table 1, and of the thin ones of Table 3.
WIDTHS = (64, 128, 256, 512, 512)
THIN_WIDTHS = (16, 32, 64, 128, 128)

# Table 3: columns, depth and parameters on CIFAR-100, and where the depth is printed.
TABLE_3 = (
    (1, 5, "0.3M", "Table 3"),
    (2, 10, "0.8M", "Table 3"),
    (3, 20, "2.1M", "Table 3"),
    (4, 40, "4.8M", "Sec. 3"),
    (5, 80, "10.2M", "Sec. 3"),
    (6, 160, "21.1M", "Sec. 3"),
)


def convolutions(printed: int, where: str, confirmed: bool = True) -> Claim:
    """Depth as the paper counts it."""
    why = "counts convolutions only, B x 2^(C-1); with the linear layer, as DenseNet's Table 2 counts it, one more"
    return depth(str(printed), where, ours=str(printed + 1), why=why, confirmed=confirmed)


PAPER.network("fractalnet", input_size=(3, 32, 32))
PAPER.network("fractalnet34", depth("34", "Table 2", confirmed=False), input_size=(3, 224, 224))
PAPER.setting(
    "fractalnet20",
    params(
        "38.6M",
        "Table 1",
        ours="33.7M",
        why="does not follow from the published columns and widths: their 35 convolutions alone have 33.70M weights, "
        "and biases, batch norm and the linear layer make 33.7M of it in any combination; the rule that gives 33.7M "
        "gives all six rows of Table 3; 4.9M stay unexplained",
    ),
    convolutions(20, "Sec. 3"),
    sizes("32-16-8-4-2-1", "released configuration"),
    of="fractalnet",
    aliases=("fractalnet_20_64",),
    columns=3,
    widths=WIDTHS,
)
for columns, layers, printed, where in TABLE_3:
    PAPER.setting(
        f"fractalnet_{layers}_16",
        params(printed, "Table 3", options={"num_classes": 100}, confirmed=False),
        convolutions(layers, where, confirmed=where != "Table 3"),
        of="fractalnet",
        columns=columns,
        widths=THIN_WIDTHS,
    )

PAPER.results(
    "Table 1, drop-path and dropout", CIFAR_AND_SVHN, "single crop", {"fractalnet20": (7.33, 4.60, 28.20, 23.73, 1.87)}
)
PAPER.results(
    "Table 1",
    CIFAR_AND_SVHN,
    "single crop",
    {"fractalnet20": (10.18, 5.22, 35.34, 23.30, 2.01)},
    drop=0.0,
    drop_path=0.0,
)
PAPER.results("Table 2", TOP_1_AND_5, "ten crops", {"fractalnet34": (24.12, 7.39)}, confirmed=False)

# Biases learn at twice the rate and do not decay (released configuration).
BIASES = (ParameterGroup("*.bias", lr_mult=2.0, decay_mult=0.0),)
NO_DECAY = "weight_decay: not printed, none here"
MEAN = "preprocessing: a mean is subtracted, and it is not printed which; by channel here"
SHARED: dict[str, Any] = {
    "networks": ("fractalnet", "fractalnet20", "fractalnet_*"),
    "source": "Sec. 4.1",
    "lr": 0.02,
    "batch_size": 100,
    "schedule": RemainingHalves(),
    "groups": BIASES,
    "preprocessing": SubtractMean(),
    "unspecified": (NO_DECAY, MEAN),
}
PAPER.recipe(
    "fractalnet_cifar",
    **SHARED,
    data="cifar10",
    epochs=400,
    augmentation=CIFAR_AUGMENTATION,
    paper_result="4.60% (fractalnet20, drop-path, with augmentation) on CIFAR-10",
)
PAPER.recipe(
    "fractalnet_svhn",
    **SHARED,
    data="svhn",
    epochs=20,
    paper_result="1.87% (fractalnet20, drop-path and dropout), 2.01% with drop=0 and drop_path=0 on SVHN",
)
PAPER.recipe(
    "fractalnet_imagenet",
    networks=("fractalnet34",),
    data="imagenet",
    source="Sec. 4.2",
    lr=0.001,
    batch_size=32,
    epochs=70,
    schedule=MultiStep((50, 65)),
    groups=BIASES,
    preprocessing=SubtractMean(),
    augmentation=(Resize(256), RandomCrop(), RandomHorizontalFlip()),
    protocol=TenCrop(),
    paper_result="24.12% top-1, 7.39% top-5 (ten crops)",
    unspecified=(NO_DECAY, MEAN, "groups: those of the released configuration for CIFAR"),
    unconfirmed=("schedule",),
)

PAPER.not_countable(
    "22.9M parameters, FractalNet of 40 layers",
    "Table 1",
    "underspecified: four columns of 128, 64, 32 and 16 maps with a mix of 1x1 and 3x3 convolutions, and it is not "
    "said which are 1x1; choices between 13M and 39M are all open",
)
PAPER.not_countable("errors such as 7.33% on CIFAR-10 and 28.20% on CIFAR-100", "Table 1", "of trained networks")
PAPER.not_countable(
    "24.12% top-1 and 7.39% top-5 error of FractalNet-34", "Table 2", "of a trained network, on ten crops"
)
PAPER.not_countable("errors from 37.32% at depth 5 to 26.46% at depth 80", "Table 3", "of trained networks")
