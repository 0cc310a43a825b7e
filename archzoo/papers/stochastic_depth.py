"""Stochastic depth: the depths of its ResNets, their errors, and how they were trained on each dataset.

Two networks have 152 layers: ``stochastic_depth`` with ``depth=152``, for SVHN, and ``stochastic_depth_152``, for
ImageNet.
"""

from typing import Any

from archzoo.claims import depth, sizes
from archzoo.paper import CIFAR_AUGMENTED, Paper
from archzoo.recipes import CIFAR_AUGMENTATION, FB_RESNET_TORCH_AUGMENTATION, NESTEROV_SGD, MultiStep, Warmup

PAPER = Paper(
    "Deep Networks with Stochastic Depth",
    "G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Weinberger",
    2016,
    "https://arxiv.org/abs/1603.09382",
    models="archzoo.models.stochastic_depth",
)

PAPER.network("stochastic_depth", depth("152", "Sec. 4", options={"depth": 152}), input_size=(3, 32, 32))
PAPER.network(
    "stochastic_depth_152", depth("152", "Sec. 4"), sizes("112-56-28-14-7", "Sec. 4"), input_size=(3, 224, 224)
)
for layers in (110, 1202):
    PAPER.setting(f"stochastic_depth_{layers}", depth(str(layers), "Sec. 4"), of="stochastic_depth", depth=layers)

# Where errors are printed, on what data, of which network with which options, with stochastic and with constant depth.
CIFAR, IMAGENET = ("cifar10", "cifar100"), ("imagenet top-1",)
RESULTS: tuple[
    tuple[str, tuple[str, ...], str, dict[str, Any], tuple[float | None, ...], tuple[float | None, ...]], ...
] = (
    ("Table 1", CIFAR_AUGMENTED, "stochastic_depth_110", {}, (5.25, 24.98), (6.41, 27.76)),
    ("Table 1", ("svhn",), "stochastic_depth", {"depth": 152}, (1.75,), (1.80,)),
    ("Table 1", IMAGENET, "stochastic_depth_152", {}, (21.98,), (21.78,)),
    ("Sec. 4, after 90 epochs", IMAGENET, "stochastic_depth_152", {}, (23.38,), (23.06,)),
    ("Sec. 4", CIFAR, "stochastic_depth_110", {}, (11.66, 37.80), (13.63, 44.74)),
    ("Sec. 4", ("cifar10+",), "stochastic_depth_1202", {}, (4.91,), (6.67,)),
)
for where, columns, name, options, stochastic, constant in RESULTS:
    PAPER.results(where, columns, "single crop", {name: stochastic}, **options)
    PAPER.results(where, columns, "single crop", {name: constant}, **options, survival=1.0)

PAPER.recipe(
    "stochastic_depth_cifar",
    networks=("stochastic_depth", "stochastic_depth_110"),
    data="cifar10",
    source="Sec. 4",
    lr=0.1,
    batch_size=128,
    epochs=500,
    schedule=MultiStep((250, 375)),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=CIFAR_AUGMENTATION,
    validation="5,000 of the 50,000; the epoch of the lowest validation error is tested",
    select="best",
    paper_result="5.25% (110) on CIFAR-10",
)
PAPER.recipe(
    "stochastic_depth_1202_cifar10",
    networks=("stochastic_depth_1202",),
    data="cifar10",
    source="Sec. 4",
    lr=0.1,
    batch_size=128,
    epochs=300,
    schedule=Warmup(0.1, 10, MultiStep((150, 225)), unit="epochs"),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=CIFAR_AUGMENTATION,
    paper_result="4.91% on CIFAR-10",
)
PAPER.recipe(
    "stochastic_depth_svhn",
    networks=("stochastic_depth",),
    data="svhn",
    source="Sec. 4",
    lr=0.1,
    batch_size=128,
    epochs=50,
    schedule=MultiStep((30, 35)),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    validation="6,000: 400 of each class from train, 200 from extra; tested every 200 iterations, at the lowest error",
    select="best",
    paper_result="1.75% (depth=152) on SVHN",
)
PAPER.recipe(
    "stochastic_depth_imagenet",
    networks=("stochastic_depth_152",),
    data="imagenet",
    source="Sec. 4",
    lr=0.1,
    batch_size=128,
    epochs=120,
    schedule=MultiStep((30, 60, 90)),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=FB_RESNET_TORCH_AUGMENTATION,
    paper_result="21.98% top-1 (23.38% after 90 epochs)",
    unspecified=("all but batch and length: the paper's framework is fb.resnet.torch, whose defaults these are",),
)

SURVIVAL = "follows from the probabilities of survival; a test of this paper holds it"
PAPER.not_countable("about 40 of 54 blocks active", "Sec. 3", SURVIVAL)
PAPER.not_countable("25% of the training time saved, 40% with p_L = 0.2", "Sec. 3 and 5", SURVIVAL)
PAPER.not_countable("50 bottlenecks", "Sec. 4", "a number of blocks; a test of this paper holds it")
PAPER.not_countable("15h7m against 20h42m", "Table 2", "clock times of one machine")
PAPER.not_countable("5.25% error on CIFAR-10", "Table 1", "a result of training")
