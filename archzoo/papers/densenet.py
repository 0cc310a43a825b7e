"""DenseNet: the rows of Tables 1 and 2 and of the release, the competitors they quote, errors, and training.

The technical report on memory stands here too: it prints numbers about the same networks.
"""

from typing import Any

from archzoo.claims import Claim, depth, flops, megabytes, params, ratio, sizes
from archzoo.paper import CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    CIFAR_AUGMENTATION,
    FB_RESNET_TORCH_AUGMENTATION,
    NESTEROV_SGD,
    MultiStep,
    MultiStepFraction,
    Rescale,
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


def file_size(printed: str, ours: str, **options: Any) -> Claim:
    """The size of a Torch model of the release, in MB of 2^20 bytes from DenseNet-264 on."""
    why = (
        "the file has the gradient of each parameter beside it, which doubles it, and batch-norm statistics: "
        "8 bytes a parameter are less than the printed size by 0.4 to 1.1%"
    )
    counting = "" if "." in printed else "MB = 2^20"
    return megabytes(printed, "official README", ours=ours, why=why, counting=counting, options=options)


# Table 1, with k = 32, and DenseNet-161 of the release, with k = 48.
TABLE_1: dict[int, tuple[Claim, ...]] = {
    121: (depth("121", "Table 1"), file_size("64.5MB", "31.9MB")),
    161: (depth("161", "official README"), file_size("230.8MB", "114.7MB")),
    169: (depth("169", "Table 1"), file_size("114.4MB", "56.6MB")),
    201: (params("20M", "Sec. 4.4"), depth("201", "Table 1"), file_size("161.8MB", "80.1MB")),
    264: (
        depth(
            "264",
            "Table 1",
            ours="265",
            why="its blocks 6, 12, 64, 48 have 2 x 130 convolutions; with stem, 3 transitions and classifier that is "
            "265, by the rule that gives the names of 121, 161, 169 and 201",
        ),
        file_size("256MB", "127MB"),
        file_size("557MB", "277MB", k=48),
    ),
}
for L, claims in TABLE_1.items():
    growth_rate: dict[str, Any] = {"k": 48} if L == 161 else {}
    maps = sizes("112-56-28-14-7", "Table 1")
    PAPER.setting(f"densenet{L}", *claims, maps, of="densenet_imagenet", depth=L, **growth_rate)

TEN_TIMES = "ten times too large, at two operations a multiply-add"
TECH_REPORT.prints("densenet264", params("73M", "abstract", options={"k": 48}))
TECH_REPORT.prints("densenet201", params("20M", "Sec. 1"), flops("80B", "Sec. 1", ours="8.6B", why=TEN_TIMES))
TECH_REPORT.prints(
    "resnet101",
    params("44M", "Sec. 1", ours="44.5M", why="cut off, not rounded: 44.549 million"),
    flops("155B", "Sec. 1", ours="15.1B", why=f"{TEN_TIMES}; with the stride in the 3x3 it would be 15.6 billion"),
)

# The competitors in Table 2, and the comparisons of Sec. 1, 4.3 and 4.4.
BY_ITS_RULE = "by Wide ResNet's rule, which counts three projections and not the linear layer; see there"
ROW_OF_1001 = "taken over from Wide ResNet's Table 5: the size of pre-activation ResNet-1001; this net has 19.4M"
OTHERS: dict[str, tuple[Claim, ...]] = {
    "fractalnet20": (
        params("38.6M", "Table 2", ours="33.7M", why="quoted from FractalNet; see there"),
        params("more than 30M", "Sec. 4.3"),
        depth("21", "Table 2"),
    ),
    "resnet110": (params("1.7M", "Table 2"), depth("110", "Table 2")),
    "stochastic_depth_110": (params("1.7M", "Table 2"), depth("110", "Table 2")),
    "stochastic_depth_1202": (
        params("10.2M", "Table 2", ours="19.4M", why=ROW_OF_1001),
        depth("1202", "Table 2"),
    ),
    "wide_resnet_16_8": (params("11.0M", "Table 2"), depth("16", "Table 2", ours="14", why=BY_ITS_RULE)),
    "wide_resnet_28_10": (
        params("36.5M", "Table 2"),
        params("more than 30M", "Sec. 4.3"),
        depth("28", "Table 2", ours="26", why=BY_ITS_RULE),
    ),
    "wide_resnet_16_4": (params("2.7M", "Table 2"), depth("16", "Table 2", ours="14", why=BY_ITS_RULE)),
    "preact_resnet164": (params("1.7M", "Table 2"), depth("164", "Table 2")),
    "preact_resnet1001": (
        params("10.2M", "Table 2", counting="without batch norm"),
        params("more than 10M", "Fig. 4"),
        depth("1001", "Table 2"),
    ),
    "lenet5": (
        depth("5", "Sec. 1", ours="7", why="without the two subsampling layers, which have weights in LeNet-5"),
    ),
    "vgg_e": (depth("19", "Sec. 1"),),
    "resnet101": (params("more than 40M", "Sec. 4.4"), ratio("twice", "Sec. 4.4", of="macs", to="resnet50")),
}
for name, claims in OTHERS.items():
    PAPER.prints(name, *claims)

PAPER.results(
    "Table 2",
    CIFAR_AUGMENTED,
    "single crop",
    {
        "densenet": (5.24, 24.42),
        "densenet_100_12": (4.10, 20.20),
        "densenet_100_24": (3.74, 19.25),
        "densenet_bc": (4.51, 22.27),
        "densenet_bc_250_24": (3.62, 17.60),
        "densenet_bc_190_40": (3.46, 17.18),
    },
)
# Without augmentation, with dropout (Sec. 4.2).
PAPER.results(
    "Table 2",
    ("cifar10", "cifar100", "svhn"),
    "single crop",
    {
        "densenet": (7.00, 27.55, 1.79),
        "densenet_100_12": (5.77, 23.79, 1.67),
        "densenet_100_24": (5.83, 23.42, 1.59),
        "densenet_bc": (5.92, 24.15, 1.76),
        "densenet_bc_250_24": (5.19, 19.64, 1.74),
    },
    drop=0.2,
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
TOP_1 = ("imagenet top-1",)
PAPER.results(
    "the authors' release",
    TOP_1,
    "single crop",
    {
        "densenet121": (25.0,),
        "densenet161": (22.2,),
        "densenet169": (23.6,),
        "densenet201": (22.5,),
        "densenet264": (22.1,),
    },
)
COSINE = "the authors' release, cosine learning rate"
PAPER.results(COSINE, TOP_1, "single crop", {"densenet264": (21.6,)})
PAPER.results(COSINE, TOP_1, "single crop", {"densenet264": (20.4,)}, k=48)
TECH_REPORT.results("abstract", TOP_1, "single crop", {"densenet264": (20.26,)}, k=48)

SHARED: dict[str, Any] = {
    "networks": ("densenet", "densenet_b", "densenet_c", "densenet_bc", "densenet_100_*", "densenet_bc_*"),
    "source": "Sec. 4.2",
    "lr": 0.1,
    "batch_size": 64,
    "schedule": MultiStepFraction((0.5, 0.75)),
    "optimizer": NESTEROV_SGD,
    "weight_decay": 0.0001,
}
PAPER.recipe(
    "densenet_cifar",
    **SHARED,
    data="cifar10",
    epochs=300,
    augmentation=CIFAR_AUGMENTATION,
    validation="5,000 of the 50,000; the last run is on all, and its last epoch is tested",
    paper_result="4.51% (densenet_bc, k=12), 3.46% (190, 40) on CIFAR-10 with augmentation",
)
PAPER.recipe(
    "densenet_svhn",
    **SHARED,
    data="svhn",
    epochs=40,
    preprocessing=Rescale(),
    validation="6,000 of the 604,388; the epoch of the lowest validation error is tested",
    select="best",
    paper_result="1.79% (densenet), 1.76% (densenet_bc), 1.59% (100, 24) on SVHN, all with drop=0.2",
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
PAPER.not_countable(
    "L(L+1)/2 connections of L layers", "abstract", "connections between layers; a test of this paper holds it"
)
PAPER.not_countable(
    "1/3 of the parameters of ResNets at the same accuracy", "Fig. 4", "read off a plot of trained networks"
)
PAPER.not_countable(
    "less than half the parameters and roughly half the FLOPs of ResNet at a similar accuracy",
    "official README",
    "read off Fig. 3, a plot of trained networks",
)
PAPER.not_countable(
    "4008MB, 5245MB, 5452MB and 6508MB in training", "official README", "memory of one graphics card and framework"
)
PAPER.not_countable(
    "5453M to 1655M in training, by memory mode; 8.3G of 12G for 190 layers",
    "official README",
    "memory of one graphics card and framework",
)
PAPER.not_countable("0.130 to 0.223 s an iteration", "official README", "clock times of one graphics card")
PAPER.not_countable("426MB, DenseNet-232 (k = 48)", "official README", "the file of a net whose blocks are not printed")
TECH_REPORT.not_countable(
    "14M parameters on a single GPU, up from 4M", "abstract", "what fits the memory of one graphics card"
)
TECH_REPORT.not_countable(
    "half as many parameters, half as many FLOPs as ResNet-101", "Sec. 1", "a round number of 20M to 44M, 80B to 155B"
)
