"""Random Erasing: errors of other papers' networks with and without it, and how they were trained.

The released code (github.com/zhunzhong07/Random-Erasing) builds, of what is here,

- as ResNet-20 and 32, ``resnet20`` and ``resnet32`` with ``option="B"``: its shortcuts project where sizes change;
- as WRN-28-10, ``wide_resnet_28_10``;
- as ResNet-44, 56 and 110, networks of bottlenecks with 9n + 2 layers, 65, 83 and 164, which are not built here: not
  ``resnet44``, ``resnet56`` and ``resnet110``.
"""

from typing import Any

from archzoo.paper import Paper
from archzoo.recipes import MultiStep, Normalize, RandomCrop, RandomErasing, RandomHorizontalFlip, Transform, sgd

PAPER = Paper(
    "Random Erasing Data Augmentation",
    "Z. Zhong, L. Zheng, G. Kang, S. Li, Y. Yang",
    2017,
    "https://arxiv.org/abs/1708.04896",
)

# What is here of those that it builds, with their options.
NETWORKS: dict[str, dict[str, Any]] = {
    "resnet20": {"option": "B"},
    "resnet32": {"option": "B"},
    "wide_resnet_28_10": {},
}
# Table 1, mean and deviation of 5 runs: without and with erasing. The README of the release has the means alone; the
# deviations are given where a third party quotes them too.
TABLE_1: dict[str, dict[str, tuple[Any, Any]]] = {
    "cifar10": {
        "resnet20": ((7.21, 0.17), (6.73, 0.09)),
        "resnet32": ((6.41, 0.06), (5.66, 0.10)),
        "wide_resnet_28_10": (3.80, 3.08),
    },
    "cifar100": {
        "resnet20": ((30.84, 0.19), (29.97, 0.11)),
        "resnet32": ((28.50, 0.37), (27.18, 0.32)),
        "wide_resnet_28_10": (18.49, 17.73),
    },
    "fashion_mnist": {
        "resnet20": ((4.39, 0.08), (4.02, 0.07)),
        "resnet32": ((4.16, 0.13), (3.80, 0.05)),
        "wide_resnet_28_10": (4.01, 3.65),
    },
}
# What the release normalizes with; Fashion-MNIST has the constants of MNIST.
NORMALIZATION = {
    "cifar10": Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "fashion_mnist": Normalize((0.1307,), (0.3081,)),
}
# What the release erases with, after it has normalized: on Fashion-MNIST a gray near the mean.
FILL = {
    "cifar10": (0.4914, 0.4822, 0.4465),
    "cifar100": (0.4914, 0.4822, 0.4465),
    "fashion_mnist": (0.4914,),
}
OVERLAP = (
    "measured on the images before 31 August 2017, of which some were in both the training and the test set; on those "
    "that can be had, the author expects errors 0.4 points higher (zhunzhong07/Random-Erasing, issue 9), and another "
    "user of the release has 4.82% without and 4.45% with erasing for ResNet-20 (issue 10)"
)
CROP_AND_FLIP = (RandomCrop(padding=4, padding_mode="black"), RandomHorizontalFlip())


def erasing(data: str) -> Transform:
    """Areas of 0.02 to 0.4 of the image, and heights of 0.3 to 1 / 0.3 widths (Sec. 4, transforms.py)."""
    return RandomErasing(p=0.5, scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3), aspect="uniform", fill=FILL[data])


UNSPECIFIED = (
    "fill: the paper erases with random values, which its author finds about as good as the mean; the released code "
    "writes these constants after it has normalized",
    "attempts: the release draws up to 100 boxes for an image, and 10 are drawn here: all are too large once in 10^12",
    "epoch: the paper does not say whether the last or the best is printed; the release prints both",
)

for data, rows in TABLE_1.items():
    note = OVERLAP if data == "fashion_mnist" else ""
    for at, name in enumerate((f"random_erasing_{data}_baseline", f"random_erasing_{data}")):
        for network, options in NETWORKS.items():
            PAPER.results(
                f"Table 1, {'with' if at else 'without'} random erasing",
                (f"{data}+",),
                "single crop",
                {network: (rows[network][at],)},
                digits=2,
                recipe=name,
                note=note,
                **options,
            )
        PAPER.recipe(
            name,
            networks=tuple(NETWORKS),
            data=data,
            source="Sec. 4.2; cifar.py, fashionmnist.py and transforms.py of the release",
            lr=0.1,
            batch_size=128,
            epochs=300,
            schedule=MultiStep((150, 225)),
            optimizer=sgd(),
            weight_decay=0.0005,
            augmentation=(*CROP_AND_FLIP, erasing(data)) if at else CROP_AND_FLIP,
            preprocessing=NORMALIZATION[data],
            input_side=28 if data == "fashion_mnist" else None,
            validation="none: the release tests after each epoch",
            paper_result=", ".join(
                f"{row[at][0] if isinstance(row[at], tuple) else row[at]:.2f}% ({network})"
                for network, row in rows.items()
            ),
            unspecified=UNSPECIFIED if at else UNSPECIFIED[-1:],
        )

PAPER.not_countable(
    "errors of ResNet-44, 56 and 110, of pre-activation ResNet-18 and of ResNeXt-8-64",
    "Table 1",
    "what a trained net reaches, and the released networks of these names are not built here",
)
