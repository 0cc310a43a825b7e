"""Inception-v2 and -v3: Tables 1 to 4, totals in the text, comments of the authors' code, errors, and the training.

"Operations" are multiply-adds. The networks of Table 3 are variations, whose widths stand in a file that was never
published; the code was released as its last row. What the paper prints of earlier networks stands here too.
"""

from typing import Any

from archzoo.claims import Claim, depth, macs, params, ratio, size
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
    "Rethinking the Inception Architecture for Computer Vision",
    "C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna",
    2015,
    "https://arxiv.org/abs/1512.00567",
    models="archzoo.models.inception_v3",
)

SLIM = "inception_v3.py of TF-slim, comments"
README = "README of TF-slim"
TORCHVISION = "torchvision, Inception_V3_Weights"
SIZE = (3, 299, 299)

# Table 1: the size that each row reads, by the part before it.
TABLE_1 = {
    "conv_1a": "149x149x32",
    "conv_2a": "147x147x32",
    "conv_2b": "147x147x64",
    "pool_3a": "73x73x64",
    "conv_3b": "71x71x80",
    "conv_4a": "35x35x192",
    "conv_5a": "35x35x288",
    "mixed_6a": "17x17x768",
    "mixed_7a": "8x8x1280",
    "mixed_7c": "8x8x2048",
}
# Comments of the code: the size of each part.
RELEASED = {
    **dict(list(TABLE_1.items())[:4]),
    "conv_3b": "73x73x80",
    "conv_4a": "71x71x192",
    "pool_5a": "35x35x192",
    "mixed_5b": "35x35x256",
    "mixed_5c": "35x35x288",
    "mixed_5d": "35x35x288",
    **{f"mixed_6{letter}": "17x17x768" for letter in "abcde"},
    "mixed_7a": "8x8x1280",
    "mixed_7b": "8x8x2048",
    "mixed_7c": "8x8x2048",
}


def sizes_of(parts: dict[str, str], where: str) -> list[Claim]:
    """The size of each part of the features."""
    return [size(sides, where, at=f"features.{part}") for part, sides in parts.items()]


IN_PAIRS = (
    "a pair of 1xn and nx1 is counted as one layer, and the classifier is not: 6 layers, and 3 in each of the ten "
    "modules and the two reductions"
)
UNPUBLISHED = "the file with the widths of its modules was never published; with those of the code it is 6.4 billion"
SEARCH = (
    "no reading gives 4.8: 5.71 in the released code and 5.47 without products with padding, 6.35 in Table 1 with the "
    "widths of the code and 5.77 where every module of 17x17 has 128 maps, and 4.62 or 4.98 for images of 279 or 283 "
    "pixels"
)
PAPER.network(
    "inception_v2",
    *sizes_of(TABLE_1, "Table 1"),
    size("1x1x2048", "Table 1", at="classifier.pool"),
    depth("42", "Sec. 6", ours="54", why=IN_PAIRS),
    ratio("about 2.5x", "Sec. 6", of="macs", to="googlenet", ours="4.0x", why=f"3.8 / 1.5 of Table 3; {UNPUBLISHED}"),
    input_size=SIZE,
)
PAPER.network(
    "inception_v3",
    params("less than 25 million", "abstract"),
    macs("5 billion", "abstract", ours="6 billion", why="cut off, not rounded: 5.71 billion in the released code"),
    macs("4.8B", "Table 3", ours="5.7B", why=SEARCH),
    ratio(
        "2.5x", "Sec. 11", of="macs", to="bn_inception", ours="2.9x", why="5 billion / 2.0 billion as they are printed"
    ),
    params("27,161,264", TORCHVISION, options={"auxiliary": True}),
    macs("5.713G", TORCHVISION),
    input_size=SIZE,
)
PAPER.network("inception_v3_slim", *sizes_of(RELEASED, SLIM), input_size=SIZE)

SEPARABLE = "the sum of Table 1's ops, 1,502M, which has 34M for the first layer; its 7x7 convolution takes 118M"
PAPER.prints(
    "googlenet",
    params(
        "5 million",
        "Sec. 1",
        ours="7 million",
        why="Table 1 of GoogLeNet adds up to 7.0M, or 6.0M without the linear layer",
    ),
    macs("1.5B", "Table 3", ours="1.58B", why=SEPARABLE),
)
PAPER.prints(
    "bn_inception",
    macs(
        "2.0B",
        "Table 3",
        ours="1.9B",
        why="1.949 billion; 2.03 billion with a 7x7 convolution of all channels in the place of the separable one",
    ),
)
PAPER.prints(
    "alexnet",
    params("60 million", "Sec. 1", ours="61 million", why="cut off, not rounded: 60,965,224"),
    ratio(
        "12x",
        "Sec. 1",
        of="params",
        to="googlenet",
        ours="8.7x",
        why="60 million to 5 million, and GoogLeNet has 7.0 million",
    ),
)
PAPER.prints(
    "vgg_d",
    ratio(
        "about 3x more",
        "Sec. 1",
        of="params",
        to="alexnet",
        ours="2.3x more",
        why="138.4M to AlexNet's 61.0M; net E has 2.36 times as many",
    ),
)

CROP = "single crop"
NOTE = "on the 48,238 validation images that are not blacklisted: all 50,000 are 0.2% worse in top-1, 0.1% in top-5"
TABLE_3 = {
    "googlenet": (29.0, 9.2),
    "bn_inception": (25.2, 7.8),
    "inception_v2": (21.6, 5.8),
    "inception_v3": (21.2, 5.6),
}
for name, errors in TABLE_3.items():
    note = NOTE if name.startswith("inception") else ""
    PAPER.results("Table 3 of Inception-v3", TOP_1_AND_5, CROP, {name: errors}, note=note)
for crops, errors in {"12 crops": (19.47, 4.48), "144 crops": (18.77, 4.2)}.items():
    PAPER.results("Table 4", TOP_1_AND_5, crops, {"inception_v3": errors}, note=NOTE)
for side, accuracy in {299: 76.6, 151: 76.4, 79: 75.2}.items():
    top_1 = (round(100 - accuracy, 1),)
    crop = CROP if side == 299 else f"{CROP}, {side}x{side}"
    options: dict[str, Any] = {} if side == 299 else {"resolution": side}
    PAPER.results("Table 2", ("imagenet top-1",), crop, {"inception_v3": top_1}, confirmed=False, **options)
PAPER.results(README, TOP_1_AND_5, CROP, {"inception_v3_slim": (22.0, 6.1)}, digits=1)

COMMON: dict[str, Any] = {
    "networks": ("inception_v2", "inception_v3", "inception_v3_slim"),
    "data": "imagenet",
    "batch_size": 32,
    "epochs": 100,
    "schedule": StepDecay(2, gamma=0.94),
    "optimizer": SLIM_RMSPROP,
    "weight_decay": 0.00004,
    "decay_scope": "weights",
    "label_smoothing": 0.1,
    "grad_clip_norm": 2.0,
    "ema": 0.9999,
    "augmentation": SLIM_AUGMENTATION,
    "preprocessing": Rescale(-1.0, 1.0),
    "protocol": SingleCrop(299, resize=342),
}
PAPER.recipe(
    "inception_v3_imagenet",
    source="Sec. 7 and 8, with the option auxiliary of the network",
    lr=0.045,
    paper_result="21.2% top-1, 5.6% top-5, single crop",
    unspecified=(
        "workers: 50 of them, which do not wait for one another; here it is one",
        "momentum beside RMSProp: 0.9, that of the authors' code",
        "weight decay, weight of the auxiliary loss: those of the authors' code",
        "decay of the averaged weights: 0.9999, that of the authors' code",
        "norm whose threshold is 2.0: that of all gradients together",
        *SLIM_UNSPECIFIED,
    ),
    **COMMON,
)

KERNELS = "a quotient of kernel sizes; a test holds it"
PAPER.not_countable("2.78", "Sec. 3", KERNELS)
PAPER.not_countable("28%", "Sec. 3.1", KERNELS)
PAPER.not_countable("33%, 11%", "Sec. 3.2", KERNELS)
PAPER.not_countable(
    "by a quarter",
    "Sec. 5",
    "to a quarter: 2 (d/2)^2 k^2 operations for 2 d^2 k^2. A test holds it on a convolution before and after a pooling",
)
PAPER.not_countable("3 times more expensive", "Fig. 9", "than a convolution and a pooling in an order that is not said")
PAPER.not_countable("1x1x1000", "Table 1", "logits are no map; the number of classes is an option")
PAPER.not_countable("76.2%, 77.2%", "Fig. 2", "errors of two networks that are not described")
PAPER.not_countable("0.4%", "Fig. 8", "a difference of two errors")
PAPER.not_countable(
    "within 1%",
    "Sec. 9",
    "of the cost at 299 pixels: at 151 pixels the same, and at 79 pixels 6% less. A test holds both",
)
PAPER.not_countable("16 times cheaper", "Sec. 9", "a network that is not described")
PAPER.not_countable("26.8, 1.5", "Table 3", "BN-GoogLeNet, which is not described")
PAPER.not_countable(
    "3.8 and 23.4; 23.1 and 6.3; 22.8 and 6.1",
    "Table 3",
    "billion operations and errors of networks with a 7x7 first convolution, whose widths were never published",
)
PAPER.not_countable("7.89", "Table 4", "GoogLeNet's own result of 144 crops")
PAPER.not_countable("17.2, 3.58, 3.46; 17.3, 3.5", "Table 5 and abstract", "results of four networks together")
PAPER.not_countable(
    "six times cheaper, at least five times less",
    "Sec. 11",
    "than a network of He et al. (arXiv:1502.01852), which is not here",
)
PAPER.not_countable("25%, 14%", "Sec. 11", "quotients of errors")
PAPER.not_countable("21,802,784", "inception_v3_test.py of TF-slim", "parameters and statistics; a test holds them")
