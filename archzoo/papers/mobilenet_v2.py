"""MobileNetV2: Tables 1 to 4, the table of the authors' code, errors of both, and both trainings.

Multiply-adds are in millions. The code's table cuts digits off, and its parameters are weights alone.
"""

from typing import Any

from archzoo.claims import Claim, macs, params, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    DEPTHWISE_WITHOUT_DECAY,
    SLIM_AUGMENTATION,
    SLIM_RMSPROP,
    SLIM_UNSPECIFIED,
    Rescale,
    SingleCrop,
    StepDecay,
)

PAPER = Paper(
    "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    "M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen",
    2018,
    "https://arxiv.org/abs/1801.04381",
    models="archzoo.models.mobilenet_v2",
)

README = "README of TF-slim's mobilenet"
SIDES = (224, 192, 160, 128, 96)
# The README: by width, multiply-adds in millions at these sides, and parameters.
README_MACS = {
    1.4: ("582",),
    1.3: ("509",),
    1.0: ("300", "221", "154", "99", "56"),
    0.75: ("209", "153", "107", "69", "39"),
    0.5: ("97", "71", "50", "32", "18"),
    0.35: ("59", "43", "30", "20", "11"),
}
README_PARAMS = {1.4: "6.06", 1.3: "5.34", 1.0: "3.47", 0.75: "2.61", 0.5: "1.95", 0.35: "1.66"}
# What rounds up, by width and side.
CUT_OFF = {
    (1.0, 224): "300.77",
    (0.75, 192): "153.94",
    (0.5, 192): "71.70",
    (0.5, 128): "32.58",
    (0.5, 96): "18.89",
    (0.35, 192): "43.90",
    (0.35, 160): "30.87",
    (0.35, 96): "11.93",
}
NAMES = {width: f"mobilenet_v2_x{str(width).replace('.', '_')}" for width in README_MACS}


def pixels(side: int) -> dict[str, Any]:
    """Images of this side; 224 is the default."""
    return {} if side == 224 else {"input_size": (3, side, side)}


def million(printed: str, where: str, width: float, side: int) -> Claim:
    """Multiply-adds in millions, whose digits may be cut off."""
    count = CUT_OFF.get((width, side), "")
    explained: dict[str, Any] = {}
    if count:
        explained = {"ours": f"{round(float(count))} million", "why": f"cut off, not rounded: {count}"}
    return macs(f"{printed} million", f"{where}, {side} pixels", **pixels(side), **explained)


def of_width(width: float) -> list[Claim]:
    """What the README prints of the networks of a width."""
    return [
        *(million(printed, README, width, side) for side, printed in zip(SIDES, README_MACS[width], strict=False)),
        params(f"{README_PARAMS[width]} million", README, counting="weights only"),
    ]


# Table 2: the input of each row, after the layer before it.
TABLE_2 = (
    *(("features.conv1", "112x112x32"), ("features.block1", "112x112x16"), ("features.block3", "56x56x24")),
    *(("features.block6", "28x28x32"), ("features.block10", "14x14x64"), ("features.block13", "14x14x96")),
    *(("features.block16", "7x7x160"), ("features.block17", "7x7x320"), ("features.conv2", "7x7x1280")),
    *(("classifier.pool", "1x1x1280"),),
)
# Table 3: the most maps at a resolution. Those of V2 are of the next rows of Table 2.
NEXT_ROW = "the maps of the row of Table 2 after that of this resolution"
SQUARE = "6.06 in weights, as the README prints, and 6.11 in all; 3.5 million times 1.4 squared is 6.9"
WIDEST = "582.2, as the README prints; no width of the last layer gives 585, and at 1.4 it is 1792 maps"
SMALLEST = "11.9 at 0.35 and 96 pixels; 10.3 if the last convolution were narrower too. The print has no unit"
MORE: dict[float, tuple[Claim, ...]] = {
    1.4: (
        macs("585 million", "Table 4 and Sec. 4", ours="582 million", why=WIDEST),
        params("6.9 million", "Table 4 and Sec. 4", ours="6.1 million", why=SQUARE),
    ),
    1.0: (
        *(size(printed, "Table 2", at=at) for at, printed in TABLE_2),
        million("300", "Table 4 and Sec. 4", 1.0, 224),
        params("3.4 million", "Table 4 and Sec. 4", ours="3.5 million", why="cut off, not rounded: 3.47 in weights"),
        size("56x56x32", "Table 3", at="features.block3", ours="56x56x24", why=NEXT_ROW),
        size("28x28x64", "Table 3", at="features.block6", ours="28x28x32", why=NEXT_ROW),
        size("14x14x160", "Table 3", at="features.block13", ours="14x14x96", why=NEXT_ROW),
        size("7x7x320", "Table 3", at="features.block17"),
        size("1x1x1280", "Table 3", at="classifier.pool"),
    ),
    0.35: (
        macs("7 million", "Sec. 4, 96 pixels", **pixels(96), ours="12 million", why=SMALLEST),
        params("1.7 million", "Sec. 4"),
    ),
}

PAPER.network("mobilenet_v2", input_size=(3, 224, 224))
for width, name in NAMES.items():
    PAPER.setting(name, *of_width(width), *MORE.get(width, ()), of="mobilenet_v2", width=width)

V1_AT = {
    "features.block1": "112x112x64",
    "features.block3": "56x56x128",
    "features.block5": "28x28x256",
    "features.block11": "14x14x512",
    "features.block13": "7x7x1024",
    "classifier.pool": "1x1x1024",
}
PAPER.prints(
    "mobilenet_v1",
    macs("575 million", "Table 4", ours="569 million", why="568.7, as its own paper prints"),
    params("4.2 million", "Table 4"),
    *(size(printed, "Table 3", at=at) for at, printed in V1_AT.items()),
)

# Top-1 and top-5 accuracies of the README, in percent.
ACCURACY = {
    1.4: ((75.0, 92.5),),
    1.3: ((74.4, 92.1),),
    1.0: ((71.8, 91.0), (70.7, 90.1), (68.8, 89.0), (65.3, 86.9), (60.3, 83.2)),
    0.75: ((69.8, 89.6), (68.7, 88.9), (66.4, 87.3), (63.2, 85.3), (58.8, 81.6)),
    0.5: ((65.4, 86.4), (63.9, 85.4), (61.0, 83.2), (57.7, 80.8), (51.2, 75.8)),
    0.35: ((60.3, 82.9), (58.2, 81.2), (55.7, 79.1), (50.8, 75.0), (45.5, 70.4)),
}
TABLE_4_ERRORS = {"mobilenet_v1": (29.4,), NAMES[1.0]: (28.0,), NAMES[1.4]: (25.3,)}
PAPER.results("Table 4", ("imagenet top-1",), "single crop", TABLE_4_ERRORS)
for width, rows in ACCURACY.items():
    for side, row in zip(SIDES, rows, strict=False):
        protocol = "single crop" if side == 224 else f"single crop, {side}x{side}"
        errors = tuple(round(100 - accuracy, 1) for accuracy in row)
        PAPER.results(README, TOP_1_AND_5, protocol, {NAMES[width]: errors})

EPSILON = "epsilon: the default of the code's train_image_classifier.py"
INCEPTION: dict[str, Any] = {
    "augmentation": SLIM_AUGMENTATION,
    "preprocessing": Rescale(-1.0, 1.0),
    "protocol": SingleCrop(224, resize=256),
}
PAPER.recipe(
    "mobilenet_v2_imagenet",
    networks=("mobilenet_v2*",),
    data="imagenet",
    source="Sec. 6.1",
    lr=0.045,
    batch_size=96,
    iterations=5_500_000,
    schedule=StepDecay(1, gamma=0.98),
    optimizer=SLIM_RMSPROP,
    weight_decay=0.00004,
    decay_scope="weights",
    groups=DEPTHWISE_WITHOUT_DECAY,
    **INCEPTION,
    paper_result="28.0% top-1 (1.0), 25.3% (1.4)",
    unspecified=(
        "workers: 16 in the paper, which do not wait for one another; here it is one",
        "length: that of one GPU in the README",
        "weight decay: in the code none of depthwise filters",
        EPSILON,
        *SLIM_UNSPECIFIED,
    ),
)
PAPER.recipe(
    "mobilenet_v2_slim",
    networks=("mobilenet_v2*",),
    data="imagenet",
    source="README of the released code, 8 GPUs",
    lr=0.36,
    batch_size=768,
    iterations=700_000,
    schedule=StepDecay(4_170, gamma=0.98, unit="iterations"),
    optimizer=SLIM_RMSPROP,
    weight_decay=0.00004,
    decay_scope="weights",
    groups=DEPTHWISE_WITHOUT_DECAY,
    label_smoothing=0.1,
    ema=0.9999,
    **INCEPTION,
    paper_result="28.0% top-1 (1.0), 28.2% of the released weights",
    unspecified=(EPSILON, *SLIM_UNSPECIFIED),
)

DETECTION = "a network for detection or segmentation, which is not here"
PAPER.not_countable("19 residual bottleneck layers", "Sec. 4", "Table 2 and the code have 17; a test holds them")
PAPER.not_countable("h w d t (d + k^2 + d')", "Sec. 3.3", "a formula; a test holds it for blocks of both strides")
PAPER.not_countable(
    "1600, 800, 400, 200, 199, 2",
    "Table 3",
    "kilobytes of maps of 16 bits, rounded; those of 7x7 have twice the 100 of 1024 maps. Their sizes are claims",
)
PAPER.not_countable("200, 100, 62, 32, 2", "Table 3", "kilobytes of the maps that the same column names")
PAPER.not_countable("600K", "Table 3", "the most maps of ShuffleNet (2x, g=3), of a fused unit")
PAPER.not_countable("564M, 5.3M", "Table 4", "NASNet-A, which is not here")
PAPER.not_countable("113, 75, 143, 183 ms", "Table 4", "speeds of one telephone")
PAPER.not_countable("14.8M, 1.25B, 2.1M, 0.35B", "Table 5", DETECTION)
PAPER.not_countable("4.3M, 0.8B, 20x, 10x", "Table 6 and Sec. 6.2", DETECTION)
PAPER.not_countable("2.11M, 2.75B", "Table 7", DETECTION)
