"""What the paper says: see ``archzoo.models.resnet`` for what it builds."""

from archzoo.claims import depth, difference, macs, params, ratio, sizes
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    MultiStep,
    PCALighting,
    RandomCrop,
    RandomHorizontalFlip,
    ReduceOnPlateau,
    Resize,
    SubtractMean,
    TenCrop,
    Warmup,
)

PAPER = Paper(
    "Deep Residual Learning for Image Recognition",
    "K. He, X. Zhang, S. Ren, J. Sun",
    2015,
    "https://arxiv.org/abs/1512.03385",
    models="archzoo.models.resnet",
)

PAPER.network("resnet", input_size=(3, 224, 224))
PAPER.network("resnet_v1_5", input_size=(3, 224, 224))
PAPER.network("plain", input_size=(3, 224, 224))
PAPER.network("resnet_cifar", input_size=(3, 32, 32))
PAPER.network("plain_cifar", input_size=(3, 32, 32))
MAPS = sizes("112-56-28-14-7", "Table 1")

CIFAR_MAPS = sizes("32-16-8", "Sec. 4.2")

PAPER.setting("plain18", macs("1.8x10^9", "Table 1"), depth("18", "Table 1"), MAPS, of="plain", depth=18)
PAPER.setting(
    "plain34",
    macs("3.6x10^9", "Table 1"),
    depth("34", "Table 1"),
    MAPS,
    ratio(
        "18%",
        "Sec. 3.3",
        of="macs",
        to="vgg_e",
        ours="18.6%",
        why="a quotient of the rounded 3.6 and 19.6 billion; the exact counts give 18.56%",
    ),
    of="plain",
    depth=34,
)
PAPER.setting("resnet18", macs("1.8x10^9", "Table 1"), depth("18", "Table 1"), MAPS, of="resnet", depth=18)
PAPER.setting(
    "resnet34",
    macs("3.6x10^9", "Table 1"),
    depth("34", "Table 1"),
    MAPS,
    difference("thirteen", "Sec. 4.1", of="layers", to="resnet34", options={"option": "C"}, to_options={"option": "B"}),
    of="resnet",
    depth=34,
)
PAPER.setting(
    "resnet50",
    macs(
        "3.8x10^9",
        "Table 1",
        ours="3.86x10^9",
        why="cut off, not rounded: 3.858 billion with the projections of option B, which the same row's "
        "7.6 and 11.3 count too",
    ),
    depth("50", "Table 1"),
    MAPS,
    ratio(
        "doubled",
        "Sec. 4.1",
        of="macs",
        at="features.conv2_x.block2",
        to="resnet50",
        to_at="features.conv2_x.block2",
        options={"option": "C"},
    ),
    of="resnet",
    depth=50,
)
PAPER.setting("resnet101", macs("7.6x10^9", "Table 1"), depth("101", "Table 1"), MAPS, of="resnet", depth=101)
PAPER.setting("resnet152", macs("11.3x10^9", "Table 1"), depth("152", "Table 1"), MAPS, of="resnet", depth=152)
PAPER.setting("resnet50_v1_5", of="resnet_v1_5", depth=50)
PAPER.setting("resnet101_v1_5", of="resnet_v1_5", depth=101)
PAPER.setting("resnet152_v1_5", of="resnet_v1_5", depth=152)
PAPER.setting("resnet20", params("0.27M", "Table 6"), depth("20", "Table 6"), CIFAR_MAPS, of="resnet_cifar", depth=20)
PAPER.setting("resnet32", params("0.46M", "Table 6"), depth("32", "Table 6"), CIFAR_MAPS, of="resnet_cifar", depth=32)
PAPER.setting("resnet44", params("0.66M", "Table 6"), depth("44", "Table 6"), CIFAR_MAPS, of="resnet_cifar", depth=44)
PAPER.setting("resnet56", params("0.85M", "Table 6"), depth("56", "Table 6"), CIFAR_MAPS, of="resnet_cifar", depth=56)
PAPER.setting("resnet110", params("1.7M", "Table 6"), depth("110", "Table 6"), CIFAR_MAPS, of="resnet_cifar", depth=110)
PAPER.setting(
    "resnet1202",
    params("19.4M", "Table 6"),
    params("19.4M", "Sec. 4.2"),
    depth("1202", "Table 6"),
    CIFAR_MAPS,
    of="resnet_cifar",
    depth=1202,
)
PAPER.setting("plain20", params("0.27M", "Table 6"), depth("20", "Sec. 4.2"), CIFAR_MAPS, of="plain_cifar", depth=20)
PAPER.setting("plain32", params("0.46M", "Table 6"), depth("32", "Sec. 4.2"), CIFAR_MAPS, of="plain_cifar", depth=32)
PAPER.setting("plain44", params("0.66M", "Table 6"), depth("44", "Sec. 4.2"), CIFAR_MAPS, of="plain_cifar", depth=44)
PAPER.setting("plain56", params("0.85M", "Table 6"), depth("56", "Sec. 4.2"), CIFAR_MAPS, of="plain_cifar", depth=56)
PAPER.setting("plain110", params("1.7M", "Table 6"), depth("110", "Sec. 4.2"), CIFAR_MAPS, of="plain_cifar", depth=110)
PAPER.prints("vgg_d", macs("15.3 billion", "Sec. 4.1", at="features"))
PAPER.prints("vgg_e", macs("19.6 billion", "Fig. 3, Sec. 3.3 and 4.1"))
PAPER.not_countable(
    "similar time complexity of the 64-d basic block and the 256-d bottleneck",
    "Fig. 5",
    "not a number; a test of ResNet holds the two within a tenth",
)

PAPER.results(
    "Tables 2 and 3",
    TOP_1_AND_5,
    "ten crops",
    {
        "plain18": (27.94, None),
        "plain34": (28.54, 10.02),
        "resnet18": (27.88, None),
        "resnet34": (25.03, 7.76),
        "resnet50": (22.85, 6.71),
        "resnet101": (21.75, 6.05),
        "resnet152": (21.43, 5.71),
    },
)

PAPER.results("Table 3", TOP_1_AND_5, "ten crops", {"resnet34": (24.52, 7.46)}, option="B")

PAPER.results("Table 3", TOP_1_AND_5, "ten crops", {"resnet34": (24.19, 7.4)}, option="C")

PAPER.results(
    "Table 4",
    TOP_1_AND_5,
    "dense, several scales",
    {"resnet50": (20.74, 5.25), "resnet101": (19.87, 4.6), "resnet152": (19.38, 4.49)},
)

PAPER.results(
    "the authors' release",
    TOP_1_AND_5,
    "single crop",
    {"resnet50": (24.7, 7.8), "resnet101": (23.6, 7.1), "resnet152": (23.0, 6.7)},
)

PAPER.results(
    "Table 6",
    ("cifar10+",),
    "single crop",
    {
        "resnet20": (8.75,),
        "resnet32": (7.51,),
        "resnet44": (7.17,),
        "resnet56": (6.97,),
        "resnet110": (6.43,),
        "resnet1202": (7.93,),
    },
)

PAPER.recipe(
    "resnet_cifar10",
    networks=(
        "resnet_cifar",
        "resnet20",
        "resnet32",
        "resnet44",
        "resnet56",
        "resnet1202",
        "plain_cifar",
        "plain20",
        "plain32",
        "plain44",
        "plain56",
        "plain110",
    ),
    data="cifar10",
    source="Sec. 4.2",
    lr=0.1,
    batch_size=128,
    iterations=64_000,
    schedule=MultiStep((32000, 48000), unit="iterations"),
    weight_decay=0.0001,
    augmentation=(
        RandomCrop(padding=4),
        RandomHorizontalFlip(),
    ),
    preprocessing=SubtractMean("pixel"),
    validation="5,000 of the 50,000, to choose the schedule",
    paper_result="8.75% (resnet20), 6.97% (resnet56) on CIFAR-10",
)

PAPER.recipe(
    "resnet110_cifar10",
    networks=("resnet110",),
    data="cifar10",
    source="Sec. 4.2",
    lr=0.1,
    batch_size=128,
    iterations=64_000,
    schedule=Warmup(0.1, 400, MultiStep((32000, 48000), unit="iterations")),
    weight_decay=0.0001,
    augmentation=(
        RandomCrop(padding=4),
        RandomHorizontalFlip(),
    ),
    preprocessing=SubtractMean("pixel"),
    paper_result="6.43% (6.61 +- 0.16%) on CIFAR-10",
    unspecified=("warm-up of 400 iterations: printed as until the training error is below 80%, about 400",),
)

PAPER.recipe(
    "resnet_imagenet",
    networks=(
        "resnet",
        "resnet18",
        "resnet34",
        "resnet50*",
        "resnet101*",
        "resnet152*",
        "resnet_v1_5",
        "plain",
        "plain18",
        "plain34",
    ),
    data="imagenet",
    source="Sec. 3.4",
    lr=0.1,
    batch_size=256,
    iterations=600_000,
    schedule=ReduceOnPlateau(drops=2),
    weight_decay=0.0001,
    augmentation=(
        Resize(256, 480),
        RandomCrop(),
        RandomHorizontalFlip(),
        PCALighting(),
    ),
    preprocessing=SubtractMean("pixel"),
    protocol=TenCrop(),
    paper_result="22.85% top-1, 6.71% top-5 (resnet50, ten crops)",
    unspecified=("patience of the plateau: 5 epochs", "number of drops"),
)
