"""Network in Network: the size of the released network, the errors, and how both networks were trained.

The paper itself prints no widths and no size; the network for ImageNet is a release of its first author alone.
"""

from archzoo.claims import megabytes, ratio
from archzoo.paper import CIFAR_AND_SVHN, Paper
from archzoo.recipes import (
    CenterCrop,
    RandomCrop,
    RandomHorizontalFlip,
    ReduceOnPlateau,
    Resize,
    StepDecay,
    SubtractMean,
    ZCAWhitening,
)

PAPER = Paper(
    "Network In Network",
    "M. Lin, Q. Chen, S. Yan",
    2013,
    "https://arxiv.org/abs/1312.4400",
    models="archzoo.models.nin",
)

PAPER.network("nin", input_size=(3, 32, 32))
PAPER.network(
    "nin_imagenet",
    megabytes("29MB", "the author's model card", counting="MB = 2^20"),
    ratio("one eighth", "the author's model card", of="bytes", to="alexnet"),
    input_size=(3, 224, 224),
)

PAPER.results("Tables 1 to 3", CIFAR_AND_SVHN, "single crop", {"nin": (10.41, 8.81, 35.68, None, 2.35)})

PAPER.recipe(
    "nin_cifar10",
    networks=("nin",),
    data="cifar10",
    source="Sec. 4.1, and the authors' parameters",
    lr=0.1,
    batch_size=128,
    epochs=230,
    schedule=ReduceOnPlateau(drops=2),
    weight_decay=0.00001,
    preprocessing=ZCAWhitening(),
    validation="10,000 of the 50,000, to choose the receptive field and the weight decay",
    paper_result="10.41% (8.81% with augmentation) on CIFAR-10",
    unspecified=("length: not printed", "patience of the plateau: 5 epochs"),
)
PAPER.recipe(
    "nin_imagenet_release",
    networks=("nin_imagenet",),
    data="imagenet",
    source="the author's released solver",
    lr=0.01,
    batch_size=64,
    iterations=450_000,
    schedule=StepDecay(200_000, gamma=0.1, unit="iterations"),
    weight_decay=0.0005,
    decay_scope="weights",
    augmentation=(Resize(256), CenterCrop(256), RandomCrop(), RandomHorizontalFlip()),
    preprocessing=SubtractMean("pixel"),
    paper_result="59.36% top-1 accuracy (single crop)",
    unspecified=(
        "augmentation: the size of the images that are cropped, here the central 256x256 of a shorter side of 256",
        "lr: that of the biases is twice as high in the release, and the same here",
    ),
    unconfirmed=("lr", "iterations", "schedule", "optimizer", "weight_decay", "paper_result"),
)

PAPER.not_countable(
    "no parameter to optimize",
    "Sec. 3.2",
    "words on global average pooling, no number; a test of Network in Network holds it",
)
