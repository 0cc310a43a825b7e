"""What the paper says: see ``archzoo.models.wide_resnet`` for what it builds."""

from archzoo.claims import depth, params, ratio, sizes
from archzoo.paper import CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    ColorJitter,
    MultiStep,
    PCALighting,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    StepDecay,
    sgd,
)

PAPER = Paper(
    "Wide Residual Networks",
    "S. Zagoruyko, N. Komodakis",
    2016,
    "https://arxiv.org/abs/1605.07146",
    models="archzoo.models.wide_resnet",
)

PAPER.network("wide_resnet", input_size=(3, 32, 32), aliases=("wrn",))
PAPER.network(
    "wide_resnet18",
    depth("18", "Table 7"),
    params("11.7M", "Table 7", options={"width": 1.0}),
    params("25.9M", "Table 7", options={"width": 1.5}),
    params("45.6M", "Table 7", options={"width": 2.0}),
    params("101.8M", "Table 7", options={"width": 3.0}),
    input_size=(3, 224, 224),
    aliases=("wrn_18",),
)
PAPER.network(
    "wide_resnet34",
    depth("34", "Table 7"),
    params("21.8M", "Table 7", options={"width": 1.0}),
    params("48.6M", "Table 7", options={"width": 1.5}),
    params("86.0M", "Table 7", options={"width": 2.0}),
    input_size=(3, 224, 224),
    aliases=("wrn_34",),
)
PAPER.network(
    "wide_resnet50_2",
    depth("50", "Table 8"),
    params("68.9M", "Table 8"),
    input_size=(3, 224, 224),
    aliases=("wrn_50_2", "wrn_50_2_bottleneck"),
)
# The rows of Tables 2 to 6. WRN-n-k means B(3,3); other blocks stand in the name.
MAPS = sizes("32-16-8", "Table 1")

PAPER.setting(
    "wide_resnet_40_2_b131",
    params("1.4M", "Table 2"),
    MAPS,
    of="wide_resnet",
    aliases=("wrn_40_2_b131",),
    depth=40,
    k=2,
    block="B(1,3,1)",
)
PAPER.setting(
    "wide_resnet_40_2_b31",
    params("1.2M", "Table 2"),
    MAPS,
    of="wide_resnet",
    aliases=("wrn_40_2_b31",),
    depth=40,
    k=2,
    block="B(3,1)",
)
PAPER.setting(
    "wide_resnet_40_2_b13",
    params("1.3M", "Table 2"),
    MAPS,
    of="wide_resnet",
    aliases=("wrn_40_2_b13",),
    depth=40,
    k=2,
    block="B(1,3)",
)
PAPER.setting(
    "wide_resnet_40_2_b311",
    params("1.3M", "Table 2"),
    MAPS,
    of="wide_resnet",
    aliases=("wrn_40_2_b311",),
    depth=40,
    k=2,
    block="B(3,1,1)",
)
PAPER.setting(
    "wide_resnet_28_2",
    params("1.5M", "Table 2"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_28_2",
        "wrn_28_2_b33",
    ),
    depth=28,
    k=2,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_22_2_b313",
    params("1.1M", "Table 2"),
    MAPS,
    of="wide_resnet",
    aliases=("wrn_22_2_b313",),
    depth=22,
    k=2,
    block="B(3,1,3)",
)
PAPER.setting(
    "wide_resnet_40_2_b3",
    params("2.2M", "Table 3"),
    MAPS,
    of="wide_resnet",
    aliases=("wrn_40_2_b3",),
    depth=40,
    k=2,
    block="B(3)",
)
PAPER.setting(
    "wide_resnet_40_2",
    params("2.2M", "Table 3"),
    params("2.2M", "Table 4"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_40_2",
        "wrn_40_2_b33",
    ),
    depth=40,
    k=2,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_40_2_b333",
    params("2.2M", "Table 3"),
    MAPS,
    of="wide_resnet",
    aliases=("wrn_40_2_b333",),
    depth=40,
    k=2,
    block="B(3,3,3)",
)
PAPER.setting(
    "wide_resnet_40_2_b3333",
    params("2.2M", "Table 3"),
    MAPS,
    of="wide_resnet",
    aliases=("wrn_40_2_b3333",),
    depth=40,
    k=2,
    block="B(3,3,3,3)",
)
PAPER.setting(
    "wide_resnet_40_1",
    params("0.6M", "Table 4"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_40_1",
        "wrn_40_1_b33",
    ),
    depth=40,
    k=1,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_40_4",
    params("8.9M", "Table 4"),
    params("8.9M", "Table 5"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_40_4",
        "wrn_40_4_b33",
    ),
    depth=40,
    k=4,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_40_8",
    params("35.7M", "Table 4"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_40_8",
        "wrn_40_8_b33",
    ),
    depth=40,
    k=8,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_28_10",
    params("36.5M", "Table 4"),
    params("36.5M", "Table 5"),
    ratio("3.6x more", "Sec. 3", of="params", to="preact_resnet1001", counting="without batch norm"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_28_10",
        "wrn_28_10_b33",
    ),
    depth=28,
    k=10,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_28_12",
    params("52.5M", "Table 4"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_28_12",
        "wrn_28_12_b33",
    ),
    depth=28,
    k=12,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_22_8",
    params("17.2M", "Table 4"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_22_8",
        "wrn_22_8_b33",
    ),
    depth=22,
    k=8,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_22_10",
    params("26.8M", "Table 4"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_22_10",
        "wrn_22_10_b33",
    ),
    depth=22,
    k=10,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_16_8",
    params("11.0M", "Table 4"),
    params("11.0M", "Table 5"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_16_8",
        "wrn_16_8_b33",
    ),
    depth=16,
    k=8,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_16_10",
    params("17.1M", "Table 4"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_16_10",
        "wrn_16_10_b33",
    ),
    depth=16,
    k=10,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_16_4",
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_16_4",
        "wrn_16_4_b33",
    ),
    depth=16,
    k=4,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_52_1",
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_52_1",
        "wrn_52_1_b33",
    ),
    depth=52,
    k=1,
    block="B(3,3)",
)
PAPER.setting(
    "wide_resnet_40_10",
    params("56M", "Sec. 3"),
    ratio("5x more", "Sec. 3", of="params", to="preact_resnet1001", counting="without batch norm"),
    MAPS,
    of="wide_resnet",
    aliases=(
        "wrn_40_10",
        "wrn_40_10_b33",
    ),
    depth=40,
    k=10,
    block="B(3,3)",
)
OF_1001 = "the size of the pre-activation ResNet-1001; the ResNet paper prints 19.4M for this net, and so do we count"

PAPER.prints("resnet110", params("1.7M", "Table 5"))
PAPER.prints("resnet1202", params("10.2M", "Table 5", ours="19.4M", why=OF_1001))
PAPER.prints("resnet50", params("25.6M", "Table 8"))
PAPER.prints("resnet101", params("44.5M", "Table 8"))
PAPER.prints("resnet152", params("60.2M", "Table 8"))
PAPER.prints("stochastic_depth_110", params("1.7M", "Table 5"))
PAPER.prints("stochastic_depth_1202", params("10.2M", "Table 5", ours="19.4M", why=OF_1001))
PAPER.prints("preact_resnet110", params("1.7M", "Table 5"))
PAPER.prints("preact_resnet164", params("1.7M", "Table 5"))
PAPER.prints("preact_resnet1001", params("10.2M", "Table 5", counting="without batch norm"))
PAPER.prints("preact_resnet200", params("64.7M", "Table 8"))
PAPER.not_countable("59.9 to 85.8 s an epoch", "Table 2", "clock times of one graphics card")
PAPER.not_countable("8x faster, WRN-40-4 than ResNet-1001", "Sec. 3", "clock times of one graphics card: 68 and 512 ms")
PAPER.not_countable(
    "1.6x faster, WRN-28-10 than ResNet-1001", "Fig. 4", "clock times of one graphics card: 312 and 512 ms"
)
PAPER.not_countable("49, 82, 115, 93 and 154 ms a batch", "Table 8", "clock times of one graphics card")
PAPER.not_countable("errors on CIFAR, SVHN, ImageNet and COCO", "Tables 2 to 9", "what a trained net reaches")

PAPER.results(
    "Table 2",
    ("cifar10+",),
    "single crop",
    {
        "wide_resnet_40_2_b131": (6.06,),
        "wide_resnet_40_2_b31": (5.78,),
        "wide_resnet_40_2_b13": (6.42,),
        "wide_resnet_40_2_b311": (5.86,),
        "wide_resnet_28_2": (5.73,),
        "wide_resnet_22_2_b313": (5.78,),
    },
)

PAPER.results(
    "Table 3",
    ("cifar10+",),
    "single crop",
    {
        "wide_resnet_40_2_b3": (6.69,),
        "wide_resnet_40_2": (5.43,),
        "wide_resnet_40_2_b333": (5.65,),
        "wide_resnet_40_2_b3333": (5.93,),
    },
)

PAPER.results(
    "Table 4",
    CIFAR_AUGMENTED,
    "single crop",
    {
        "wide_resnet_40_1": (6.85, 30.89),
        "wide_resnet_40_2": (5.33, 26.04),
        "wide_resnet_40_4": (4.97, 22.89),
        "wide_resnet_40_8": (4.66, None),
        "wide_resnet_28_10": (4.17, 20.5),
        "wide_resnet_28_12": (4.33, 20.43),
        "wide_resnet_22_8": (4.38, 21.22),
        "wide_resnet_22_10": (4.44, 20.75),
        "wide_resnet_16_8": (4.81, 22.07),
        "wide_resnet_16_10": (4.56, 21.59),
    },
)

PAPER.results(
    "Table 5",
    CIFAR_AUGMENTED,
    "single crop",
    {"wide_resnet_40_4": (4.53, 21.18), "wide_resnet_16_8": (4.27, 20.43), "wide_resnet_28_10": (4.0, 19.25)},
)

PAPER.results(
    "Table 6",
    ("cifar10+", "cifar100+", "svhn"),
    "single crop",
    {"wide_resnet_16_4": (5.02, 24.03, 1.85), "wide_resnet_52_1": (6.43, 29.89, 2.08)},
)

PAPER.results(
    "Table 6",
    ("cifar10+", "cifar100+", "svhn"),
    "single crop",
    {
        "wide_resnet_16_4": (5.24, 23.91, 1.64),
        "wide_resnet_28_10": (3.89, 18.85, None),
        "wide_resnet_52_1": (6.28, 29.78, 1.7),
    },
    drop=0.3,
)

PAPER.results("Table 9", CIFAR_AUGMENTED, "single crop", {"wide_resnet_40_10": (3.8, 18.3)}, drop=0.3)

PAPER.results("Table 8", TOP_1_AND_5, "single crop", {"wide_resnet50_2": (21.9, 6.03)})

PAPER.recipe(
    "wide_resnet_cifar",
    networks=("wide_resnet", "wide_resnet_*"),
    data="cifar10",
    source="Sec. 3",
    lr=0.1,
    batch_size=128,
    epochs=200,
    schedule=MultiStep((60, 120, 160), gamma=0.2),
    optimizer=sgd(nesterov=True),
    weight_decay=0.0005,
    augmentation=(
        RandomCrop(padding=4, padding_mode="reflect"),
        RandomHorizontalFlip(),
    ),
    paper_result="4.00% (28-10), 3.89% with dropout on CIFAR-10, the median of 5 runs",
)

PAPER.recipe(
    "wide_resnet_imagenet",
    networks=("wide_resnet18", "wide_resnet34", "wide_resnet50_2"),
    data="imagenet",
    source="Sec. 3.4",
    lr=0.1,
    batch_size=256,
    epochs=90,
    schedule=StepDecay(30, gamma=0.1),
    weight_decay=0.0001,
    augmentation=(
        RandomResizedCrop(),
        ColorJitter(),
        PCALighting(),
        RandomHorizontalFlip(),
    ),
    paper_result="21.9% top-1, 6.03% top-5 (wide_resnet50_2)",
    unspecified=("all values: the paper's framework is fb.resnet.torch, whose defaults these are",),
)
