"""GoogLeNet: the rows of Table 1, totals in the text, errors, and training.

Two others stand here too: the replication that Caffe released, and what torchvision prints of its batch-normalized
network.
"""

from archzoo.claims import Claim, depth, macs, params, ratio, size, sizes, weights
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    ColorJitter,
    MultiCrop144,
    Optimizer,
    ParameterGroup,
    PCALighting,
    PolynomialDecay,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    StepDecay,
    SubtractMean,
)

PAPER = Paper(
    "Going Deeper with Convolutions",
    "C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke, A. Rabinovich",
    2014,
    "https://arxiv.org/abs/1409.4842",
    models="archzoo.models.googlenet",
)

TORCHVISION = Paper(
    "TorchVision: PyTorch's Computer Vision library",
    "TorchVision maintainers and contributors",
    2016,
    "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.googlenet.html",
    models="archzoo.models.googlenet",
)

CAFFE = Paper(
    "Caffe: Convolutional Architecture for Fast Feature Embedding",
    "Y. Jia, E. Shelhamer, J. Donahue, S. Karayev, J. Long, R. Girshick, S. Guadarrama, T. Darrell",
    2014,
    "https://github.com/BVLC/caffe/tree/master/models/bvlc_googlenet",
    models="archzoo.models.googlenet",
)

Cell = str | tuple[str, str, str]  # what is printed, or: what is printed, what we count, and why

SEPARABLE = (
    "the count of a separable layer, 7x7 depthwise to 24 maps and 1x1 to 64 (2,712 weights, at K = 1,000, and 34.0M), "
    "which later papers say came first; the 7x7 convolution of the table has 9,408 weights and 118.0M"
)
STALE = "from another draft of the module: the ops of the same row follow from its columns, this number does not"
STALE_5A = "from another draft of the module: params and ops of the row are both 5% above what its columns give"
WEIGHTS_ONLY = "379.0; 379.6 with biases, which the exact rows conv2 and linear leave out"
FIRST_LAYER = "the sum of Table 1's ops, 1,502M, which has 34M for the first layer; its 7x7 convolution takes 118M"
CUT_OFF = "cut off, not rounded: 73.61M"
ONE_K_LOW = "exactly 438 x 1,024: the print is one K low"

# Table 1: the layer, its output size, its depth, its params and its ops. Poolings have no params and no ops.
TABLE_1: tuple[tuple[str, str, str, Cell, Cell], ...] = (
    ("features.conv1", "112x112x64", "1", ("2.7K", "9.2K", SEPARABLE), ("34M", "118M", SEPARABLE)),
    ("features.pool1", "56x56x64", "0", "", ""),
    ("features.conv2_reduce + features.conv2", "56x56x192", "2", "112K", "360M"),
    ("features.pool2", "28x28x192", "0", "", ""),
    ("features.inception_3a", "28x28x256", "2", "159K", "128M"),
    ("features.inception_3b", "28x28x480", "2", ("380K", "379K", WEIGHTS_ONLY), "304M"),
    ("features.pool3", "14x14x480", "0", "", ""),
    ("features.inception_4a", "14x14x512", "2", ("364K", "367K", STALE), ("73M", "73.6M", CUT_OFF)),
    ("features.inception_4b", "14x14x512", "2", ("437K", "438K", ONE_K_LOW), "88M"),
    ("features.inception_4c", "14x14x512", "2", ("463K", "497.5K", STALE), "100M"),
    ("features.inception_4d", "14x14x528", "2", ("580K", "590.5K", STALE), "119M"),
    ("features.inception_4e", "14x14x832", "2", ("840K", "847K", STALE), "170M"),
    ("features.pool4", "7x7x832", "0", "", ""),
    ("features.inception_5a", "7x7x832", "2", ("1072K", "1018K", STALE_5A), ("54M", "51M", STALE_5A)),
    ("features.inception_5b", "7x7x1024", "2", ("1388K", "1409K", STALE), "71M"),
    ("classifier.pool", "1x1x1024", "0", "", ""),
    ("classifier.drop", "", "0", "", ""),
    ("classifier.linear", "", "1", "1000K", "1M"),
)


def row(at: str, output: str, layers: str, weight_cell: Cell, ops_cell: Cell) -> list[Claim]:
    """A row of Table 1. Its params are weights only, in K of 1,024; its ops are multiply-adds."""
    claims = [depth(layers, "Table 1", at=at)]
    if output:
        claims.append(size(output, "Table 1", at=at.split(" + ")[-1]))
    if weight_cell:
        printed, ours, why = (weight_cell, "", "") if isinstance(weight_cell, str) else weight_cell
        claims.append(weights(printed, "Table 1", at=at, counting="K = 1024", ours=ours, why=why))
    if ops_cell:
        printed, ours, why = (ops_cell, "", "") if isinstance(ops_cell, str) else ops_cell
        claims.append(macs(printed, "Table 1", at=at, ours=ours, why=why))
    return claims


MAPS = sizes("112-56-28-14-7", "Table 1")

PAPER.network(
    "googlenet",
    *(claim for cells in TABLE_1 for claim in row(*cells)),
    MAPS,
    depth("22", "Sec. 5"),
    macs(
        "1.5 billion",
        "Sec. 1",
        ours="1.58 billion",
        why=FIRST_LAYER,
    ),
    ratio(
        "12x fewer",
        "Sec. 1",
        of="params",
        to="alexnet",
        ours="8.7x fewer",
        why="12 times fewer are 5.0M parameters: Table 1 adds up to 7.0M, or 6.0M without the linear layer",
    ),
    input_size=(3, 224, 224),
    aliases=("inception_v1",),
)
PAPER.network("googlenet_bn", input_size=(3, 224, 224))
TORCHVISION.prints(
    "googlenet_bn",
    params("6,624,904", "GoogLeNet_Weights, num_params"),
    macs("1.498G", "GoogLeNet_Weights, GFLOPS"),
)

for protocol, error in {"single crop": 10.07, "ten crops": 9.15, "144 crops": 7.89}.items():
    PAPER.results("Table 3", ("imagenet top-5",), protocol, {"googlenet": (error,)})
CAFFE.results("bvlc_googlenet, readme.md", TOP_1_AND_5, "single crop", {"googlenet": (31.3, 11.1)})

PAPER.recipe(
    "googlenet_imagenet",
    networks=("googlenet",),
    data="imagenet",
    source="Sec. 6",
    lr=0.01,
    batch_size=32,
    epochs=250,
    schedule=StepDecay(8, gamma=0.96),
    weight_decay=0.0002,
    ema=0.9999,
    augmentation=(RandomResizedCrop(), ColorJitter(0.5, 0.5, 0.5), PCALighting(), RandomHorizontalFlip()),
    preprocessing=SubtractMean("channel"),
    protocol=MultiCrop144(),
    paper_result="7.89% top-5 (6.67% of 7 networks)",
    unspecified=(
        "lr, batch, length and weight decay: those of bvlc_googlenet, Caffe's replication, solver.prototxt",
        "decay of the Polyak averaging: 0.9999",
        "photometric distortions: Howard's (arXiv:1312.5402), which the paper calls useful and does not describe",
        "mirror images: as in the replication",
        "mean: by channel, as in the replication",
        "random interpolation: left out, since the paper cannot tell whether it helped",
    ),
    unconfirmed=("augmentation",),
)
CAFFE.recipe(
    "googlenet_caffe",
    networks=("googlenet",),
    data="imagenet",
    source="bvlc_googlenet: quick_solver.prototxt and train_val.prototxt",
    lr=0.01,
    batch_size=32,
    iterations=2_400_000,
    schedule=PolynomialDecay(power=0.5),
    optimizer=Optimizer("caffe_sgd", {"momentum": 0.9}),
    weight_decay=0.0002,
    groups=(ParameterGroup("*.bias", lr_mult=2, decay_mult=0),),
    augmentation=(Resize(256), RandomCrop(), RandomHorizontalFlip()),
    preprocessing=SubtractMean("channel", values=(123, 117, 104)),
    paper_result="31.3% top-1, 11.1% top-5 (center crop)",
    unspecified=("the images of its database: Caffe's example makes them 256x256, whatever their aspect ratio",),
)
PAPER.no_recipe("googlenet_bn", why="not in the paper; torchvision publishes weights and not how they were trained")

PAPER.not_countable(
    "about 100",
    "Sec. 5",
    "independent building blocks, of which each framework has others; a test counts those of Fig. 3",
)
PAPER.not_countable("27 layers", "Sec. 5", "counts the five poolings too; a test of GoogLeNet holds it")
PAPER.not_countable("4x4x512, 4x4x528", "Sec. 5", "maps that exist in training only; a test of GoogLeNet holds them")
PAPER.not_countable("1x1x1000", "Table 1", "logits are no map; the weights of the linear row hold their number")
PAPER.not_countable(
    "144 crops per image", "Sec. 7", "a protocol of testing: 4 scales x 3 squares x 6 crops x 2 mirrored"
)
PAPER.not_countable("cost 1008", "Table 3", "a protocol of testing: 7 models x 144 crops")
PAPER.not_countable(
    "-0.92%, -2.18%, -1.98%, -2.45%, -3.45%",
    "Table 3",
    "differences of error rates to 10.07%; the last is in error: 6.67 - 10.07 is -3.40",
)
PAPER.not_countable("56.5%, about 40%", "Sec. 7", "quotients of error rates")
