"""MobileNet: Tables 1 to 12, the layer lists and the table of the authors' code, errors of both, and both trainings.

Multiply-adds and parameters of tables are in millions, as their headings say. Which layers are counted changes from
row to row: the classifier is in most of them, batch normalization and the bias in none of Table 2 and Table 9.
"""

from typing import Any

from archzoo.claims import Claim, depth, kernel, kernels, macs, params, ratio, size, weights
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    DEPTHWISE_WITHOUT_DECAY,
    SLIM_AUGMENTATION,
    SLIM_RMSPROP,
    SLIM_UNSPECIFIED,
    Rescale,
    SingleCrop,
    StepDecay,
    sgd,
)

PAPER = Paper(
    "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    "A. G. Howard, M. Zhu, B. Chen, D. Kalenichenko, W. Wang, T. Weyand, M. Andreetto, H. Adam",
    2017,
    "https://arxiv.org/abs/1704.04861",
    models="archzoo.models.mobilenet_v1",
)

SLIM = "mobilenet_v1.py of TF-slim, docstring"
README = "mobilenet_v1.md of TF-slim"
WEIGHTS_ONLY: dict[str, Any] = {"counting": "weights only"}
Explained = dict[str, Any]


def pixels(side: int) -> dict[str, Any]:
    """Images of this side; 224 is the default."""
    return {} if side == 224 else {"input_size": (3, side, side)}


def cut_off(ours: str, count: str) -> Explained:
    """What explains a number whose digits are cut off."""
    return {"ours": ours, "why": f"cut off, not rounded: {count}"}


# Table 1, the network: maps and side after each block, and the stride of its depthwise convolution.
TABLE_1 = (
    *((64, 112), (128, 56), (128, 56), (256, 28), (256, 28), (512, 14)),
    *((512, 14), (512, 14), (512, 14), (512, 14), (512, 14), (1024, 7), (1024, 7)),
)
BLOCKS = [f"features.block{number}" for number in range(1, 14)]


def table_1() -> list[Claim]:
    """The filter shapes, and the sizes that the next layer reads."""
    claims = [
        kernel("3x3x3", "Table 1", at="features.conv1"),
        kernels("32", "Table 1", at="features.conv1"),
        size("112x112x32", "Table 1", at="features.conv1"),
    ]
    inputs = 32
    for block, (maps, side) in zip(BLOCKS, TABLE_1, strict=True):
        claims += [
            kernels(str(inputs), "Table 1", at=f"{block}.depthwise.conv"),
            size(f"{side}x{side}x{inputs}", "Table 1", at=f"{block}.depthwise"),
            kernel(f"1x1x{inputs}", "Table 1", at=f"{block}.pointwise.conv"),
            kernels(str(maps), "Table 1", at=f"{block}.pointwise.conv"),
            size(f"{side}x{side}x{maps}", "Table 1", at=f"{block}.pointwise"),
        ]
        inputs = maps
    return [
        *claims,
        size("1x1x1024", "Table 1", at="classifier.pool"),
        kernel("1024", "Table 1", at="classifier.fc"),
        size("1000", "Table 1", at="classifier.fc"),
    ]


# Table 2: the share of each kind of layer in multiply-adds and in weights.
FIRST_LAYER = "two digits are exchanged: with 1.91% the column adds up to 100%"
TABLE_2: tuple[tuple[str, str, str, Explained], ...] = (
    (" + ".join(f"{block}.pointwise" for block in BLOCKS), "94.86%", "74.59%", {}),
    (" + ".join(f"{block}.depthwise" for block in BLOCKS), "3.06%", "1.06%", {}),
    ("features.conv1", "1.19%", "0.02%", {"ours": "1.91%", "why": FIRST_LAYER}),
    ("classifier.fc", "0.18%", "24.33%", {}),
)


def share(quantity: str, printed: str, where: str, at: str, **explained: Any) -> Claim:
    """A share of the whole network."""
    return ratio(printed, where, of=quantity, at=at, to="mobilenet_v1", **explained)


# The docstring of the code, for the networks of 224 and of 128 pixels: weights and multiply-adds of each convolution.
LAYERS = ("features.conv1", *(f"{block}.{part}" for block in BLOCKS for part in ("depthwise", "pointwise")))
DOCSTRING_224 = (
    *(("864", "10,838,016"), ("288", "3,612,672"), ("2,048", "25,690,112"), ("576", "1,806,336")),
    *(("8,192", "25,690,112"), ("1,152", "3,612,672"), ("16,384", "51,380,224"), ("1,152", "903,168")),
    *(("32,768", "25,690,112"), ("2,304", "1,806,336"), ("65,536", "51,380,224"), ("2,304", "451,584")),
    *(("131,072", "25,690,112"), *(("4,608", "903,168"), ("262,144", "51,380,224")) * 5),
    *(("4,608", "225,792"), ("524,288", "25,690,112"), ("9,216", "451,584"), ("1,048,576", "51,380,224")),
)
DOCSTRING_128 = (
    *(("648", "2,654,208"), ("216", "884,736"), ("1,152", "4,718,592"), ("432", "442,368")),
    *(("4,608", "4,718,592"), ("864", "884,736"), ("9,216", "9,437,184"), ("864", "221,184")),
    *(("18,432", "4,718,592"), ("1,728", "442,368"), ("36,864", "9,437,184"), ("1,728", "110,592")),
    *(("73,728", "4,718,592"), *(("3,456", "221,184"), ("147,456", "9,437,184")) * 5),
    *(("3,456", "55,296"), ("294,912", "4,718,592"), ("6,912", "110,592"), ("589,824", "9,437,184")),
)


def docstring(rows: tuple[tuple[str, str], ...], total: tuple[str, str], side: int) -> list[Claim]:
    """A list of layers of the code, and its last line."""
    listed = zip((*LAYERS, "features"), (*rows, total), strict=True)
    return [
        claim
        for at, (count, products) in listed
        for claim in (weights(count, SLIM, at=at), macs(products, SLIM, at=at, **pixels(side)))
    ]


# Table 6, Table 7 and the README: by width and side of the images, million multiply-adds; in the paper and in the code.
NO_CLASSIFIER = "290.7: the classifier is left out, which makes it 289.7, or digits are cut off; the README prints 291"
PAPER_MACS: dict[float, dict[int, tuple[str, str, Explained]]] = {
    1.0: {
        224: ("569", "Tables 4, 6, 7 and 8", {}),
        192: ("418", "Table 7", {}),
        160: ("290", "Table 7", {"ours": "291 million", "why": NO_CLASSIFIER}),
        128: ("186", "Table 7", {}),
    },
    0.75: {224: ("325", "Tables 5 and 6", {})},
    0.5: {
        224: ("149", "Table 6", {}),
        160: (
            "76",
            "Table 9",
            {"ours": "77 million", "why": "76.5: without the classifier 76.0, as for 160 pixels in Table 7"},
        ),
    },
    0.25: {224: ("41", "Table 6", {})},
}
WRONG_ROWS = "the paper's 325 at 224 pixels is right; all four rows of 0.75 are 2.5% too low"
README_MACS: dict[float, tuple[tuple[int, str, Explained], ...]] = {
    1.0: ((224, "569", {}), (192, "418", {}), (160, "291", {}), (128, "186", {})),
    0.75: (
        (224, "317", {"ours": "325 million", "why": WRONG_ROWS}),
        (192, "233", {"ours": "239 million", "why": WRONG_ROWS}),
        (160, "162", {"ours": "166 million", "why": WRONG_ROWS}),
        (128, "104", {"ours": "107 million", "why": WRONG_ROWS}),
    ),
    0.5: (
        (224, "150", {"ours": "149 million", "why": "149.5: rounded up; the paper prints 149"}),
        *((192, "110", {}), (160, "77", {}), (128, "49", {})),
    ),
    0.25: (
        (224, "41", {}),
        (192, "34", {"ours": "30 million", "why": "30.2; the other three rows of 0.25 are right"}),
        *((160, "21", {}), (128, "14", {})),
    ),
}
THREE_A_CHANNEL = "{}: batch normalization is counted with its means and variances, and without its scales"
PAPER_PARAMS = {1.0: "4.2", 0.75: "2.6", 0.5: "1.3", 0.25: "0.5"}
README_PARAMS: dict[float, tuple[str, Explained]] = {
    1.0: ("4.24", {"ours": "4.23 million", "why": THREE_A_CHANNEL.format("4.233")}),
    0.75: ("2.59", {}),
    0.5: ("1.34", {"ours": "1.33 million", "why": THREE_A_CHANNEL.format("1.332")}),
    0.25: ("0.47", {}),
}
# Tables 10 and 12: networks with 120 classes, and without a classifier.
DOGS: dict[str, Any] = {"options": {"num_classes": 120}}
DOGS_MACS: dict[tuple[float, int], tuple[str, Explained]] = {
    (1.0, 224): ("569", {"ours": "568 million", "why": "the figure of 1,000 classes; with 120 it is 567.8"}),
    (0.75, 224): ("325", {}),
    (1.0, 192): ("418", {"ours": "417 million", "why": "the figure of 1,000 classes; with 120 it is 417.2"}),
    (0.75, 192): ("239", {}),
}
DOGS_PARAMS = {1.0: "3.3", 0.75: "1.9"}
FACES_MACS: dict[tuple[float, int], tuple[str, Explained]] = {
    (1.0, 224): ("568", {}),
    (0.5, 224): ("149", {}),
    (0.25, 224): ("45", {"ours": "41 million", "why": "40.8 without a classifier and 41.0 with 1,000 classes"}),
    (1.0, 128): ("185", {}),
    (0.5, 128): ("48", cut_off("49 million", "48.65")),
    (0.25, 128): ("15", {"ours": "13 million", "why": "13.3 without a classifier and 13.6 with 1,000 classes"}),
}
FACES_PARAMS = {1.0: "3.2", 0.5: "0.8", 0.25: "0.2"}


def of_width(width: float) -> list[Claim]:
    """What is printed of the networks of a width."""
    claims = [params(f"{PAPER_PARAMS[width]} million", "Table 6")]
    for side, (printed, where, explained) in PAPER_MACS[width].items():
        claims.append(macs(f"{printed} million", f"{where}, {side} pixels", **pixels(side), **explained))
    for side, printed, explained in README_MACS[width]:
        claims.append(macs(f"{printed} million", f"{README}, {side} pixels", **pixels(side), **explained))
    printed, explained = README_PARAMS[width]
    claims.append(params(f"{printed} million", README, options={"num_classes": 1001}, **explained))
    for (of, side), (printed, explained) in DOGS_MACS.items():
        if of == width:
            claims.append(macs(f"{printed} million", f"Table 10, {side} pixels", **DOGS, **pixels(side), **explained))
    if width in DOGS_PARAMS:
        claims.append(params(f"{DOGS_PARAMS[width]} million", "Table 10", **DOGS))
    body: dict[str, Any] = {"at": "features"}
    for (of, side), (printed, explained) in FACES_MACS.items():
        if of == width:
            claims.append(macs(f"{printed} million", f"Table 12, {side} pixels", **body, **pixels(side), **explained))
    if width in FACES_PARAMS:
        claims.append(params(f"{FACES_PARAMS[width]} million", "Table 12", **body))
    return claims


# Table 3: one layer of 14x14x512, as a full convolution, separable, narrower, and of smaller maps.
MORE: dict[float, tuple[Claim, ...]] = {
    1.0: (
        *table_1(),
        depth("28", "Sec. 3.2"),
        *(share("macs", printed, "Table 2", at, **explained) for at, printed, _, explained in TABLE_2),
        *(share("weights", printed, "Table 2", at) for at, _, printed, _ in TABLE_2),
        share("macs", "95%", "Sec. 3.2", TABLE_2[0][0]),
        share("weights", "75%", "Sec. 3.2", TABLE_2[0][0]),
        *docstring(DOCSTRING_224, ("3,185,088", "567,716,352"), 224),
        macs("52.3 million", "Table 3", at="features.block8"),
        params("0.27 million", "Table 3", at="features.block8", **WEIGHTS_ONLY),
    ),
    0.75: (
        *docstring(DOCSTRING_128, ("1,800,144", "106,002,432"), 128),
        macs("29.6 million", "Table 3", at="features.block8"),
        params("0.15 million", "Table 3", at="features.block8", **WEIGHTS_ONLY),
        macs("15.1 million", "Table 3, 10x10", at="features.block8", **pixels(160)),
    ),
    0.5: (params("1.32 million", "Table 9", **WEIGHTS_ONLY),),
    0.25: (),
}

PAPER.network("mobilenet_v1", input_size=(3, 224, 224), aliases=("mobilenet",))
PAPER.network(
    "conv_mobilenet",
    macs("4866 million", "Table 4", ours="4867 million", why="4866.3 without the classifier, 4867.3 with it"),
    params("29.3 million", "Table 4"),
    macs("462 million", "Table 3", at="features.block8"),
    params("2.36 million", "Table 3", at="features.block8", **WEIGHTS_ONLY),
    input_size=(3, 224, 224),
)
NAMES = {width: f"mobilenet_v1_x{str(width).replace('.', '_')}" for width in PAPER_PARAMS}
for width, name in NAMES.items():
    PAPER.setting(name, *of_width(width), *MORE[width], of="mobilenet_v1", width=width)
PAPER.setting(
    "mobilenet_v1_shallow",
    macs("307 million", "Table 5"),
    params("2.9 million", "Table 5"),
    of="mobilenet_v1",
    shallow=True,
)

# Sec. 4.2, Table 8 and Table 9: other networks, in number and as a multiple of these.
PAPER.prints(
    "googlenet",
    macs(
        "1550 million",
        "Table 8",
        ours="1.58 billion",
        why="in convolutions and the classifier; no reading of GoogLeNet's own Table 1 gives 1,550",
    ),
    params("6.8 million", "Table 8", ours="7.0 million", why="6.998; 6.990 without biases"),
    ratio("more than 2.5x", "Sec. 4.2", of="macs", to="mobilenet_v1"),
)
PAPER.prints(
    "vgg_d",
    macs("15300 million", "Table 8", ours="15.5 billion", why="15,347 in the convolutions alone, 15,470 with all"),
    params("138 million", "Table 8"),
    ratio("32x", "Sec. 4.2", of="params", to="mobilenet_v1", **cut_off("33x", "32.7")),
    ratio("27x", "Sec. 4.2", of="macs", to="mobilenet_v1"),
)
PAPER.prints(
    "squeezenet1_0",
    macs(
        "1700 million",
        "Table 9",
        ours="833 million",
        why="two operations for each multiply-add: the flops of SqueezeNet's README. All other rows have one",
    ),
    params("1.25 million", "Table 9"),
)
PAPER.prints(
    "alexnet",
    macs("720 million", "Table 9", ours="724 million", why="printed to two digits"),
    params(
        "60 million", "Table 9", ours="61 million", why="cut off, not rounded: 60,965,224, as in AlexNet's abstract"
    ),
    ratio(
        "45x", "Sec. 4.2", of="params", to="mobilenet_v1_x0_5", ours="46x", why="60 / 1.32 of Table 9, which is 45.5"
    ),
)
PAPER.prints(
    "inception_v3",
    macs(
        "5000 million", "Table 10", **DOGS, ours="5711 million", why="the 5 billion of its abstract, which are cut off"
    ),
    params("23.2 million", "Table 10", **DOGS, ours="22.0 million", why="22.03; with 1,000 classes it is 23.83"),
)

# Top-1 accuracy in percent by width and side; of the code top-5 too.
ACCURACY: dict[tuple[float, int], tuple[float, str]] = {
    (1.0, 224): (70.6, "Tables 4 and 6 to 8"),
    (0.75, 224): (68.4, "Tables 5 and 6"),
    (0.5, 224): (63.7, "Table 6"),
    (0.25, 224): (50.6, "Table 6"),
    (1.0, 192): (69.1, "Table 7"),
    (1.0, 160): (67.2, "Table 7"),
    (1.0, 128): (64.4, "Table 7"),
    (0.5, 160): (60.2, "Table 9"),
}
README_ACCURACY = {
    1.0: ((70.9, 89.9), (70.0, 89.2), (68.0, 87.7), (65.2, 85.8)),
    0.75: ((68.4, 88.2), (67.2, 87.3), (65.3, 86.0), (62.1, 83.9)),
    0.5: ((63.3, 84.9), (61.7, 83.6), (59.1, 81.9), (56.3, 79.4)),
    0.25: ((49.8, 74.2), (47.7, 72.3), (45.5, 70.3), (41.5, 66.3)),
}


def protocol(side: int) -> str:
    """How images of a side are tested."""
    return "single crop" if side == 224 else f"single crop, {side}x{side}"


def error(accuracy: float) -> float:
    """In percent, as an accuracy is."""
    return round(100 - accuracy, 1)


TOP_1 = ("imagenet top-1",)
for (width, side), (accuracy, where) in ACCURACY.items():
    PAPER.results(where, TOP_1, protocol(side), {NAMES[width]: (error(accuracy),)})
PAPER.results("Table 4", TOP_1, "single crop", {"conv_mobilenet": (error(71.7),)})
PAPER.results("Table 5", TOP_1, "single crop", {"mobilenet_v1_shallow": (error(65.3),)})
PAPER.results("Table 8", TOP_1, "single crop", {"googlenet": (error(69.8),), "vgg_d": (error(71.5),)})
PAPER.results("Table 9", TOP_1, "single crop", {"squeezenet1_0": (error(57.5),), "alexnet": (error(57.2),)})
for width, rows in README_ACCURACY.items():
    for side, (top_1, top_5) in zip((224, 192, 160, 128), rows, strict=True):
        errors = {NAMES[width]: (error(top_1), error(top_5))}
        PAPER.results(README, TOP_1_AND_5, protocol(side), errors, activation="relu6")

INCEPTION: dict[str, Any] = {
    "augmentation": SLIM_AUGMENTATION,
    "preprocessing": Rescale(-1.0, 1.0),
    "protocol": SingleCrop(224, resize=256),
}
PAPER.recipe(
    "mobilenet_v1_imagenet",
    networks=("mobilenet_v1*",),
    data="imagenet",
    source="Sec. 4, which refers to Inception-v3",
    lr=0.045,
    batch_size=32,
    epochs=100,
    schedule=StepDecay(2, gamma=0.94),
    optimizer=SLIM_RMSPROP,
    weight_decay=0.00004,
    decay_scope="weights",
    groups=DEPTHWISE_WITHOUT_DECAY,
    **INCEPTION,
    paper_result="29.4% top-1 (1.0 MobileNet-224)",
    unspecified=(
        "rate, its decay, length, epsilon, momentum and batch: Inception-v3's (Sec. 8)",
        "workers: 50 of them in Inception-v3, which do not wait for one another; here it is one",
        "weight decay: that of the code; the paper says very little or none on depthwise filters, and there it is none",
        "size of crops: the paper limits how small they are, and does not say how",
        *SLIM_UNSPECIFIED,
    ),
)
PAPER.recipe(
    "mobilenet_v1_slim",
    networks=("mobilenet_v1*",),
    data="imagenet",
    source="the released code, mobilenet_v1_train.py",
    lr=0.045,
    batch_size=64,
    epochs=200,
    schedule=StepDecay(49_654, gamma=0.94, unit="iterations"),
    optimizer=sgd(momentum=0.0),
    weight_decay=0.00004,
    decay_scope="weights",
    groups=DEPTHWISE_WITHOUT_DECAY,
    **INCEPTION,
    paper_result="29.1% top-1, 10.1% top-5 (1.0 at 224 pixels)",
    unspecified=(
        "length: the script has no end; after 200 epochs the rate is 0.7% of the first",
        *SLIM_UNSPECIFIED,
    ),
)
PAPER.no_recipe(
    "conv_mobilenet",
    why="the paper does not say how it was trained, and the recipe of the others is about depthwise filters",
)

DETECTION = "a network for detection, which is not here"
PAPER.not_countable("between 8 to 9 times", "Sec. 3.1", "a range; a test holds it for every block")
PAPER.not_countable(
    "22x, 9.4x", "Sec. 4.2", "quotients of networks that see images of several sizes; a test holds them"
)
PAPER.not_countable("28 layers of s1 and s2", "Table 1", "the last depthwise convolution has s1, as its sizes say")
PAPER.not_countable("83.3, 81.9, 80.5", "Table 10", "accuracies on Stanford Dogs, of networks with 120 classes")
PAPER.not_countable(
    "52 million, 5.74 billion; 13 million, 0.58 million",
    "Sec. 4.4",
    "PlaNet on Inception-v3 and on MobileNet, with a number of cells that is not printed; the last is billion",
)
PAPER.not_countable("7.5, 1600", "Table 12", "a baseline that is not described; the text has 75 million parameters")
PAPER.not_countable("88.7 to 86.4", "Table 12", "mean average precisions of face attributes")
PAPER.not_countable("19.3, 16.4, 19.8", "Table 13", DETECTION)
PAPER.not_countable("4.9, 5.5, 3.4, 3.8", "Table 14", "FaceNet's embeddings, whose sizes are not printed; 128 twice")
