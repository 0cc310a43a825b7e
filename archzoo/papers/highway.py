"""Highway networks: Tables 1 to 3, what the authors' Caffe counted in its logs, and the released solvers.

The layers of networks A and C of Table 2 are not published.
"""

from typing import Any

from archzoo.claims import depth, params
from archzoo.paper import CIFAR_AUGMENTED, Paper
from archzoo.recipes import (
    MultiStep,
    Optimizer,
    ParameterGroup,
    RandomCrop,
    RandomHorizontalFlip,
    Rescale,
    SubtractMean,
)

PAPER = Paper(
    "Training Very Deep Networks",
    "R. K. Srivastava, K. Greff, J. Schmidhuber",
    2015,
    "https://arxiv.org/abs/1507.06228",
    models="archzoo.models.highway",
)

LOG = "the authors' training logs"

PAPER.network(
    "highway_cifar",
    params("~2.3M", "Table 2"),
    depth("19", "Table 2"),
    params("2,256,838", LOG),
    params("2,265,928", LOG, options={"num_classes": 100}),
    input_size=(3, 32, 32),
)
PAPER.network("highway_mnist", input_size=(1, 28, 28))
PAPER.setting("highway_mnist_16", params("39K", "Table 1"), depth("10", "Table 1"), of="highway_mnist", width=16)
PAPER.setting(
    "highway_mnist_32",
    params("151K", "Table 1", ours="152K", why="cut off, not rounded: the authors' log says 151,690"),
    params("151,690", LOG),
    depth("10", "Table 1"),
    of="highway_mnist",
    width=32,
)

MEAN = "mean of five runs"
PAPER.results("Table 1", ("mnist",), MEAN, {"highway_mnist_16": (0.60,), "highway_mnist_32": (0.46,)})
PAPER.results("Table 2", ("cifar10+",), MEAN, {"highway_cifar": (7.72,)})
PAPER.results("Table 3", CIFAR_AUGMENTED[:1], MEAN, {"highway_cifar": (7.69,)})
PAPER.results("Table 3", CIFAR_AUGMENTED[1:], MEAN, {"highway_cifar": (32.39,)}, num_classes=100)

# In all released definitions: biases learn twice as fast and are not decayed, the last layer decays ten times as much.
RELEASED: dict[str, Any] = {
    "batch_size": 100,
    "optimizer": Optimizer("caffe_sgd", {"momentum": 0.9, "nesterov": True}),
    "weight_decay": 0.001,
    "groups": (
        ParameterGroup("*.bias", lr_mult=2.0, decay_mult=0.0),
        ParameterGroup("classifier.fc.weight", decay_mult=10.0),
    ),
}
PAPER.recipe(
    "highway_cifar",
    networks=("highway_cifar",),
    data="cifar10",
    source="Sec. 4 and the authors' released solver and definition",
    lr=0.025,
    iterations=200_000,
    schedule=MultiStep((100_000, 150_000, 175_000), unit="iterations"),
    augmentation=(RandomCrop(padding=8), RandomHorizontalFlip()),
    preprocessing=SubtractMean("pixel"),
    validation="chosen once on a validation set of CIFAR-10, and kept",
    paper_result="7.72% on CIFAR-10, 32.39% on CIFAR-100",
    unspecified=(
        "preprocessing: the release normalizes the contrast of each image first, for which there is no type",
        "preprocessing: the release subtracts a mean of padded images, 48x48, before it crops",
    ),
    **RELEASED,
)
PAPER.recipe(
    "highway_mnist",
    networks=("highway_mnist", "highway_mnist_*"),
    data="mnist",
    source="Sec. 4 and the authors' released solver and definition",
    lr=0.01,
    iterations=180_000,
    schedule=MultiStep((60_000, 120_000), unit="iterations"),
    preprocessing=Rescale(),
    paper_result="0.46% on MNIST (highway_mnist_32)",
    unspecified=("preprocessing: the release divides by 256, here by 255",),
    **RELEASED,
)

UNPUBLISHED = "its layers are not published"
PAPER.not_countable("~236K", "Table 2, Highway A", UNPUBLISHED)
PAPER.not_countable("~1.25M", "Table 2, Highway C", UNPUBLISHED)
PAPER.not_countable("~9M, ~250K, ~2.5M", "Table 2", "networks of FitNets, which are not built here")
PAPER.not_countable("420K, 350K", "Table 1", "Maxout and DSN for MNIST, which are not built here")
