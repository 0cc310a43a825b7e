"""SqueezeNet: the rows of Table 1, model sizes, the numbers of the release, errors, and training.

Sizes in MB are read by one rule: four bytes a parameter, in units of 2^20 bytes. The printed ones are rounded up, as a
listing of files rounds them.
"""

from functools import partial

from archzoo.claims import flops, kernels, megabytes, params, ratio, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import CenterCrop, LinearDecay, RandomCrop, Resize, SubtractMean

PAPER = Paper(
    "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
    "F. Iandola, S. Han, M. Moskewicz, K. Ashraf, W. Dally, K. Keutzer",
    2016,
    "https://arxiv.org/abs/1602.07360",
    models="archzoo.models.squeezenet",
)

# Table 1: output size and parameters before pruning of each layer, but for the size of maxpool8, which is a slip.
TABLE_1 = {
    "features.conv1": ("111x111x96", "14,208"),
    "features.maxpool1": ("55x55x96", ""),
    "features.fire2": ("55x55x128", "11,920"),
    "features.fire3": ("55x55x128", "12,432"),
    "features.fire4": ("55x55x256", "45,344"),
    "features.maxpool4": ("27x27x256", ""),
    "features.fire5": ("27x27x256", "49,440"),
    "features.fire6": ("27x27x384", "104,880"),
    "features.fire7": ("27x27x384", "111,024"),
    "features.fire8": ("27x27x512", "188,992"),
    "features.fire9": ("13x13x512", "197,184"),
    "classifier.conv10": ("13x13x1000", "513,000"),
    "classifier.avgpool10": ("1x1x1000", ""),
    "": ("", "1,248,424"),
}

# Table 1: kernels of the squeeze, expand 1x1 and expand 3x3 layers of the fire modules.
FIRE = {
    "features.fire2": ("16", "64", "64"),
    "features.fire3": ("16", "64", "64"),
    "features.fire4": ("32", "128", "128"),
    "features.fire5": ("32", "128", "128"),
    "features.fire6": ("48", "192", "192"),
    "features.fire7": ("48", "192", "192"),
    "features.fire8": ("64", "256", "256"),
    "features.fire9": ("64", "256", "256"),
}

mebibytes = partial(megabytes, counting="MB = 2^20")
README = "authors' README of v1.1"

PAPER.network(
    "squeezenet1_0",
    *(params(printed, "Table 1", at=layer) for layer, (_, printed) in TABLE_1.items() if printed),
    *(size(printed, "Table 1", at=layer) for layer, (printed, _) in TABLE_1.items() if printed),
    size("13x12x512", "Table 1", at="features.maxpool8", ours="13x13x512", why="a slip: the next row reads 13x13x512"),
    *(
        kernels(printed, "Table 1", at=f"{module}.{layer}")
        for module, row in FIRE.items()
        for layer, printed in zip(("squeeze", "expand1x1", "expand3x3"), row, strict=True)
    ),
    kernels("96", "Table 1", at="features.conv1"),
    kernels("1000", "Table 1", at="classifier.conv10"),
    mebibytes("4.8MB", "Abstract and Table 2"),
    mebibytes("13MB", "Sec. 5.3", options={"squeeze_ratio": 0.5}),
    mebibytes("19MB", "Sec. 5.2", options={"squeeze_ratio": 0.75}, ours="18MB", why="rounded up: it is 18.47 MB"),
    mebibytes(
        "5.7MB",
        "Fig. 3b",
        options={"squeeze_ratio": 0.5, "share_3x3": 0.01},
        confirmed=False,
        ours="5.6MB",
        why="rounded up: it is 5.64 MB",
    ),
    mebibytes(
        "21MB",
        "Fig. 3b",
        options={"squeeze_ratio": 0.5, "share_3x3": 0.99},
        confirmed=False,
        ours="20MB",
        why="rounded up: it is 20.33 MB",
    ),
    mebibytes("4.8MB", "Table 3", options={"bypass": "simple"}),
    mebibytes(
        "7.7MB",
        "Table 3",
        options={"bypass": "complex"},
        confirmed=False,
        ours="6.1MB",
        why="1x1 convolutions around fire2, 4, 6 and 8 make 1,589,672 parameters, which is 6.06 MB",
    ),
    flops(
        "1.72G",
        README,
        ours="1.67G",
        why="the release pads the 1x1 convolution conv10 to 15x15 outputs, which is 1.72; Table 1 has 13x13",
    ),
    ratio(
        "2.4x",
        README,
        of="macs",
        to="squeezenet1_1",
        ours="2.1x",
        why="the quotient of 1.72 and 0.72 in the same table; both released definitions read 227x227 pixels, and with "
        "the 0.78 of v1.1 there it is 2.1, or 2.2 with the padding of conv10",
    ),
    ratio(
        "50x fewer",
        "Title",
        of="params",
        to="alexnet",
        ours="49x fewer",
        why="a quotient of the rounded 240 MB and 4.8 MB of Table 2",
    ),
    input_size=(3, 227, 227),
    aliases=("squeezenet",),
)
PAPER.network(
    "squeezenet1_1",
    kernels("64", README, at="features.conv1"),
    flops(
        "0.72G",
        README,
        ours="0.78G",
        why="0.776 at the 227x227 of the released definition, whose pooling rounds sizes up; rounded down it would be "
        "0.705, and at 224x224 it is 0.698",
    ),
    input_size=(3, 227, 227),
)
PAPER.prints(
    "alexnet",
    mebibytes("240MB", "Table 2", ours="233MB", why="four bytes for each of 60 million parameters, in bytes of 10^6"),
)

PAPER.results("Table 3", TOP_1_AND_5, "single crop", {"squeezenet1_0": (42.5, 19.7)})
for bypass, errors in {"simple": (39.6, 17.5), "complex": (41.2, 18.0)}.items():
    PAPER.results("Table 3", TOP_1_AND_5, "single crop", {"squeezenet1_0": errors}, bypass=bypass)

PAPER.recipe(
    "squeezenet_imagenet",
    networks=("squeezenet*",),
    data="imagenet",
    source="the released solvers and definitions",
    lr=0.04,
    batch_size=512,
    iterations=170_000,
    schedule=LinearDecay(),
    weight_decay=0.0002,
    augmentation=(Resize(256), CenterCrop(256), RandomCrop()),
    preprocessing=SubtractMean(values=(123, 117, 104)),
    paper_result="57.5% top-1, 80.3% top-5 accuracy",
    unspecified=(
        "augmentation: the size of the images that are cropped, here the central 256x256 of a shorter side of 256; no "
        "mirror images, as released, but the authors' release of the simple bypass has them",
    ),
)

PAPER.not_countable("421,098 parameters", "Table 1", "after pruning by Deep Compression, layer by layer alike")
PAPER.not_countable("363x, 510x, 1.4x, 10x", "Sec. 4", "ratios of compressed sizes: 0.66, 0.47 and 6.9 MB")
PAPER.not_countable("224x224x3 input", "Table 1", "the size of an image; the sizes below it need the release's 227x227")
PAPER.not_countable("57.5% top-1 and 80.3% top-5 accuracy", "Table 2", "a result of training")
