"""BN-Inception: Fig. 3 to 5, totals in the text, the comments of the authors' code, errors, and three trainings.

"Steps" are batches of 32 images. Errors are those of the printed accuracies.
"""

from typing import Any

from archzoo.claims import Claim, depth, difference, kernels, params, ratio, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    RandomHorizontalFlip,
    RandomResizedCrop,
    Rescale,
    SingleCrop,
    StepDecay,
    sgd,
)

PAPER = Paper(
    "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    "S. Ioffe, C. Szegedy",
    2015,
    "https://arxiv.org/abs/1502.03167",
    models="archzoo.models.bn_inception",
)

SLIM = "inception_v2.py of TF-slim, comments"
README = "README of TF-slim"
Explained = dict[str, Any]

# Fig. 5: the output size, the depth, and the maps of each convolution of a module in the order of CONVOLUTIONS. Those
# that a module lacks are printed as 0, or as "pass through".
FIG_5: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "conv1": ("112x112x64", "1", ()),
    "pool1": ("56x56x64", "0", ()),
    "conv2": ("56x56x192", "1", ()),
    "pool2": ("28x28x192", "0", ()),
    "inception_3a": ("28x28x256", "3", ("64", "64", "64", "64", "96", "32")),
    "inception_3b": ("28x28x320", "3", ("64", "64", "96", "64", "96", "64")),
    "inception_3c": ("28x28x576", "3", ("0", "128", "160", "64", "96", "0")),
    "inception_4a": ("14x14x576", "3", ("224", "64", "96", "96", "128", "128")),
    "inception_4b": ("14x14x576", "3", ("192", "96", "128", "96", "128", "128")),
    "inception_4c": ("14x14x576", "3", ("160", "128", "160", "128", "160", "128")),
    "inception_4d": ("14x14x576", "3", ("96", "128", "192", "160", "192", "128")),
    "inception_4e": ("14x14x1024", "3", ("0", "128", "192", "192", "256", "0")),
    "inception_5a": ("7x7x1024", "3", ("352", "192", "320", "160", "224", "128")),
    "inception_5b": ("7x7x1024", "3", ("352", "192", "320", "192", "224", "128")),
}
CONVOLUTIONS = ("1x1", "3x3.reduce", "3x3.conv", "double_3x3.reduce", "double_3x3.conv2", "pool.proj")
INPUT_GRID = "the figure prints the size that a module of stride 2 reads"
PROJECTION = (
    "the columns of the row add up to 608 maps; the authors' code projects to 96 maps in 4c and 4d, which makes 576, "
    "576 and 1024"
)
SIZES: dict[str, Explained] = {
    "inception_3c": {"ours": "14x14x576", "why": INPUT_GRID},
    "inception_4c": {"ours": "14x14x608", "why": PROJECTION},
    "inception_4d": {"ours": "14x14x608", "why": PROJECTION},
    "inception_4e": {"ours": "7x7x1056", "why": f"{INPUT_GRID}; and its pooled maps are the 608 of 4d"},
}


def row(part: str, sides: str, layers: str, maps: tuple[str, ...]) -> list[Claim]:
    """What Fig. 5 prints of a layer or module."""
    at = f"features.{part}"
    claims = [size(sides, "Fig. 5", at=at, **SIZES.get(part, {}))]
    if part == "conv1":
        why = "a separable convolution is counted once"
        claims.append(depth(layers, "Fig. 5", at=at, ours="2", why=why))
    elif part == "conv2":
        why = "the 1x1 convolution of its column #3x3 reduce is not counted; Table 1 of GoogLeNet prints 2"
        claims.append(depth(layers, "Fig. 5", at=f"features.conv2_reduce + {at}", ours="2", why=why))
        claims.append(kernels("64", "Fig. 5", at="features.conv2_reduce"))
    else:
        claims.append(depth(layers, "Fig. 5", at=at))
    branches = zip(CONVOLUTIONS, maps, strict=False)
    return [*claims, *(kernels(count, "Fig. 5", at=f"{at}.{conv}") for conv, count in branches if count != "0")]


NO_CONVENTION = (
    "11.3 million as Fig. 5 is tabulated, also with the biases or statistics of batch normalization, and with a 7x7 "
    "convolution of all channels; 11.2 million in the released code; 14.5 million with an auxiliary classifier of "
    "GoogLeNet. 13.6 is twice the 6.8 million that Table 1 of GoogLeNet adds up to"
)
TENTH_MODULE = (
    "nine of GoogLeNet's modules are one layer longer; the tenth module adds three layers, and the separable "
    "convolution one"
)
PAPER.network(
    "bn_inception",
    params("13.6x10^6", "Sec. 4.2", ours="11.3x10^6", why=NO_CONVENTION),
    *(claim for part, cells in FIG_5.items() for claim in row(part, *cells)),
    size("1x1x1024", "Fig. 5", at="classifier.pool"),
    depth("0", "Fig. 5", at="classifier.pool"),
    difference("9", "Appendix", of="depth", to="googlenet", ours="13", why=TENTH_MODULE),
    ratio("25% more", "Appendix", of="params", to="googlenet", ours="61% more", why="11.3 million to GoogLeNet's 7.0"),
    ratio(
        "about 30% more",
        "Appendix",
        of="macs",
        to="googlenet",
        ours="23% more",
        why="with a separable first convolution in GoogLeNet too, as its own Table 1 counts it, it is 30.0% more; with "
        "a 7x7 one of all channels in both, 28.4%",
    ),
    input_size=(3, 224, 224),
)
RELEASED = ("56x56x64", "56x56x192", "28x28x192", "28x28x256", "28x28x320", *("14x14x576",) * 5, *("7x7x1024",) * 3)
PARTS = ("conv2_reduce", *(part for part in FIG_5 if part not in ("conv1", "pool1")))
PAPER.network(
    "bn_inception_slim",
    size("112x112x64", SLIM, at="features.conv1"),
    size("56x56x64", SLIM, at="features.pool1"),
    *(size(sides, SLIM, at=f"features.{part}") for part, sides in zip(PARTS, RELEASED, strict=True)),
    input_size=(3, 224, 224),
)
PAPER.network("bn_inception_caffe", input_size=(3, 224, 224))

CROP = "single crop"
TOP_1 = ("imagenet top-1",)
PAPER.results("Fig. 4", TOP_1_AND_5, CROP, {"bn_inception": (25.2, 7.82)}, recipe="bn_inception_x30")
PAPER.results("Fig. 4", TOP_1_AND_5, "144 crops", {"bn_inception": (21.99, 5.82)}, recipe="bn_inception_x30")
for variant, accuracy in {"Baseline": 72.7, "x5": 73.0, "x30": 74.8}.items():
    errors = {"bn_inception": (round(100 - accuracy, 1),)}
    PAPER.results(f"Fig. 3, BN-{variant}", TOP_1, CROP, errors, digits=1, recipe=f"bn_inception_{variant.lower()}")
PAPER.results(
    "Fig. 3, BN-x5-Sigmoid", TOP_1, CROP, {"bn_inception": (30.2,)}, recipe="bn_inception_x5", activation="sigmoid"
)
PAPER.results(README, TOP_1_AND_5, CROP, {"bn_inception_slim": (26.1, 8.2)})

# Eight epochs of 40,036 steps, at the end of which GoogLeNet's rate drops by 4%; later a sixth of that (Sec. 4.2.1).
EIGHT_EPOCHS = 320_288
COMMON: dict[str, Any] = {
    "networks": ("bn_inception", "bn_inception_slim"),
    "data": "imagenet",
    "batch_size": 32,
    "optimizer": sgd(),
    "augmentation": (RandomResizedCrop(), RandomHorizontalFlip()),
    "preprocessing": Rescale(-1.0, 1.0),
    "protocol": SingleCrop(224, resize=256),
}
UNSPECIFIED = (
    "momentum: 0.9",
    "schedule: 0.96 every eight epochs is GoogLeNet's",
    "augmentation: GoogLeNet's, without photometric distortions, which the paper has less of",
    "preprocessing: that of the authors' code",
)
PAPER.recipe(
    "bn_inception_baseline",
    source="Sec. 4.2.2, BN-Baseline",
    lr=0.0015,
    iterations=13_300_000,
    schedule=StepDecay(EIGHT_EPOCHS, gamma=0.96, unit="iterations"),
    weight_decay=0.0002,
    paper_result="27.3% top-1, single crop",
    unspecified=(
        "length: the steps after which it is as good as the network without batch normalization",
        "weight decay: that of Caffe's replication of GoogLeNet",
        "dropout and response normalization of the network without batch normalization: left out, nothing says where",
        *UNSPECIFIED,
    ),
    **COMMON,
)
for variant, lr, printed in (
    ("x5", 0.0075, "27.0% top-1, single crop; 30.2% with sigmoids"),
    ("x30", 0.045, "25.2% top-1, 7.82% top-5, single crop"),
):
    PAPER.recipe(
        f"bn_inception_{variant}",
        source=f"Sec. 4.2.1 and 4.2.2, BN-{variant}",
        lr=lr,
        iterations=6_000_000,
        schedule=StepDecay(EIGHT_EPOCHS // 6, gamma=0.96, unit="iterations"),
        weight_decay=0.00004,
        paper_result=printed,
        unspecified=(
            *(["length: that of BN-x30"] if variant == "x5" else []),
            "weight decay: a fifth, as the paper says, of that of Caffe's replication of GoogLeNet",
            *UNSPECIFIED,
        ),
        **COMMON,
    )
PAPER.no_recipe("bn_inception_caffe", why="not in the paper; nothing is published on how its weights were trained")

PAPER.not_countable("3 layers of 100 activations", "Sec. 4.1", "a fully connected network for MNIST, to show shifts")
PAPER.not_countable(
    "31.0, 13.3, 2.1 and 2.7 million steps", "Fig. 3", "of training, until the accuracy is that without normalization"
)
PAPER.not_countable("14 times fewer, 5 times fewer", "Sec. 4.2.2", "quotients of steps; a test holds them")
PAPER.not_countable(
    "72.2%", "Fig. 3", "the network without batch normalization: where it has response normalization is not printed"
)
PAPER.not_countable("20.1%, 4.9%, 4.82%", "Fig. 4", "results of six networks with variations that are not assigned")
PAPER.not_countable("24.88%, 7.42%, 7.96%, 5.98%, 6.67%, 4.94%", "Fig. 4", "results of other papers")
PAPER.not_countable("2 to 3", "Appendix", "modules of 28x28; a test counts them")
PAPER.not_countable("10,173,112", "inception_v2_test.py of TF-slim", "parameters and statistics; a test holds them")
