"""What the paper says: see ``archzoo.models.densenet`` for what it builds."""

from archzoo.claims import depth, flops, params, ratio, sizes
from archzoo.paper import CIFAR_AND_SVHN, CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    ColorJitter,
    MultiStep,
    MultiStepFraction,
    PCALighting,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    sgd,
)

PAPER = Paper(
    "Densely Connected Convolutional Networks",
    "G. Huang, Z. Liu, L. van der Maaten, K. Weinberger",
    2017,
    "https://arxiv.org/abs/1608.06993",
    models="archzoo.models.densenet",
)

TECH_REPORT = Paper(
    "Memory-Efficient Implementation of DenseNets",
    "G. Pleiss, D. Chen, G. Huang, T. Li, L. van der Maaten, K. Weinberger",
    2017,
    "https://arxiv.org/abs/1707.06990",
    models="archzoo.models.densenet",
)

PAPER.network(
    "densenet",
    params("1.0M", "Table 2"),
    depth("40", "Table 2"),
    sizes("32-16-8", "Sec. 3"),
    input_size=(3, 32, 32),
    aliases=("densenet_40_12",),
)
PAPER.network("densenet_b", input_size=(3, 32, 32))
PAPER.network("densenet_c", input_size=(3, 32, 32))
PAPER.network(
    "densenet_bc",
    params("0.8M", "Table 2"),
    depth("100", "Table 2"),
    sizes("32-16-8", "Sec. 3"),
    ratio(
        "90% fewer",
        "Sec. 4.3",
        of="params",
        to="preact_resnet1001",
        ours="93% fewer",
        why="a round number: 0.77M to 10.33M is 92.6% fewer, and the printed 0.8M to 10.2M is 92.2%",
    ),
    input_size=(3, 32, 32),
    aliases=("densenet_bc_100_12",),
)
PAPER.network("densenet_imagenet", input_size=(3, 224, 224))
PAPER.setting("densenet_100_12", params("7.0M", "Table 2"), depth("100", "Table 2"), of="densenet", depth=100, k=12)
PAPER.setting(
    "densenet_100_24",
    params("27.2M", "Table 2"),
    depth("100", "Table 2"),
    ratio("4x", "Sec. 4.3", of="params", to="densenet_100_12"),
    of="densenet",
    depth=100,
    k=24,
)
PAPER.setting(
    "densenet_bc_250_24", params("15.3M", "Table 2"), depth("250", "Table 2"), of="densenet_bc", depth=250, k=24
)
PAPER.setting(
    "densenet_bc_190_40", params("25.6M", "Table 2"), depth("190", "Table 2"), of="densenet_bc", depth=190, k=40
)
# "Wide DenseNet" rows of the authors' release.
PAPER.setting("densenet_bc_40_36", params("1.5M", "official README"), of="densenet_bc", depth=40, k=36)
PAPER.setting("densenet_bc_40_48", params("2.7M", "official README"), of="densenet_bc", depth=40, k=48)
PAPER.setting("densenet_bc_40_60", params("4.3M", "official README"), of="densenet_bc", depth=40, k=60)
MAPS = sizes("112-56-28-14-7", "Table 1")

PAPER.setting("densenet121", depth("121", "Table 1"), MAPS, of="densenet_imagenet", depth=121)
PAPER.setting("densenet161", depth("161", "official README"), MAPS, of="densenet_imagenet", depth=161, k=48)
PAPER.setting("densenet169", depth("169", "Table 1"), MAPS, of="densenet_imagenet", depth=169)
PAPER.setting(
    "densenet201", params("20M", "Sec. 4.4"), depth("201", "Table 1"), MAPS, of="densenet_imagenet", depth=201
)
PAPER.setting(
    "densenet264",
    depth(
        "264",
        "Table 1",
        ours="265",
        why="its blocks 6, 12, 64, 48 have 2 x 130 convolutions; with stem, 3 transitions and classifier that is 265, "
        "by the rule that gives the names of 121, 161, 169 and 201",
    ),
    MAPS,
    of="densenet_imagenet",
    depth=264,
)
TECH_REPORT.prints("densenet264", params("73M", "abstract", options={"k": 48}))
TECH_REPORT.prints(
    "densenet201",
    flops("80B", "Sec. 1", ours="8.6B", why="ten times too large: at two operations a multiply-add it is 8.6 billion"),
)
# The competitors of Table 2, and two comparisons of Sec. 4.
ROW_OF_1001 = "taken over from Wide ResNet's Table 5: the size of pre-activation ResNet-1001; this net has 19.4M"

PAPER.prints("fractalnet20", params("38.6M", "Table 2", ours="33.7M", why="quoted from FractalNet; see there"))
PAPER.prints("fractalnet20", depth("21", "Table 2"))
PAPER.prints("resnet110", params("1.7M", "Table 2"))
PAPER.prints("stochastic_depth_110", params("1.7M", "Table 2"))
PAPER.prints("stochastic_depth_1202", params("10.2M", "Table 2", ours="19.4M", why=ROW_OF_1001))
PAPER.prints("wide_resnet_16_8", params("11.0M", "Table 2"))
PAPER.prints("wide_resnet_28_10", params("36.5M", "Table 2"))
PAPER.prints("wide_resnet_16_4", params("2.7M", "Table 2"))
PAPER.prints("preact_resnet164", params("1.7M", "Table 2"))
PAPER.prints("preact_resnet1001", params("10.2M", "Table 2", counting="without batch norm"))
PAPER.prints("resnet101", params("more than 40M", "Sec. 4.4"), ratio("twice", "Sec. 4.4", of="macs", to="resnet50"))
PAPER.not_countable("parameters and FLOPs against error", "Fig. 3", "a plot without printed numbers")

PAPER.results(
    "Table 2",
    CIFAR_AND_SVHN,
    "single crop",
    {
        "densenet": (7.0, 5.24, 27.55, 24.42, 1.79),
        "densenet_100_12": (5.77, 4.1, 23.79, 20.2, 1.67),
        "densenet_100_24": (5.83, 3.74, 23.42, 19.25, 1.59),
        "densenet_bc": (5.92, 4.51, 24.15, 22.27, 1.76),
        "densenet_bc_250_24": (5.19, 3.62, 19.64, 17.6, 1.74),
        "densenet_bc_190_40": (None, 3.46, None, 17.18, None),
    },
)

PAPER.results(
    "the authors' release",
    CIFAR_AUGMENTED,
    "single crop",
    {"densenet_bc_40_36": (4.58, 22.3), "densenet_bc_40_48": (3.99, 20.29), "densenet_bc_40_60": (4.01, 19.99)},
)

PAPER.results(
    "Table 3",
    TOP_1_AND_5,
    "single crop",
    {
        "densenet121": (25.02, 7.71),
        "densenet169": (23.8, 6.85),
        "densenet201": (22.58, 6.34),
        "densenet264": (22.15, 6.12),
    },
)

PAPER.results(
    "Table 3",
    TOP_1_AND_5,
    "ten crops",
    {
        "densenet121": (23.61, 6.66),
        "densenet169": (22.08, 5.92),
        "densenet201": (21.46, 5.54),
        "densenet264": (20.8, 5.29),
    },
)

PAPER.results("the authors' release", ("imagenet top-1",), "single crop", {"densenet161": (22.2,)})

PAPER.recipe(
    "densenet_cifar",
    networks=("densenet", "densenet_b", "densenet_c", "densenet_bc", "densenet_100_*", "densenet_bc_*"),
    data="cifar10",
    source="Sec. 4.2",
    lr=0.1,
    batch_size=64,
    epochs=300,
    schedule=MultiStepFraction((0.5, 0.75)),
    optimizer=sgd(nesterov=True),
    weight_decay=0.0001,
    augmentation=(
        RandomCrop(padding=4),
        RandomHorizontalFlip(),
    ),
    validation="5,000 of the 50,000; the last run is on all, and its last epoch is tested",
    paper_result="4.51% (densenet_bc, k=12), 3.46% (190, 40) on CIFAR-10 with augmentation",
)

PAPER.recipe(
    "densenet_imagenet",
    networks=("densenet121", "densenet161", "densenet169", "densenet201", "densenet264", "densenet_imagenet"),
    data="imagenet",
    source="Sec. 4.2",
    lr=0.1,
    batch_size=256,
    epochs=90,
    schedule=MultiStep((30, 60)),
    optimizer=sgd(nesterov=True),
    weight_decay=0.0001,
    augmentation=(
        RandomResizedCrop(),
        ColorJitter(),
        PCALighting(),
        RandomHorizontalFlip(),
    ),
    paper_result="25.02% top-1, 7.71% top-5 (densenet121, one crop)",
)
