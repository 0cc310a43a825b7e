"""Deeply-supervised nets: the network for CIFAR-10 and SVHN, the errors, and the released solvers.

The paper prints no size; those that others quote are in their files.
"""

from typing import Any

from archzoo.claims import difference
from archzoo.paper import Paper
from archzoo.recipes import Optimizer, ParameterGroup, RandomCrop, RandomHorizontalFlip, Rescale, StepDecay

PAPER = Paper(
    "Deeply-Supervised Nets",
    "C.-Y. Lee, S. Xie, P. Gallagher, Z. Zhang, Z. Tu",
    2014,
    "https://arxiv.org/abs/1409.5185",
    models="archzoo.models.dsn",
)

PAPER.network(
    "dsn",
    difference("0", "the released definition, read layer by layer", of="params", to="nin"),
    input_size=(3, 32, 32),
)

# As it is trained at first.
PAPER.setting("dsn_companions", of="dsn", auxiliary=True)

QUOTED: dict[str, Any] = {"confirmed": False}
PAPER.results("Table 2", ("cifar10", "cifar10+"), "single crop", {"dsn": (9.69, 7.97)}, **QUOTED)
PAPER.results("Table 2", ("cifar100",), "single crop", {"dsn": (34.57,)}, num_classes=100, **QUOTED)
PAPER.results("Table 3", ("svhn",), "single crop", {"dsn": (1.92,)}, **QUOTED)

# The released definitions: biases learn twice as fast and are not decayed, and the last layer at a tenth of the rate.
GROUPS = (
    ParameterGroup("*.bias", lr_mult=2.0, decay_mult=0.0),
    ParameterGroup("classifier.cccp6.*", lr_mult=0.1),
)
COMPANIONS = ParameterGroup("classifier.companion*", lr_mult=0.001)
CIFAR: dict[str, Any] = {
    "data": "cifar10",
    "batch_size": 100,
    "optimizer": Optimizer("caffe_sgd", {"momentum": 0.9}),
    "schedule": StepDecay(100_001, gamma=0.05, unit="iterations"),
    "weight_decay": 0.0005,
    "loss": "squared_hinge",
    "preprocessing": Rescale(),
}
CONTRAST = "preprocessing: the release normalizes the contrast of each image first, for which there is no type"
DECAY = "groups: the rate of the companions also falls, by an inverse power, for which there is no type"
PAPER.recipe(
    "dsn_cifar10",
    networks=("dsn_companions",),
    source="the authors' released solver, with companion classifiers",
    groups=(*GROUPS, COMPANIONS),
    lr=0.025,
    iterations=50_000,
    paper_result="9.69% on CIFAR-10",
    unspecified=(CONTRAST, DECAY),
    **CIFAR,
)
PAPER.recipe(
    "dsn_cifar10_tuned",
    networks=("dsn",),
    source="the authors' second solver, without companions; starts from the layers of dsn_companions (--init-from)",
    groups=GROUPS,
    lr=0.025,
    iterations=120_000,
    paper_result="9.69% on CIFAR-10",
    unspecified=(CONTRAST,),
    **CIFAR,
)
PAPER.recipe(
    "dsn_cifar10_tuned_further",
    networks=("dsn",),
    source="the authors' third solver; starts from the weights of dsn_cifar10_tuned (--weights)",
    groups=GROUPS,
    lr=0.0001,
    iterations=30_000,
    paper_result="9.69% on CIFAR-10",
    unspecified=(CONTRAST,),
    **CIFAR,
)
PAPER.recipe(
    "dsn_cifar10_augmented",
    networks=("dsn_companions",),
    source="the authors' released solver for augmented images, with companion classifiers",
    groups=(*GROUPS, COMPANIONS),
    lr=0.025,
    iterations=50_000,
    augmentation=(RandomCrop(padding=4), RandomHorizontalFlip()),
    paper_result="7.97% on CIFAR-10",
    unspecified=(CONTRAST, DECAY, "augmentation: the padding, here that which ResNet's Sec. 4.2 cites this paper for"),
    **CIFAR,
)
