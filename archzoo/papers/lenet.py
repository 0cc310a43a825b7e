"""LeNet-5: parameters and connections of each layer, the error on MNIST, and how it was trained."""

from archzoo.claims import connections, depth, macs, neurons, params, size, sizes
from archzoo.paper import Paper
from archzoo.recipes import PiecewiseConstant, Rescale, sgd

PAPER = Paper(
    "Gradient-Based Learning Applied to Document Recognition",
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
    1998,
    "https://doi.org/10.1109/5.726791",
    models="archzoo.models.lenet",
)

# Trainable parameters and connections of each layer (Sec. II-B), and of all (Sec. II-A). The connections of F6 are not
# printed.
COUNTS = {
    "features.C1": ("156", "122,304", "Sec. II-B"),
    "features.S2": ("12", "5,880", "Sec. II-B"),
    "features.C3": ("1,516", "151,600", "Sec. II-B"),
    "features.S4": ("32", "2,000", "Sec. II-B"),
    "features.C5": ("48,120", "48,120", "Sec. II-B"),
    "classifier.F6": ("10,164", "", "Sec. II-B"),
    "": ("60,000", "340,908", "Sec. II-A"),
}
# Maps of each layer, and their height and width (Fig. 2).
FIG_2 = {"C1": "28x28x6", "S2": "14x14x6", "C3": "10x10x16", "S4": "5x5x16", "C5": "1x1x120"}

PAPER.network(
    "lenet5",
    *(params(printed, where, at=layer) for layer, (printed, _, where) in COUNTS.items()),
    *(connections(printed, where, at=layer) for layer, (_, printed, where) in COUNTS.items() if printed),
    depth("7", "Sec. II-B"),  # the fixed codes of the output count as its weights
    neurons("84", "Sec. II-B", at="classifier.F6"),
    sizes("28-14-10-5-1", "Fig. 2"),
    *(size(printed, "Fig. 2", at=f"features.{layer}") for layer, printed in FIG_2.items()),
    macs(
        "401K",
        "Fig. 11",
        ours="333K",
        why="a bar of a chart, and no convention gives it: 332,824 multiply-adds with the subsampling, 326,520 "
        "without, 340,908 connections; with a C3 that reads all maps it would be 423K",
    ),
    params("60K", "Fig. 12"),
    input_size=(1, 32, 32),
)
PAPER.network("lenet5_textbook", input_size=(1, 32, 32))

PAPER.results("Fig. 9", ("mnist",), "single crop", {"lenet5": (0.95,)})
PAPER.results("Fig. 9, with distorted images", ("mnist",), "single crop", {"lenet5": (0.8,)})

PAPER.recipe(
    "lenet5_mnist",
    networks=("lenet5", "lenet5_textbook"),
    data="mnist",
    source="Sec. III-B",
    lr=0.0005,
    batch_size=1,
    epochs=20,
    schedule=PiecewiseConstant((2, 5, 8, 12), (0.4, 0.2, 0.1, 0.02)),
    optimizer=sgd(0.0),
    preprocessing=Rescale(-0.1, 1.175),
    paper_result="0.95% on MNIST's test set (LeNet-5)",
    unspecified=(
        "optimizer: the paper's is stochastic diagonal Levenberg-Marquardt, a rate for each weight: not in torch",
        "loss: cross-entropy, which is Eq. 9 with an infinite constant j; the paper prints no value of j",
    ),
)

PAPER.not_countable("0.95% test error, 0.8% with distorted images", "Fig. 9", "a result of training")
