"""Wide ResNet: the rows of Tables 2 to 9, what they quote of other networks, the errors, and how it was trained.

The n of WRN-n-k counts convolutions, with the projections of the three groups and without the linear layer.
"""

from typing import Any

from archzoo.claims import Claim, depth, megabytes, params, ratio, sizes
from archzoo.paper import CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    FB_RESNET_TORCH_AUGMENTATION,
    NESTEROV_SGD,
    MultiStep,
    RandomCrop,
    RandomHorizontalFlip,
    Rescale,
    StepDecay,
    ZCAWhitening,
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

# Tables 2 to 5, and Sec. 3: n, k and the block of each WRN-n-k, and its parameters by where they are printed. Two have
# their n in Table 6 alone.
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


def shallower_than_1001(printed: str, where: str, ours: str, why: str) -> Claim:
    """How many times fewer layers than the pre-activation ResNet-1001 a network has."""
    return ratio(printed, where, of="depth", to="preact_resnet1001", ours=ours, why=why)


COMPARED = {
    "28_10": (
        times_1001("3.6x more"),
        shallower_than_1001("36x fewer", "Sec. 3", "38.5x fewer", "1001 by the paper's 28; this count of WRN-28 is 26"),
    ),
    "40_10": (times_1001("5x more"),),
    "16_8": (
        shallower_than_1001(
            "50x fewer",
            "Sec. 1",
            "71.5x fewer",
            "a round number: 1001 layers by the 16 of the next sentence is 63, and this count of WRN-16 is 14",
        ),
    ),
    "52_1": (depth("50", "Sec. 3"),),
}


def convolutions(n: int, block: str, where: str) -> Claim:
    """Depth as the paper counts it, and ours: the longest path has the linear layer, and no projection."""
    kernels = block[2:-1].split(",")
    counted = 2 if "1" in kernels else len(kernels)
    why = "n counts the three projections, which are beside the longest path, and not the linear layer (Sec. 2.3)"
    if len(kernels) != counted:
        why += "; a block of three convolutions with a 1x1 counts as two layers, as its parameters in Table 2 show"
    return depth(str(n), where, ours=str((n - 4) // counted * len(kernels) + 2), why=why)


def row_name(n: int, k: int, block: str) -> str:
    """Name a row: "28_10" is WRN-28-10, which means B(3,3); other blocks stand in the name, as in "40_2_b131"."""
    kernels = "".join(filter(str.isdigit, block))
    return f"{n}_{k}" if block == "B(3,3)" else f"{n}_{k}_b{kernels}"


PAPER.network("wide_resnet", input_size=(3, 32, 32), aliases=("wrn",))
HALF_OF_34 = ratio("2x fewer", "Table 7", of="depth", to="wide_resnet34")
for n, widths in TABLE_7.items():
    PAPER.network(
        f"wide_resnet{n}",
        depth(str(n), "Table 7"),
        *((HALF_OF_34,) if n == 18 else ()),
        *(params(printed, "Table 7", options={"width": width}) for width, printed in widths.items()),
        input_size=(3, 224, 224),
        aliases=(f"wrn_{n}",),
    )
PAPER.network(
    "wide_resnet50_2",
    depth("50", "Table 8"),
    params("68.9M", "Table 8"),
    ratio("3x fewer", "Sec. 3", of="depth", to="resnet152"),
    megabytes("263MB", "official README", counting="MB = 2^20"),
    input_size=(3, 224, 224),
    aliases=("wrn_50_2", "wrn_50_2_bottleneck"),
)
for n, k, block, row in ROWS:
    name = row_name(n, k, block)
    PAPER.setting(
        f"wide_resnet_{name}",
        *(params(printed, where) for where, printed in row.items()),
        convolutions(n, block, next(iter(row), "Table 6")),
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
    "resnet110": (110, params("1.7M", "Table 5")),
    "resnet1202": (1202, params("10.2M", "Table 5", ours="19.4M", why=OF_1001)),
    "resnet50": (50, params("25.6M", "Table 8")),
    "resnet101": (101, params("44.5M", "Table 8")),
    "resnet152": (152, params("60.2M", "Table 8")),
    "stochastic_depth_110": (110, params("1.7M", "Table 5")),
    "stochastic_depth_1202": (1202, params("10.2M", "Table 5", ours="19.4M", why=OF_1001)),
    "preact_resnet110": (110, params("1.7M", "Table 5")),
    "preact_resnet164": (164, params("1.7M", "Table 5")),
    "preact_resnet1001": (1001, params("10.2M", "Table 5", counting="without batch norm")),
    "preact_resnet200": (200, params("64.7M", "Table 8")),
}
for name, (layers, claim) in OTHERS.items():
    PAPER.prints(name, depth(str(layers), claim.where), claim)

# Where errors are printed, on what data, with which options of the networks, and the rows by name.
RESULTS: tuple[tuple[str, tuple[str, ...], dict[str, Any], dict[str, tuple[float | None, ...]]], ...] = (
    (
        "Table 2, ZCA whitening",
        ("cifar10+",),
        {},
        {
            "_40_2_b131": (6.06,),
            "_40_2_b31": (5.78,),
            "_40_2_b13": (6.42,),
            "_40_2_b311": (5.86,),
            "_28_2": (5.73,),
            "_22_2_b313": (5.78,),
        },
    ),
    (
        "Table 3, ZCA whitening",
        ("cifar10+",),
        {},
        {"_40_2_b3": (6.69,), "_40_2": (5.43,), "_40_2_b333": (5.65,), "_40_2_b3333": (5.93,)},
    ),
    (
        "Table 4, ZCA whitening",
        CIFAR_AUGMENTED,
        {},
        {
            "_40_1": (6.85, 30.89),
            "_40_2": (5.33, 26.04),
            "_40_4": (4.97, 22.89),
            "_40_8": (4.66, None),
            "_28_10": (4.17, 20.50),
            "_28_12": (4.33, 20.43),
            "_22_8": (4.38, 21.22),
            "_22_10": (4.44, 20.75),
            "_16_8": (4.81, 22.07),
            "_16_10": (4.56, 21.59),
        },
    ),
    ("Table 5", CIFAR_AUGMENTED, {}, {"_40_4": (4.53, 21.18), "_16_8": (4.27, 20.43), "_28_10": (4.00, 19.25)}),
    ("Table 6", CIFAR_AUGMENTED, {}, {"_16_4": (5.02, 24.03), "_28_10": (4.00, 19.25), "_52_1": (6.43, 29.89)}),
    (
        "Table 6",
        CIFAR_AUGMENTED,
        {"drop": 0.3},
        {"_16_4": (5.24, 23.91), "_28_10": (3.89, 18.85), "_52_1": (6.28, 29.78)},
    ),
    ("Table 6", ("svhn",), {}, {"_16_4": (1.85,), "_52_1": (2.08,)}),
    ("Table 6", ("svhn",), {"drop": 0.4}, {"_16_4": (1.64,), "_52_1": (1.70,)}),
    ("Sec. 3", ("svhn",), {}, {"_16_8": (1.81,)}),
    ("Table 9", ("svhn",), {"drop": 0.4}, {"_16_8": (1.54,)}),
    ("Table 9", CIFAR_AUGMENTED, {"drop": 0.3}, {"_40_10": (3.8, 18.3)}),
    ("Table 7", TOP_1_AND_5, {}, {"18": (30.4, 10.93), "34": (26.77, 8.67)}),
    ("Table 7", TOP_1_AND_5, {"width": 1.5}, {"18": (27.06, 9.0), "34": (24.5, 7.58)}),
    ("Table 7", TOP_1_AND_5, {"width": 2.0}, {"18": (25.58, 8.06), "34": (23.39, 7.00)}),
    ("Table 7", TOP_1_AND_5, {"width": 3.0}, {"18": (24.06, 7.33)}),
    ("Table 8", TOP_1_AND_5, {}, {"50_2": (21.9, 6.03)}),
)
for where, columns, options, rows in RESULTS:
    named = {f"wide_resnet{name}": row for name, row in rows.items()}
    PAPER.results(where, columns, "single crop", named, **options)

SHARED: dict[str, Any] = {
    "networks": ("wide_resnet", "wide_resnet_*"),
    "source": "Sec. 3",
    "batch_size": 128,
    "optimizer": NESTEROV_SGD,
    "weight_decay": 0.0005,
}
ON_CIFAR: dict[str, Any] = {
    "data": "cifar10",
    "lr": 0.1,
    "epochs": 200,
    "schedule": MultiStep((60, 120, 160), gamma=0.2),
    "augmentation": (RandomCrop(padding=4, padding_mode="reflect"), RandomHorizontalFlip()),
}
PAPER.recipe(
    "wide_resnet_cifar",
    **SHARED,
    **ON_CIFAR,
    paper_result="4.00% (28-10), 3.89% with drop=0.3 on CIFAR-10, the median of 5 runs",
)
PAPER.recipe(
    "wide_resnet_cifar_zca",
    **SHARED,
    **ON_CIFAR,
    preprocessing=ZCAWhitening(),
    paper_result="4.17% (28-10) on CIFAR-10 (Table 4)",
)
PAPER.recipe(
    "wide_resnet_svhn",
    **SHARED,
    data="svhn",
    lr=0.01,
    epochs=160,
    schedule=MultiStep((80, 120)),
    preprocessing=Rescale(),
    paper_result="1.85% (16-4), 1.64% (16-4) and 1.54% (16-8) with drop=0.4 on SVHN",
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
PAPER.not_countable(
    "5.79% top-5 error, WRN-50-2-bottleneck",
    "Table 9",
    "a result of training; Table 8 and the release print 6.03%, and 5.79% for the pre-activation ResNet-200",
)
PAPER.not_countable("errors on CIFAR, SVHN, ImageNet and COCO", "Tables 2 to 9", "what a trained net reaches")
