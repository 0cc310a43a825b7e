"""SqueezeNet: the rows of Table 1, model sizes, the numbers of the release, errors, and training."""

from archzoo.claims import flops, megabytes, params, ratio, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import ALEXNET_AUGMENTATION, LinearDecay, SubtractMean

PAPER = Paper(
    "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
    "F. Iandola, S. Han, M. Moskewicz, K. Ashraf, W. Dally, K. Keutzer",
    2016,
    "https://arxiv.org/abs/1602.07360",
    models="archzoo.models.squeezenet",
)

# Table 1: parameters before pruning, of each layer and of all.
PARAMETERS = {
    "features.conv1": "14,208",
    "features.fire2": "11,920",
    "features.fire3": "12,432",
    "features.fire4": "45,344",
    "features.fire5": "49,440",
    "features.fire6": "104,880",
    "features.fire7": "111,024",
    "features.fire8": "188,992",
    "features.fire9": "197,184",
    "classifier.conv10": "513,000",
    "": "1,248,424",
}

# Table 1: the output size of each layer but maxpool8, whose number is a slip.
OUTPUT_SIZES = {
    "features.conv1": "111x111x96",
    "features.maxpool1": "55x55x96",
    "features.fire2": "55x55x128",
    "features.fire4": "55x55x256",
    "features.maxpool4": "27x27x256",
    "features.fire6": "27x27x384",
    "features.fire8": "27x27x512",
    "features.fire9": "13x13x512",
    "classifier.conv10": "13x13x1000",
}

PAPER.network(
    "squeezenet1_0",
    *(params(printed, "Table 1", at=layer) for layer, printed in PARAMETERS.items()),
    *(size(printed, "Table 1", at=layer) for layer, printed in OUTPUT_SIZES.items()),
    size("13x12x512", "Table 1", at="features.maxpool8", ours="13x13x512", why="a slip: the next row reads 13x13x512"),
    megabytes("4.8MB", "Abstract and Table 2", counting="MB = 2^20"),
    megabytes("13MB", "Sec. 5.2", counting="MB = 2^20", options={"squeeze_ratio": 0.5}),
    megabytes("19MB", "Sec. 5.2", options={"squeeze_ratio": 0.75}),
    megabytes("4.8MB", "Table 3", counting="MB = 2^20", options={"bypass": "simple"}),
    megabytes(
        "7.7MB",
        "Table 3",
        options={"bypass": "complex"},
        confirmed=False,
        ours="6.4MB",
        why="1x1 convolutions around fire2, 4, 6 and 8 make 1,589,672 parameters, which is 6.36 MB or 6.06 MiB",
    ),
    flops(
        "1.72G",
        "authors' README of v1.1",
        ours="1.67G",
        why="the release pads the 1x1 convolution conv10 to 15x15 outputs, which is 1.72; Table 1 has 13x13",
    ),
    ratio("2.4x", "authors' README of v1.1", of="macs", to="squeezenet1_1"),
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
    flops(
        "0.72G",
        "authors' README of v1.1",
        ours="0.70G",
        why="0.698 at 224x224; 1.72 divided by the 2.4 of the same table is 0.717, so it was probably derived",
    ),
    input_size=(3, 224, 224),
)
PAPER.prints(
    "alexnet",
    megabytes("240MB", "Table 2", confirmed=False, ours="244MB", why="60 million parameters; there are 60,965,224"),
)

PAPER.results("Table 3", TOP_1_AND_5, "single crop", {"squeezenet1_0": (42.5, 19.7)}, confirmed=False)
for bypass, errors in {"simple": (39.6, 17.5), "complex": (41.2, 18.0)}.items():
    PAPER.results("Table 3", TOP_1_AND_5, "single crop", {"squeezenet1_0": errors}, bypass=bypass, confirmed=False)

PAPER.recipe(
    "squeezenet_imagenet",
    networks=("squeezenet*",),
    data="imagenet",
    source="the released solver",
    lr=0.04,
    batch_size=512,
    iterations=170_000,
    schedule=LinearDecay(),
    weight_decay=0.0002,
    augmentation=ALEXNET_AUGMENTATION,
    preprocessing=SubtractMean(values=(123, 117, 104)),
    paper_result="57.5% top-1, 80.3% top-5 accuracy",
)

PAPER.not_countable("421,098 parameters", "Table 1", "after pruning by Deep Compression, layer by layer alike")
PAPER.not_countable("363x, 510x, 1.4x, 10x", "Sec. 4", "ratios of compressed sizes: 0.66, 0.47 and 6.9 MB")
PAPER.not_countable("57.5% top-1 and 80.3% top-5 accuracy", "Table 2", "a result of training")
