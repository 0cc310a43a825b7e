"""Wide ResNet: the rows of Tables 2 to 8, what they quote of other networks, the errors, and how it was trained."""

from archzoo.claims import Claim, depth, params, ratio, sizes
from archzoo.paper import CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    FB_RESNET_TORCH_AUGMENTATION,
    NESTEROV_SGD,
    MultiStep,
    RandomCrop,
    RandomHorizontalFlip,
    StepDecay,
)

PAPER = Paper(
    "Wide Residual Networks",
    "S. Zagoruyko, N. Komodakis",
    2016,
    "https://arxiv.org/abs/1605.07146",
    models="archzoo.models.wide_resnet",
)

# Table 7: parameters of ResNet-18 and 34 for ImageNet at these widths.
TABLE_7 = {
    18: {1.0: "11.7M", 1.5: "25.9M", 2.0: "45.6M", 3.0: "101.8M"},
    34: {1.0: "21.8M", 1.5: "48.6M", 2.0: "86.0M"},
}

# Tables 2 to 5, and Sec. 3: n, k and the block of each WRN-n-k, and its parameters by where they are printed.
ROWS: tuple[tuple[int, int, str, dict[str, str]], ...] = (
    (40, 2, "B(1,3,1)", {"Table 2": "1.4M"}),
    (40, 2, "B(3,1)", {"Table 2": "1.2M"}),
    (40, 2, "B(1,3)", {"Table 2": "1.3M"}),
    (40, 2, "B(3,1,1)", {"Table 2": "1.3M"}),
    (28, 2, "B(3,3)", {"Table 2": "1.5M"}),
    (22, 2, "B(3,1,3)", {"Table 2": "1.1M"}),
    (40, 2, "B(3)", {"Table 3": "2.2M"}),
    (40, 2, "B(3,3)", {"Table 3": "2.2M", "Table 4": "2.2M"}),
    (40, 2, "B(3,3,3)", {"Table 3": "2.2M"}),
    (40, 2, "B(3,3,3,3)", {"Table 3": "2.2M"}),
    (40, 1, "B(3,3)", {"Table 4": "0.6M"}),
    (40, 4, "B(3,3)", {"Table 4": "8.9M", "Table 5": "8.9M"}),
    (40, 8, "B(3,3)", {"Table 4": "35.7M"}),
    (28, 10, "B(3,3)", {"Table 4": "36.5M", "Table 5": "36.5M"}),
    (28, 12, "B(3,3)", {"Table 4": "52.5M"}),
    (22, 8, "B(3,3)", {"Table 4": "17.2M"}),
    (22, 10, "B(3,3)", {"Table 4": "26.8M"}),
    (16, 8, "B(3,3)", {"Table 4": "11.0M", "Table 5": "11.0M"}),
    (16, 10, "B(3,3)", {"Table 4": "17.1M"}),
    (16, 4, "B(3,3)", {}),
    (52, 1, "B(3,3)", {}),
    (40, 10, "B(3,3)", {"Sec. 3": "56M"}),
)


def times_1001(printed: str) -> Claim:
    """How many times the parameters of the pre-activation ResNet-1001 a network has (Sec. 3)."""
    return ratio(printed, "Sec. 3", of="params", to="preact_resnet1001", counting="without batch norm")


COMPARED = {"28_10": (times_1001("3.6x more"),), "40_10": (times_1001("5x more"),)}


def row_name(n: int, k: int, block: str) -> str:
    """Name a row: "28_10" is WRN-28-10, which means B(3,3); other blocks stand in the name, as in "40_2_b131"."""
    kernels = "".join(filter(str.isdigit, block))
    return f"{n}_{k}" if block == "B(3,3)" else f"{n}_{k}_b{kernels}"


PAPER.network("wide_resnet", input_size=(3, 32, 32), aliases=("wrn",))
for n, widths in TABLE_7.items():
    PAPER.network(
        f"wide_resnet{n}",
        depth(str(n), "Table 7"),
        *(params(printed, "Table 7", options={"width": width}) for width, printed in widths.items()),
        input_size=(3, 224, 224),
        aliases=(f"wrn_{n}",),
    )
PAPER.network(
    "wide_resnet50_2",
    depth("50", "Table 8"),
    params("68.9M", "Table 8"),
    input_size=(3, 224, 224),
    aliases=("wrn_50_2", "wrn_50_2_bottleneck"),
)
for n, k, block, row in ROWS:
    name = row_name(n, k, block)
    PAPER.setting(
        f"wide_resnet_{name}",
        *(params(printed, where) for where, printed in row.items()),
        *COMPARED.get(name, ()),
        sizes("32-16-8", "Table 1"),
        of="wide_resnet",
        aliases=(f"wrn_{name}", f"wrn_{name}_b33") if block == "B(3,3)" else (f"wrn_{name}",),
        depth=n,
        k=k,
        block=block,
    )

# Tables 5 and 8 about other papers' networks.
OF_1001 = "the size of the pre-activation ResNet-1001; the ResNet paper prints 19.4M for this net, and so do we count"
OTHERS = {
    "resnet110": params("1.7M", "Table 5"),
    "resnet1202": params("10.2M", "Table 5", ours="19.4M", why=OF_1001),
    "resnet50": params("25.6M", "Table 8"),
    "resnet101": params("44.5M", "Table 8"),
    "resnet152": params("60.2M", "Table 8"),
    "stochastic_depth_110": params("1.7M", "Table 5"),
    "stochastic_depth_1202": params("10.2M", "Table 5", ours="19.4M", why=OF_1001),
    "preact_resnet110": params("1.7M", "Table 5"),
    "preact_resnet164": params("1.7M", "Table 5"),
    "preact_resnet1001": params("10.2M", "Table 5", counting="without batch norm"),
    "preact_resnet200": params("64.7M", "Table 8"),
}
for name, claim in OTHERS.items():
    PAPER.prints(name, claim)

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
        "wide_resnet_28_10": (4.17, 20.50),
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
    {"wide_resnet_40_4": (4.53, 21.18), "wide_resnet_16_8": (4.27, 20.43), "wide_resnet_28_10": (4.00, 19.25)},
)
PAPER.results(
    "Table 6",
    (*CIFAR_AUGMENTED, "svhn"),
    "single crop",
    {"wide_resnet_16_4": (5.02, 24.03, 1.85), "wide_resnet_52_1": (6.43, 29.89, 2.08)},
)
PAPER.results(
    "Table 6",
    (*CIFAR_AUGMENTED, "svhn"),
    "single crop",
    {
        "wide_resnet_16_4": (5.24, 23.91, 1.64),
        "wide_resnet_28_10": (3.89, 18.85, None),
        "wide_resnet_52_1": (6.28, 29.78, 1.70),
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
    optimizer=NESTEROV_SGD,
    weight_decay=0.0005,
    augmentation=(RandomCrop(padding=4, padding_mode="reflect"), RandomHorizontalFlip()),
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
    augmentation=FB_RESNET_TORCH_AUGMENTATION,
    paper_result="21.9% top-1, 6.03% top-5 (wide_resnet50_2)",
    unspecified=("all values: the paper's framework is fb.resnet.torch, whose defaults these are",),
)

PAPER.not_countable("59.9 to 85.8 s an epoch", "Table 2", "clock times of one graphics card")
PAPER.not_countable("8x faster, WRN-40-4 than ResNet-1001", "Sec. 3", "clock times of one graphics card: 68 and 512 ms")
PAPER.not_countable(
    "1.6x faster, WRN-28-10 than ResNet-1001", "Fig. 4", "clock times of one graphics card: 312 and 512 ms"
)
PAPER.not_countable("49, 82, 115, 93 and 154 ms a batch", "Table 8", "clock times of one graphics card")
PAPER.not_countable("errors on CIFAR, SVHN, ImageNet and COCO", "Tables 2 to 9", "what a trained net reaches")
