"""ShuffleNet: Tables 1 to 8 with cost by groups and width, the table of the authors' code, errors, and both trainings.

"FLOPs" are multiply-adds. Those of Table 1 leave the last layer out, those of Tables 5 to 8 have it. 140, 38 and 13 are
the budgets of a row of Table 2, and not counts of all its networks.
"""

from typing import Any

from archzoo.claims import Claim, depth, macs, params, ratio, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    IMAGENET_NORMALIZATION,
    Bytes,
    ColorJitter,
    LinearDecay,
    PCALighting,
    RandomHorizontalFlip,
    RandomResizedCrop,
    SingleCrop,
)

PAPER = Paper(
    "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    "X. Zhang, X. Zhou, M. Lin, J. Sun",
    2017,
    "https://arxiv.org/abs/1707.01083",
    models="archzoo.models.shufflenet_v1",
)

README = "README of the authors' code"
GROUPS = (1, 2, 3, 4, 8)
NAMES = {
    (groups, width): f"shufflenet_v1_g{groups}_x{str(width).replace('.', '_')}"
    for width in (0.25, 0.5, 1.0, 1.5, 2.0)
    for groups in (GROUPS if width <= 1 else (3, 8))
}
# Table 1: by groups, the maps of stages 2, 3 and 4, and multiply-adds without the last layer.
TABLE_1 = {
    1: ((144, 288, 576), "143M"),
    2: ((200, 400, 800), "140M"),
    3: ((240, 480, 960), "137M"),
    4: ((272, 544, 1088), "133M"),
    8: ((384, 768, 1536), "137M"),
}
# The README: by groups and width, multiply-adds and parameters.
README_COSTS = {
    (3, 2.0): ("524M", "5.4M"),
    (8, 2.0): ("522M", "6.5M"),
    (3, 1.5): ("292M", "3.4M"),
    (8, 1.5): ("290M", "4.3M"),
    (3, 1.0): ("138M", "1.9M"),
    (8, 1.0): ("138M", "2.4M"),
    (3, 0.5): ("38M", "0.7M"),
    (8, 0.5): ("40M", "1.0M"),
}
BUDGET = "the budget of the row: {}M without the last layer, {}M with it"
STEM = ". The maps of the first layer are not printed: with 8 of them it is 38.4M and 38.9M"
# Table 2: what is not the printed budget, by width and groups, as it rounds, without the last layer and with it.
OTHER_BUDGETS: dict[float, dict[int, tuple[str, str, str]]] = {
    1.0: {
        1: ("143M", "142.5", "143.1"),
        3: ("137M", "136.5", "137.5"),
        4: ("133M", "133.3", "134.3"),
        8: ("137M", "136.8", "138.4"),
    },
    0.5: {
        2: ("40M", "40.5", "40.9"),
        3: ("37M", "37.1", "37.6"),
        4: ("40M", "40.1", "40.7"),
        8: ("40M", "39.7", "40.5"),
    },
    0.25: {2: ("15M", "15.2", "15.5"), 4: ("16M", "16.1", "16.4"), 8: ("12M", "12.0", "12.4")},
}
TABLE_2 = {1.0: "140M", 0.5: "38M", 0.25: "13M"}


def explained(ours: str, why: str) -> dict[str, Any]:
    """What a network counts in the place of what is printed."""
    return {"ours": ours, "why": why}


def budget(groups: int, width: float) -> Claim:
    """A cell of Table 2's column of complexity, which leaves the last layer out as Table 1 does."""
    ours, without, with_last = OTHER_BUDGETS[width].get(groups, ("", "", ""))
    why = BUDGET.format(without, with_last) + (STEM if (groups, width) == (4, 0.5) else "")
    return macs(TABLE_2[width], "Table 2", at="features", **(explained(ours, why) if ours else {}))


def of_table_1(groups: int) -> list[Claim]:
    """A column of Table 1."""
    maps, cost = TABLE_1[groups]
    sides = (28, 14, 7)
    return [
        size("112x112x24", "Table 1", at="features.conv1"),
        size("56x56x24", "Table 1", at="features.maxpool"),
        *(
            size(f"{side}x{side}x{count}", "Table 1", at=f"features.stage{stage}")
            for stage, (side, count) in enumerate(zip(sides, maps, strict=True), 2)
        ),
        size("1x1", "Table 1", at="classifier.pool"),
        size("1000", "Table 1", at="classifier.fc"),
        macs(cost, "Table 1", at="features"),
        depth("50", "Sec. 4.3"),
    ]


ROUNDED_UP = "137.5 with the last layer; 138 with 47,040 additions of the global pooling, which make 1.5x 293M"
MORE: dict[tuple[int, float], tuple[Claim, ...]] = {
    (3, 2.0): (macs("524M", "Tables 5, 6 and 8"),),
    (3, 1.5): (macs("292M", "Table 5"),),
    (3, 1.0): (macs("140M", "Table 8", **explained("137M", BUDGET.format("136.5", "137.5"))),),
    (8, 1.0): (macs("140M", "Tables 5 and 6", **explained("138M", BUDGET.format("136.8", "138.4"))),),
    (4, 0.5): (
        macs("38M", "Tables 5 and 6", **explained("41M", BUDGET.format("40.1", "40.7") + STEM)),
        size("7x7x576", "Sec. 4.2", at="features.stage4"),
    ),
    (1, 0.5): (size("7x7x288", "Sec. 4.2", at="features.stage4"),),
    (3, 0.5): (macs("38M", "Table 8"),),
}


def claims_of(groups: int, width: float) -> list[Claim]:
    """All that is printed of one network."""
    claims = of_table_1(groups) if width == 1 else []
    claims += [budget(groups, width)] if width in TABLE_2 else []
    claims += MORE.get((groups, width), ())
    if (groups, width) in README_COSTS:
        cost, count = README_COSTS[groups, width]
        rounded: dict[str, Any] = explained("137M", ROUNDED_UP) if (groups, width) == (3, 1.0) else {}
        claims += [macs(cost, README, **rounded), params(count, README)]
    return claims


PAPER.network("shufflenet_v1", input_size=(3, 224, 224), aliases=("shufflenet",))
for (groups, width), name in NAMES.items():
    PAPER.setting(name, *claims_of(groups, width), of="shufflenet_v1", width=width, g=groups)

MOBILENET = {1.0: "569", 0.75: "325", 0.5: "149", 0.25: "41"}
for width, printed in MOBILENET.items():
    PAPER.prints(f"mobilenet_v1_x{str(width).replace('.', '_')}", macs(f"{printed} million", "Table 5"))
PAPER.prints(
    "alexnet",
    macs("720M", "Table 6", **explained("724M", "printed to two digits")),
    ratio("18x", "text of Table 6", of="macs", to=NAMES[3, 0.5], **explained("19x", "720 / 38 is 18.9, cut off")),
)
PAPER.prints("vgg_d", macs("15300M", "Table 6", **explained("15.5G", "15,347M in the convolutions alone")))
PAPER.prints("googlenet", macs("1500M", "Table 6", **explained("1.58G", "the 1.5 billion of GoogLeNet's own Sec. 1")))
PAPER.prints("squeezenet1_0", macs("833M", "Table 6"))

# Tables 2 and 3: top-1 errors by width, with a shuffle for all groups, and without.
ERRORS = {
    1.0: (33.6, 32.7, 32.6, 32.8, 32.4),
    0.5: (45.1, 44.4, 43.2, 41.6, 42.3),
    0.25: (57.1, 56.8, 55.0, 54.2, 52.7),
}
WITHOUT_SHUFFLE = {1.0: (34.5, 37.6), 0.5: (45.7, 48.1), 0.25: (56.3, 56.5)}
TOP_1 = ("imagenet top-1",)
for width, errors in ERRORS.items():
    with_shuffle = {NAMES[groups, width]: (error,) for groups, error in zip(GROUPS, errors, strict=True)}
    without = {NAMES[g, width]: (error,) for g, error in zip((3, 8), WITHOUT_SHUFFLE[width], strict=True)}
    PAPER.results("Table 2", TOP_1, "single crop", with_shuffle)
    PAPER.results("Table 3", TOP_1, "single crop", without, shuffle="none")
PAPER.results("Table 5", TOP_1, "single crop", {NAMES[3, 2.0]: (26.3,), NAMES[3, 1.5]: (28.5,)})
README_ERRORS = {
    (3, 2.0): (25.9, 8.6),
    (8, 2.0): (27.1, 9.2),
    (3, 1.5): (28.4, 9.8),
    (8, 1.5): (29.0, 10.4),
    (3, 1.0): (32.2, 12.3),
    (8, 1.0): (32.0, 13.6),
    (3, 0.5): (42.7, 20.0),
    (8, 0.5): (41.2, 19.0),
}
released = {NAMES[key]: errors for key, errors in README_ERRORS.items()}
PAPER.results(README, TOP_1_AND_5, "single crop", released, shuffle="release")

SCHEDULE: dict[str, Any] = {
    "networks": ("shufflenet_v1*",),
    "data": "imagenet",
    "lr": 0.5,
    "batch_size": 1024,
    "iterations": 300_000,
    "schedule": LinearDecay(),
    "weight_decay": 0.00004,
}
PAPER.recipe(
    "shufflenet_v1_imagenet",
    source="Sec. 4, which refers to ResNeXt",
    augmentation=(
        RandomResizedCrop(scale=(0.25, 1.0), aspect="uniform", interpolation="torch7_bicubic"),
        ColorJitter(clamp=False),
        PCALighting(),
        RandomHorizontalFlip(),
    ),
    preprocessing=IMAGENET_NORMALIZATION,
    protocol=SingleCrop(224, resize=256),
    paper_result="32.6% top-1 (1x, g = 3), 26.3% (2x, g = 3)",
    unspecified=("scale of crops: the paper's is slightly less aggressive than ResNeXt's 0.08; here it is from 0.25",),
    **SCHEDULE,
)
# megvii-model/ShuffleNet-Series, ShuffleNetV1/train.py and utils.py.
PAPER.recipe(
    "shufflenet_v1_release",
    source="the released code, ShuffleNetV1/train.py",
    decay_scope="weights",
    label_smoothing=0.1,
    batch_norm_images=1_280_000,
    augmentation=(RandomResizedCrop(), ColorJitter(), RandomHorizontalFlip()),
    preprocessing=Bytes("BGR"),
    protocol=SingleCrop(224, resize=256, interpolation="opencv_bilinear"),
    paper_result="32.2% top-1 (1x, g = 3), 25.9% (2x, g = 3)",
    **SCHEDULE,
)

PAPER.not_countable("527", "Table 5", "2x with SE: where SE stands and its ratio are not printed; it gives 526 at 16")
PAPER.not_countable("40", "Table 5", "0.5x shallow: its widths are not printed; half of the units at 0.5x are 22M")
PAPER.not_countable("26 layers", "Sec. 4.3", "of the shallow network: stages of 2, 4 and 2 units, of unknown widths")
PAPER.not_countable("hw(2cm/g + 9m)", "Sec. 3.2", "a formula; a test holds it for a unit of stride 1")
PAPER.not_countable(
    "50.7, 37.3, 48.8, 63.7, 33.3, 46.0, 65.2",
    "Table 4",
    "errors of VGG, ResNet and ResNeXt units of these budgets, whose widths are not printed; Xception's are g = 1",
)
PAPER.not_countable("557", "Sec. 4.2", "PVANET, which is not here")
PAPER.not_countable("18.7, 25.0, 14.5, 19.8", "Table 7", "average precisions of detection")
PAPER.not_countable("15.2, 37.8, 108.8 ms", "Table 8", "speeds of one telephone")
