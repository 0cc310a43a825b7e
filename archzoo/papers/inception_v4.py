"""Inception-v4 and Inception-ResNet: sizes of the figures and of the code, Table 1, errata, errors, and training.

Figures and tables are those on arXiv. The paper prints no number of parameters or operations.
"""

from typing import Any

from archzoo.claims import Claim, kernels, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    SLIM_AUGMENTATION,
    SLIM_RMSPROP,
    SLIM_UNSPECIFIED,
    Rescale,
    SingleCrop,
    StepDecay,
)

PAPER = Paper(
    "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
    "C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi",
    2016,
    "https://arxiv.org/abs/1602.07261",
    models="archzoo.models.inception_v4",
)

CODE = "comments of the released inception_resnet_v2.py"
SLIM = "README of TF-slim"
INPUT = (3, 299, 299)
FROM_MEMORY: dict[str, Any] = {"confirmed": False}

# What each part returns, by figure.
FIG_3 = {
    "features.conv1": "149x149x32",
    "features.conv2": "147x147x32",
    "features.conv3": "147x147x64",
    "features.mixed_3a": "73x73x160",
    "features.mixed_4a": "71x71x192",
    "features.mixed_5a": "35x35x384",
}
FIG_9 = {
    "features.inception_a": "35x35x384",
    "features.reduction_a": "17x17x1024",
    "features.inception_b": "17x17x1024",
    "features.reduction_b": "8x8x1536",
    "features.inception_c": "8x8x1536",
}
FIG_15 = {
    "features.conv6": "35x35x256",
    "features.inception_a": "35x35x256",
    "features.reduction_a": "17x17x896",
    "features.inception_b": "17x17x896",
    "features.reduction_b": "8x8x1792",
    "features.inception_c": "8x8x1792",
    "classifier.flatten": "1792",
}
RELEASED = {
    "features.conv1": "149x149x32",
    "features.conv2": "147x147x32",
    "features.conv3": "147x147x64",
    "features.pool1": "73x73x64",
    "features.conv4": "73x73x80",
    "features.conv5": "71x71x192",
    "features.pool2": "35x35x192",
    "features.mixed_5b": "35x35x320",
    "features.inception_b": "17x17x1088",
    "features.inception_c": "8x8x2080",
    "features.conv": "8x8x1536",
}
# Table 1: k, l, m and n of Reduction-A, and the convolutions of these maps.
TABLE_1_AT = ("double_3x3.conv1", "double_3x3.conv2", "double_3x3.conv3", "3x3.conv1")


def sizes_of(printed: dict[str, str], where: str, **options: Any) -> list[Claim]:
    """What each of these parts returns."""
    return [size(sides, where, at=at, **options) for at, sides in printed.items()]


def table_1(*printed: str) -> list[Claim]:
    """The maps of the convolutions of Reduction-A."""
    parts = zip(TABLE_1_AT, printed, strict=True)
    return [kernels(maps, "Table 1", at=f"features.reduction_a.{part}.conv") for part, maps in parts]


PAPER.network(
    "inception_v4",
    *sizes_of(FIG_3, "Fig. 3, and comments of the released inception_v4.py"),
    *sizes_of(FIG_9, "Fig. 9, and comments of the released inception_v4.py"),
    size("1536", "Fig. 9", at="classifier.flatten", **FROM_MEMORY),
    *table_1("192", "224", "256", "384"),
    input_size=INPUT,
)
PAPER.network(
    "inception_resnet_v1",
    *sizes_of(FIG_15, "Fig. 15", **FROM_MEMORY),
    *table_1("192", "192", "256", "384"),
    input_size=INPUT,
)
PAPER.network(
    "inception_resnet_v2",
    *table_1("256", "256", "384", "384"),
    kernels(
        "1154",
        "Fig. 17",
        at="features.inception_b.block1.layers.linear",
        ours="1152",
        why="a slip: with Table 1, the maps are 384 + 384 + 384, and 1154 cannot be added to them",
    ),
    kernels(
        "2048",
        "Fig. 19",
        at="features.inception_c.block1.layers.linear",
        ours="2144",
        why="a slip: Reduction-B returns 1152 + 384 + 288 + 320 maps, and 2048 cannot be added to them",
    ),
    input_size=INPUT,
)
PAPER.network(
    "inception_resnet_v2_released",
    *sizes_of(RELEASED, CODE),
    *table_1("256", "256", "384", "384"),
    input_size=INPUT,
)

SINGLE = "single crop"
NOTE = "on the 48,238 validation images that are not blacklisted"
PAPER.results(
    "Table 2",
    TOP_1_AND_5,
    SINGLE,
    {"inception_v4": (20.0, 5.0), "inception_resnet_v1": (21.3, 5.5), "inception_resnet_v2": (19.9, 4.9)},
    note=NOTE,
)
PAPER.results(
    "Table 3",
    TOP_1_AND_5,
    "12 crops",
    {"inception_v4": (18.7, 4.2), "inception_resnet_v1": (19.8, 4.6), "inception_resnet_v2": (18.7, 4.1)},
)
PAPER.results(
    "Table 4",
    TOP_1_AND_5,
    "144 crops",
    {"inception_v4": (17.7, 3.8), "inception_resnet_v1": (18.8, 4.3), "inception_resnet_v2": (17.8, 3.7)},
)
PAPER.results(
    "Table 2 of Inception-v4",
    TOP_1_AND_5,
    SINGLE,
    {"bn_inception": (25.2, 7.8), "inception_v3": (21.2, 5.6)},
    note=NOTE,
)
PAPER.results("Table 3 of Inception-v4", TOP_1_AND_5, "12 crops", {"inception_v3": (19.8, 4.6)})
PAPER.results("Table 4 of Inception-v4", TOP_1_AND_5, "144 crops", {"inception_v3": (18.9, 4.3)})
PAPER.results(
    "Table 3 of Inception-v4", TOP_1_AND_5, "ten crops", {"resnet152": (21.4, 5.7)}, note="as ResNet-151", **FROM_MEMORY
)
PAPER.results(
    "Table 4 of Inception-v4", TOP_1_AND_5, "dense, several scales", {"resnet152": (19.4, 4.5)}, note="as ResNet-151"
)
PAPER.results(
    SLIM,
    TOP_1_AND_5,
    SINGLE,
    {"inception_v4": (19.8, 4.8), "inception_resnet_v2_released": (19.6, 4.7)},
    **FROM_MEMORY,
)

PAPER.recipe(
    "inception_v4_imagenet",
    networks=("inception_v4", "inception_resnet_v1", "inception_resnet_v2", "inception_resnet_v2_released"),
    data="imagenet",
    source="Sec. 4, and its version of AAAI for the clipping of gradients",
    lr=0.045,
    batch_size=32,
    epochs=100,
    schedule=StepDecay(2, gamma=0.94),
    optimizer=SLIM_RMSPROP,
    weight_decay=0.00004,
    decay_scope="weights",
    label_smoothing=0.1,
    grad_clip_norm=2.0,
    ema=0.9999,
    augmentation=SLIM_AUGMENTATION,
    preprocessing=Rescale(-1.0, 1.0),
    protocol=SingleCrop(299, resize=342),
    paper_result="20.0% top-1 (Inception-v4), 21.3% (Inception-ResNet-v1), 19.9% (Inception-ResNet-v2), single crop",
    unspecified=(
        "workers: 20 of them, which do not wait for one another; here it is one",
        "batch, length, label smoothing and the bound of the gradients: those of Inception-v3",
        "momentum of RMSProp: the default of the code's train_image_classifier.py; decay and epsilon are printed",
        "weight decay: that of the code, which has it for the biases of Inception-ResNet-v2 too",
        "decay of the averaged weights: 0.9999",
        "auxiliary classifier: none; the released code trains with one, the option auxiliary",
        *SLIM_UNSPECIFIED,
    ),
)

PAPER.not_countable(
    "roughly the cost of Inception-v3",
    "Sec. 3.2",
    "no number: Inception-ResNet-v1 has 6.21G multiply-adds, and Inception-v3 5.71G",
)
PAPER.not_countable(
    "matches the raw cost of Inception-v4",
    "Sec. 3.2",
    "no number: Inception-ResNet-v2 as drawn has 24% fewer multiply-adds, and as released 7% more. A test holds both",
)
PAPER.not_countable(
    "a larger number of layers",
    "Sec. 3.2",
    "no number: Inception-v4 has 150, and Inception-ResNet-v2 as drawn 133, but as released 245. A test holds them",
)
PAPER.not_countable("0.1 to 0.3", "Sec. 3.3", "factors of the residuals, an option of the networks")
PAPER.not_countable("about 1700 images", "Sec. 5", "blacklisted validation images: 50,000 - 48,238")
PAPER.not_countable("17.3, 3.6, 16.4, 3.1, 3.08", "Table 5 and Sec. 5", "errors of four networks together")
