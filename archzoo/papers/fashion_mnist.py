"""Fashion-MNIST: errors of other papers' networks that its README lists, and recipes for them. No network is its own.

The README names the submitter of each result, and of the training that images are normalized, cropped and flipped. All
else is what the network's own paper does on CIFAR-10, with the statistics of Fashion-MNIST and images of 28x28. These
have one channel, with which WRN-40-4 has the 8.9M parameters of the README, and DenseNet-BC 768,730, printed as 768K.
"""

from typing import Any

from archzoo.paper import Paper
from archzoo.recipes import (
    NESTEROV_SGD,
    MultiStep,
    MultiStepFraction,
    PiecewiseConstant,
    RandomCrop,
    RandomHorizontalFlip,
    Rescale,
    sgd,
)

PAPER = Paper(
    "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
    "H. Xiao, K. Rasul, R. Vollgraf",
    2017,
    "https://arxiv.org/abs/1708.07747",
)
README = "README of zalandoresearch/fashion-mnist, submitted by ajbrock"
for network, error in (("wide_resnet_40_4", 3.3), ("densenet_bc", 4.6)):
    PAPER.results(README, ("fashion_mnist+",), "single crop", {network: (error,)}, recipe=f"fashion_mnist_{network}")

SHARED: dict[str, Any] = {"data": "fashion_mnist", "input_side": 28}
NETWORK_ALONE = "all values: the README names the network alone; these are its paper's on CIFAR-10"
# The README's 4.1% and 3.7% of WRN-28-10 are those of Random Erasing, in whose file its other two recipes are.
NO_ERROR = "all values: these are Wide ResNet's on CIFAR-10, by which no error of WRN-28-10 on Fashion-MNIST is printed"
for network, source, printed, unspecified in (
    ("wide_resnet_40_4", README, "3.3% (WRN-40-4)", NETWORK_ALONE),
    ("wide_resnet_28_10", "Wide ResNet's own on CIFAR-10 (Sec. 3)", "", NO_ERROR),
):
    PAPER.recipe(
        f"fashion_mnist_{network}",
        **SHARED,
        networks=(network,),
        source=source,
        lr=0.1,
        batch_size=128,
        epochs=200,
        schedule=MultiStep((60, 120, 160), gamma=0.2),
        optimizer=NESTEROV_SGD,
        weight_decay=0.0005,
        augmentation=(RandomCrop(padding=4, padding_mode="reflect"), RandomHorizontalFlip()),
        paper_result=printed,
        unspecified=(unspecified,),
    )
PAPER.recipe(
    "fashion_mnist_densenet_bc",
    **SHARED,
    networks=("densenet_bc",),
    source=README,
    lr=0.1,
    batch_size=64,
    epochs=300,
    schedule=MultiStepFraction((0.5, 0.75)),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=(RandomCrop(padding=4), RandomHorizontalFlip()),
    paper_result="4.6% (DenseNet-BC of 768K parameters)",
    unspecified=(NETWORK_ALONE,),
)
PAPER.recipe(
    "fashion_mnist_lenet5",
    networks=("lenet5", "lenet5_textbook"),
    data="fashion_mnist",
    source="LeNet-5's own on MNIST (Gradient-Based Learning, Sec. III-B)",
    lr=0.0005,
    batch_size=1,
    epochs=20,
    schedule=PiecewiseConstant((2, 5, 8, 12), (0.4, 0.2, 0.1, 0.02)),
    optimizer=sgd(0.0),
    preprocessing=Rescale(-0.1, 1.175),
    unspecified=("all values: no error of LeNet-5 on Fashion-MNIST is printed; the images are padded to 32x32",),
)

PAPER.not_countable(
    "93.5% (VGG-16 of 26M parameters), 93.7% (GoogLeNet)",
    "official README",
    "what a trained net reaches, and the README does not say which layers these networks have at 28x28",
)
