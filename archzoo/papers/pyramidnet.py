"""PyramidNet: the tables of the authors' three releases, which are those of the paper, errors, and training.

Parameters are mostly those of convolutions and the linear layer, without batch norm.
"""

from typing import Any

from archzoo.claims import Claim, depth, params, size
from archzoo.paper import CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    CIFAR_AUGMENTATION,
    IMAGENET_NORMALIZATION,
    NESTEROV_SGD,
    MultiStep,
    RandomHorizontalFlip,
    RandomResizedCrop,
    SingleCrop,
    StepDecay,
)

PAPER = Paper(
    "Deep Pyramidal Residual Networks",
    "D. Han, J. Kim, J. Kim",
    2016,
    "https://arxiv.org/abs/1610.02915",
    models="archzoo.models.pyramidnet",
)

README = "README of the authors' code"
CAFFE = "README of the authors' code for Caffe"
PYTORCH = "README of the authors' code for PyTorch"
NO_NORM: dict[str, Any] = {"counting": "without batch norm"}
SHORTENED = "cut off, not rounded: {}M without batch norm, {}M with it"
Row = tuple[int, float, str, str, dict[str, Any], tuple[float, float]]

# Basic units, by how the widths grow: depth, alpha, parameters and maps before the linear layer as printed, how the
# parameters are counted or what ours are, and the errors on CIFAR-10 and CIFAR-100.
BASIC: dict[str, tuple[Row, ...]] = {
    "multiplicative": (
        (110, 4.75, "1.7M", "76", NO_NORM, (4.62, 23.16)),
        (110, 8.0, "3.8M", "128", {"ours": "3.9M", "why": SHORTENED.format("3.86", "3.88")}, (4.50, 20.94)),
        (110, 27.0, "28.3M", "432", NO_NORM, (4.06, 18.79)),
    ),
    "additive": (
        (110, 48.0, "1.7M", "64", {"ours": "1.8M", "why": SHORTENED.format("1.76", "1.77")}, (4.62, 23.31)),
        (110, 84.0, "3.8M", "100", {"ours": "3.9M", "why": SHORTENED.format("3.89", "3.90")}, (4.27, 20.21)),
        (
            *(110, 270.0, "28.3M", "286"),
            {
                "ours": "28.4M",
                "why": "every unit adds exactly 5 maps, so that no rounding of widths makes it less; 28.3M is the "
                "count of the row above it, of alpha = 27",
                **NO_NORM,
            },
            (3.73, 18.25),
        ),
    ),
}
# Bottlenecks, additive.
BOTTLENECKS: tuple[Row, ...] = (
    (164, 48.0, "1.7M", "256", NO_NORM, (4.21, 19.52)),
    (164, 84.0, "3.8M", "400", {}, (3.96, 18.32)),
    (
        *(164, 270.0, "27.0M", "1144"),
        {"ours": "27.1M", "why": "cut off, not rounded: 27,050,177", **NO_NORM},
        (3.48, 17.01),
    ),
    (200, 240.0, "26.6M", "1024", NO_NORM, (3.44, 16.51)),
    (236, 220.0, "26.8M", "944", NO_NORM, (3.40, 16.37)),
    (272, 200.0, "26.0M", "864", NO_NORM, (3.31, 16.35)),
)


def claims_of(row: Row, where: str = README) -> tuple[Claim, ...]:
    """What a row prints of its network."""
    layers, _, printed, maps, counted, _ = row
    return (
        params(printed, where, **counted),
        size(maps, where, at="classifier.flatten"),
        depth(str(layers), where),
    )


def spelled(alpha: float) -> str:
    """4.75 in a name: 4_75; 48.0: 48."""
    return f"{alpha:g}".replace(".", "_")


PAPER.network("pyramidnet_cifar", input_size=(3, 32, 32))
NAMED: dict[str, Row] = {}
for growth, rows in BASIC.items():
    for row in rows:
        name = f"pyramidnet{row[0]}_{growth[0]}{spelled(row[1])}"
        NAMED[name] = row
        PAPER.setting(name, *claims_of(row), of="pyramidnet_cifar", depth=row[0], widening=row[1], growth=growth)
for row in BOTTLENECKS:
    name = f"pyramidnet{row[0]}_a{spelled(row[1])}"
    NAMED[name] = row
    PAPER.setting(name, *claims_of(row), of="pyramidnet_cifar", depth=row[0], widening=row[1], block="bottleneck")

PAPER.network("pyramidnet", input_size=(3, 224, 224))


def imagenet(name: str, layers: int, alpha: float, *claims: Claim, **options: Any) -> None:
    """A setting for ImageNet."""
    PAPER.setting(name, *claims, of="pyramidnet", depth=layers, widening=alpha, **options)


def maps(printed: str, where: str = README) -> Claim:
    """What the linear layer reads."""
    return size(printed, where, at="classifier.flatten")


NO_CLASSIFIER = "{}M without batch norm; nearest is {}M, without the linear layer as well"
imagenet("pyramidnet200_a300", 200, 300.0, params("62.1M", README, **NO_NORM), maps("1456"))
imagenet("pyramidnet200_a450", 200, 450.0, params("116.4M", README, **NO_NORM), maps("2056"), drop=0.5)
imagenet("pyramidnet101_a360", 101, 360.0, params("42.5M", PYTORCH))
imagenet(
    "pyramidnet101_a250",
    *(101, 250.0),
    params("23.5M", CAFFE, ours="24.8M", why=NO_CLASSIFIER.format("24.83", "23.57"), **NO_NORM),
    maps("1256", CAFFE),
)
imagenet(
    "pyramidnet152_a200",
    *(152, 200.0),
    params("26.0M", CAFFE, ours="27.2M", why=NO_CLASSIFIER.format("27.18", "26.12"), **NO_NORM),
    maps("1056", CAFFE),
)
PAPER.prints("preact_resnet200", params("64.5M", README, **NO_NORM))
PAPER.prints("resnet101", params("44.5M", CAFFE), params("44.7M", PYTORCH, counting="with running statistics"))
PAPER.prints("resnet152", params("60.0M", CAFFE, **NO_NORM))

CLASSES: tuple[dict[str, Any], ...] = ({}, {"num_classes": 100})
for column, (data, classes) in enumerate(zip(CIFAR_AUGMENTED, CLASSES, strict=True)):
    errors = {name: (row[-1][column],) for name, row in NAMED.items()}
    PAPER.results(README, (data,), "single crop", errors, **classes)
CROP = "single crop"
PAPER.results(README, TOP_1_AND_5, CROP, {"pyramidnet200_a300": (20.47, 5.29), "pyramidnet200_a450": (20.11, 5.43)})
PAPER.results(PYTORCH, TOP_1_AND_5, CROP, {"pyramidnet101_a360": (21.98, 6.20)})
PAPER.results(
    CAFFE,
    TOP_1_AND_5,
    CROP,
    {
        "pyramidnet101_a250": (23.24, 6.59),
        "pyramidnet152_a200": (22.44, 6.14),
        "pyramidnet200_a300": (20.41, 5.16),
        "pyramidnet200_a450": (20.27, 5.49),
    },
)

CIFAR: dict[str, Any] = {
    "networks": ("pyramidnet_cifar", *NAMED),
    "batch_size": 128,
    "epochs": 300,
    "schedule": MultiStep((150, 225)),
    "optimizer": NESTEROV_SGD,
    "weight_decay": 0.0001,
    "augmentation": CIFAR_AUGMENTATION,
}
PAPER.recipe(
    "pyramidnet_cifar10",
    data="cifar10",
    source=f"{README}, and the defaults of fb.resnet.torch, in which it runs",
    lr=0.1,
    paper_result="3.73% (pyramidnet110_a270), 3.31% (pyramidnet272_a200) on CIFAR-10",
    **CIFAR,
)
PAPER.recipe(
    "pyramidnet_cifar100",
    data="cifar100",
    source=f"{README}, and the defaults of fb.resnet.torch, in which it runs",
    lr=0.5,
    paper_result="18.25% (pyramidnet110_a270), 16.35% (pyramidnet272_a200) on CIFAR-100",
    **CIFAR,
)
PAPER.recipe(
    "pyramidnet_imagenet",
    networks=("pyramidnet", "pyramidnet*_a300", "pyramidnet*_a450", "pyramidnet101_a*", "pyramidnet152_a*"),
    data="imagenet",
    source=f"{PYTORCH}, and train.py",
    lr=0.05,
    batch_size=128,
    epochs=100,
    schedule=StepDecay(30, gamma=0.1),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=(RandomResizedCrop(), RandomHorizontalFlip()),
    preprocessing=IMAGENET_NORMALIZATION,
    protocol=SingleCrop(224, resize=256),
    paper_result="20.47% top-1 (pyramidnet200_a300), single crop",
)
