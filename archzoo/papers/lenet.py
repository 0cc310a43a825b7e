"""LeNet-5: parameters and connections of each layer, the error on MNIST, and how it was trained."""

from archzoo.claims import connections, depth, macs, neurons, params, sizes
from archzoo.paper import Paper
from archzoo.recipes import PiecewiseConstant, Rescale, sgd

PAPER = Paper(
    "Gradient-Based Learning Applied to Document Recognition",
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
    1998,
    "https://doi.org/10.1109/5.726791",
    models="archzoo.models.lenet",
)

# Sec. II-B: trainable parameters and connections of each layer, and of all.
SEC_II_B = {
    "features.C1": ("156", "122,304"),
    "features.S2": ("12", "5,880"),
    "features.C3": ("1,516", "151,600"),
    "features.S4": ("32", "2,000"),
    "features.C5": ("48,120", "48,120"),
    "classifier.F6": ("10,164", "10,164"),
    "": ("60,000", "340,908"),
}

PAPER.network(
    "lenet5",
    *(params(printed, "Sec. II-B", at=layer, confirmed=False) for layer, (printed, _) in SEC_II_B.items()),
    *(connections(printed, "Sec. II-B", at=layer, confirmed=False) for layer, (_, printed) in SEC_II_B.items()),
    depth("7", "Sec. II-B", confirmed=False),  # the fixed codes of the output count as its weights
    neurons("84", "Sec. II-B", at="classifier.F6", confirmed=False),
    sizes("28-14-10-5-1", "Fig. 2", confirmed=False),
    macs(
        "401K",
        "Fig. 11",
        confirmed=False,
        ours="333K",
        why="a bar read off a chart from memory; no convention gives it: 332,824 multiply-adds with the subsampling, "
        "326,520 without, 340,908 connections",
    ),
    input_size=(1, 32, 32),
)
PAPER.network("lenet5_textbook", input_size=(1, 32, 32))

PAPER.results("Fig. 9", ("mnist",), "single crop", {"lenet5": (0.95,)}, confirmed=False)

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
    ),
    unconfirmed=("schedule",),
)

PAPER.not_countable("0.95% test error", "Sec. III-C", "a result of training")
