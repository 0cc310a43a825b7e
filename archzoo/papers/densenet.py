"""DenseNet: the rows of Tables 1 and 2 and of the release, the competitors they quote, errors, and training.

The technical report on memory stands here too: it prints two numbers about the same networks.
"""

from typing import Any

from archzoo.claims import Claim, depth, flops, params, ratio, sizes
from archzoo.paper import CIFAR_AND_SVHN, CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import CIFAR_AUGMENTATION, FB_RESNET_TORCH_AUGMENTATION, NESTEROV_SGD, MultiStep, MultiStepFraction

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

# Table 2: DenseNet (L = 40, k = 12) and DenseNet-BC (L = 100, k = 12). DenseNet-B and DenseNet-C have no row.
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

# Table 2: the other rows by family, depth L and growth rate k, with their parameters.
FOUR_TIMES = ratio("4x", "Sec. 4.3", of="params", to="densenet_100_12")
TABLE_2: tuple[tuple[str, int, int, str, tuple[Claim, ...]], ...] = (
    ("densenet", 100, 12, "7.0M", ()),
    ("densenet", 100, 24, "27.2M", (FOUR_TIMES,)),
    ("densenet_bc", 250, 24, "15.3M", ()),
    ("densenet_bc", 190, 40, "25.6M", ()),
)
for family, L, k, printed, more in TABLE_2:
    claims = (params(printed, "Table 2"), depth(str(L), "Table 2"), *more)
    PAPER.setting(f"{family}_{L}_{k}", *claims, of=family, depth=L, k=k)

# The "Wide DenseNet" rows of the authors' release: depth 40 and these growth rates.
for k, printed in {36: "1.5M", 48: "2.7M", 60: "4.3M"}.items():
    PAPER.setting(f"densenet_bc_40_{k}", params(printed, "official README"), of="densenet_bc", depth=40, k=k)

# Table 1, with k = 32, and DenseNet-161 of the release, with k = 48.
TABLE_1: dict[int, tuple[Claim, ...]] = {
    121: (depth("121", "Table 1"),),
    161: (depth("161", "official README"),),
    169: (depth("169", "Table 1"),),
    201: (params("20M", "Sec. 4.4"), depth("201", "Table 1")),
    264: (
        depth(
            "264",
            "Table 1",
            ours="265",
            why="its blocks 6, 12, 64, 48 have 2 x 130 convolutions; with stem, 3 transitions and classifier that is "
            "265, by the rule that gives the names of 121, 161, 169 and 201",
        ),
    ),
}
for L, claims in TABLE_1.items():
    growth_rate: dict[str, Any] = {"k": 48} if L == 161 else {}
    maps = sizes("112-56-28-14-7", "Table 1")
    PAPER.setting(f"densenet{L}", *claims, maps, of="densenet_imagenet", depth=L, **growth_rate)

TECH_REPORT.prints("densenet264", params("73M", "abstract", options={"k": 48}))
TECH_REPORT.prints(
    "densenet201",
    flops("80B", "Sec. 1", ours="8.6B", why="ten times too large: at two operations a multiply-add it is 8.6 billion"),
)

# The competitors in Table 2, and the comparison of Sec. 4.4.
ROW_OF_1001 = "taken over from Wide ResNet's Table 5: the size of pre-activation ResNet-1001; this net has 19.4M"
OTHERS: dict[str, tuple[Claim, ...]] = {
    "fractalnet20": (
        params("38.6M", "Table 2", ours="33.7M", why="quoted from FractalNet; see there"),
        depth("21", "Table 2"),
    ),
    "resnet110": (params("1.7M", "Table 2"),),
    "stochastic_depth_110": (params("1.7M", "Table 2"),),
    "stochastic_depth_1202": (params("10.2M", "Table 2", ours="19.4M", why=ROW_OF_1001),),
    "wide_resnet_16_8": (params("11.0M", "Table 2"),),
    "wide_resnet_28_10": (params("36.5M", "Table 2"),),
    "wide_resnet_16_4": (params("2.7M", "Table 2"),),
    "preact_resnet164": (params("1.7M", "Table 2"),),
    "preact_resnet1001": (params("10.2M", "Table 2", counting="without batch norm"),),
    "resnet101": (params("more than 40M", "Sec. 4.4"), ratio("twice", "Sec. 4.4", of="macs", to="resnet50")),
}
for name, claims in OTHERS.items():
    PAPER.prints(name, *claims)

PAPER.results(
    "Table 2",
    CIFAR_AND_SVHN,
    "single crop",
    {
        "densenet": (7.00, 5.24, 27.55, 24.42, 1.79),
        "densenet_100_12": (5.77, 4.10, 23.79, 20.20, 1.67),
        "densenet_100_24": (5.83, 3.74, 23.42, 19.25, 1.59),
        "densenet_bc": (5.92, 4.51, 24.15, 22.27, 1.76),
        "densenet_bc_250_24": (5.19, 3.62, 19.64, 17.60, 1.74),
        "densenet_bc_190_40": (None, 3.46, None, 17.18, None),
    },
)
PAPER.results(
    "the authors' release",
    CIFAR_AUGMENTED,
    "single crop",
    {"densenet_bc_40_36": (4.58, 22.30), "densenet_bc_40_48": (3.99, 20.29), "densenet_bc_40_60": (4.01, 19.99)},
)
PAPER.results(
    "Table 3",
    TOP_1_AND_5,
    "single crop",
    {
        "densenet121": (25.02, 7.71),
        "densenet169": (23.80, 6.85),
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
        "densenet264": (20.80, 5.29),
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
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=CIFAR_AUGMENTATION,
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
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=FB_RESNET_TORCH_AUGMENTATION,
    paper_result="25.02% top-1, 7.71% top-5 (densenet121, one crop)",
)

PAPER.not_countable("parameters and FLOPs against error", "Fig. 3", "a plot without printed numbers")
