"""ResNeXt: the settings of Tables 1 to 7, the errors, and the released training.

Multiply-adds are called FLOPs, and parameters are those of convolutions and the linear layer.
"""

from typing import Any

from archzoo.claims import Claim, depth, kernels, macs, params, ratio, weights
from archzoo.paper import CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    CIFAR_AUGMENTATION,
    FB_RESNET_TORCH_AUGMENTATION,
    IMAGENET_NORMALIZATION,
    NESTEROV_SGD,
    MultiStep,
    StepDecay,
)

PAPER = Paper(
    "Aggregated Residual Transformations for Deep Neural Networks",
    "S. Xie, R. Girshick, P. Dollar, Z. Tu, K. He",
    2016,
    "https://arxiv.org/abs/1611.05431",
    models="archzoo.models.resnext",
)

README = "README of the authors' code"
NO_NORM: dict[str, Any] = {"counting": "without batch norm"}

PAPER.network("resnext", input_size=(3, 224, 224))
PAPER.network("resnext_cifar", input_size=(3, 32, 32))

# Table 2: cardinality, width of a group, and width of the grouped convolution, for a block of as many parameters.
TABLE_2 = ((1, 64, "64"), (2, 40, "80"), (4, 24, "96"), (8, 14, "112"), (32, 4, "128"))
BLOCK = "features.conv2_x.block2"  # from 256 maps to 256, of 56x56
# Table 3 gives one figure for all settings of a depth. What ours is where that does not round to it:
ONE_FOR_ALL = "one figure for all settings, of which it rounds that of 1x64d"
TABLE_3: dict[int, tuple[str, dict[tuple[int, int], str]]] = {
    50: ("4.1 billion", {(4, 24): "4.2 billion", (8, 14): "4.3 billion", (32, 4): "4.2 billion"}),
    101: ("7.8 billion", {(4, 24): "7.9 billion", (8, 14): "8.1 billion", (32, 4): "8.0 billion"}),
}
MORE: dict[str, tuple[Claim, ...]] = {
    "resnext50_32x4d": (
        params("25.0x10^6", "Table 1", **NO_NORM),
        macs("4.2x10^9", "Table 1"),
        params("~25 million", "Fig. 5", **NO_NORM),
    ),
    "resnext101_32x4d": (params("~44 million", "Fig. 5", **NO_NORM),),
}


def block_of(cardinality: int, base_width: int, width: str) -> list[Claim]:
    """What Table 2 prints of the block of a setting."""
    larger: dict[str, Any] = {}
    if (cardinality, base_width) == (8, 14):
        larger = {"ours": "71k", "why": "256 x 112 x 2 + 9 x 14 x 112 = 71,456: rounds to 70k with one digit alone"}
    return [
        weights("~70k", "Table 2", at=BLOCK, **larger),
        macs("~0.22 billion", "Table 2", at=BLOCK),
        kernels(width, "Table 2", at=f"{BLOCK}.layers.conv2"),
    ]


for layers, (printed, others) in TABLE_3.items():
    for cardinality, base_width, width in TABLE_2:
        ours = others.get((cardinality, base_width))
        explained: dict[str, Any] = {"ours": ours, "why": ONE_FOR_ALL} if ours else {}
        name = f"resnext{layers}_{cardinality}x{base_width}d"
        PAPER.setting(
            name,
            macs(f"~{printed}", "Table 3 and Fig. 5", **explained),
            depth(str(layers), "Table 3"),
            *(block_of(cardinality, base_width, width) if layers == 50 else ()),
            *MORE.get(name, ()),
            of="resnext",
            depth=layers,
            cardinality=cardinality,
            base_width=base_width,
        )
# Table 4: twice the multiply-adds of ResNet-101, from a wider network or from more groups.
TABLE_4 = ((1, 100), (2, 64), (64, 4))
for cardinality, base_width in TABLE_4:
    printed_in_readme = macs("15.6 billion", README, ours="15.5 billion", why="twice the 7.8 of ResNet-101")
    PAPER.setting(
        f"resnext101_{cardinality}x{base_width}d",
        macs("~15 billion", "Table 4"),
        ratio("2x", "Sec. 5.1", of="macs", to="resnext101_1x64d"),
        *([printed_in_readme] if cardinality == 64 else []),
        of="resnext",
        depth=101,
        cardinality=cardinality,
        base_width=base_width,
    )
# Table 7, and the width of a group.
for cardinality, printed in ((8, "34.4M"), (16, "68.1M")):
    PAPER.setting(
        f"resnext29_{cardinality}x64d",
        params(printed, "Table 7", **NO_NORM),
        depth("29", "Sec. 5.3"),
        of="resnext_cifar",
        cardinality=cardinality,
    )
PAPER.prints(
    "resnet50_v1_5",
    params("25.5x10^6", "Table 1", **NO_NORM),
    macs("4.1x10^9", "Table 1"),
    params("~25 million", "Fig. 5", ours="26 million", why="one figure for it and for ResNeXt: 25.50M", **NO_NORM),
)
PAPER.prints("resnet101_v1_5", params("~44 million", "Fig. 5", **NO_NORM))
PAPER.prints("preact_resnet200", macs("~15 billion", "Table 4"))
PAPER.prints("wide_resnet_28_10", params("36.5M", "Table 7"))

TABLE_3_ERRORS = {50: (23.9, 23.0, 22.6, 22.3, 22.2), 101: (22.0, 21.7, 21.4, 21.3, 21.2)}
PAPER.results(
    "Table 3",
    ("imagenet top-1",),
    "single crop",
    {
        f"resnext{layers}_{cardinality}x{base_width}d": (error,)
        for layers, errors in TABLE_3_ERRORS.items()
        for (cardinality, base_width, _), error in zip(TABLE_2, errors, strict=True)
    },
)
PAPER.results(
    "Table 4",
    TOP_1_AND_5,
    "single crop",
    {
        "resnext101_1x64d": (22.0, 6.0),
        "resnext101_32x4d": (21.2, 5.6),
        "preact_resnet200": (21.7, 5.8),
        "resnext101_1x100d": (21.3, 5.7),
        "resnext101_2x64d": (20.7, 5.5),
        "resnext101_64x4d": (20.4, 5.3),
    },
)
PAPER.results("Table 5", TOP_1_AND_5, "single crop, 320x320", {"resnext101_64x4d": (19.1, 4.4)})
CLASSES: tuple[dict[str, Any], ...] = ({}, {"num_classes": 100})
TABLE_7_ERRORS = {"resnext29_8x64d": (3.65, 17.77), "resnext29_16x64d": (3.58, 17.31)}
for column, (data, num_classes) in enumerate(zip(CIFAR_AUGMENTED, CLASSES, strict=True)):
    errors = {name: (row[column],) for name, row in TABLE_7_ERRORS.items()}
    PAPER.results("Table 7", (data,), "mean of ten runs", errors, **num_classes)

SCHEDULE = "schedule: the paper's three drops and 100 epochs of the authors' code"
NESTEROV = "Nesterov's momentum: in the authors' code, not in the paper"
PAPER.recipe(
    "resnext_imagenet",
    networks=("resnext", "resnext50_*", "resnext101_*"),
    data="imagenet",
    source="Sec. 4 and the authors' code, after fb.resnet.torch",
    lr=0.1,
    batch_size=256,
    epochs=100,
    schedule=StepDecay(30, gamma=0.1),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=FB_RESNET_TORCH_AUGMENTATION,
    preprocessing=IMAGENET_NORMALIZATION,
    paper_result="22.2% top-1 (resnext50_32x4d), 20.4% (resnext101_64x4d), single crop",
    unspecified=(SCHEDULE, NESTEROV),
)
PAPER.recipe(
    "resnext_cifar",
    networks=("resnext_cifar", "resnext29_*"),
    data="cifar10",
    source="Sec. 5.3 and the authors' code",
    lr=0.1,
    batch_size=128,
    epochs=300,
    schedule=MultiStep((150, 225)),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0005,
    augmentation=CIFAR_AUGMENTATION,
    paper_result="3.65% on CIFAR-10, 17.77% on CIFAR-100 (resnext29_8x64d)",
    unspecified=(NESTEROV,),
)

FILE = "a Torch file, with gradients and statistics"
PAPER.not_countable("191MB, 338MB, 638MB", README, FILE)
PAPER.not_countable("0.95s, 0.70s, 1.70s per mini-batch", "Sec. 5.1", "clock times")
