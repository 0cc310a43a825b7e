"""All-CNN: Tables 1 to 3 for three base models in four forms, the network for ImageNet, errors, and training.

The authors released no code. The rows that Table 4 quotes are those of its sources.
"""

from typing import Any

from archzoo.claims import depth, difference, params, size
from archzoo.paper import Paper
from archzoo.recipes import (
    MultiStep,
    Optimizer,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    StepDecay,
    SubtractMean,
    ZCAWhitening,
)

PAPER = Paper(
    "Striving for Simplicity: The All Convolutional Net",
    "J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller",
    2014,
    "https://arxiv.org/abs/1412.6806",
    models="archzoo.models.all_cnn",
)

# Table 3: the parameters that it prints for the models A, B and C, and what a faithful network has where that differs.
HUNDRED = "rounds to 0.8M with 10 classes; with 100 it is 0.86M, which rounds to what is printed"
NEITHER = "neither 10 nor 100 classes, with biases or without, round to it"
C_IS_SMALLER = (
    "All-CNN-C, printed with 1.4M, has two 3x3 convolutions more, of 0.42M: its own base can have no more than 1.0M"
)
TABLE_3: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "all_cnn_base": (
        ("~0.9M", {"ours": "0.8M", "why": HUNDRED}),
        ("~1M", {}),
        ("~1.3M", {"ours": "1.0M", "why": C_IS_SMALLER}),
    ),
    "strided_cnn": (
        ("~0.9M", {"ours": "0.8M", "why": HUNDRED}),
        ("~1M", {}),
        ("~1.3M", {"ours": "1.0M", "why": C_IS_SMALLER}),
    ),
    "conv_pool_cnn": (
        ("~1.28M", {"ours": "1.25M", "why": NEITHER}),
        ("~1.35M", {"ours": "1.30M", "why": NEITHER}),
        ("~1.4M", {}),
    ),
    "all_cnn": (
        ("~1.28M", {"ours": "1.25M", "why": NEITHER}),
        ("~1.35M", {"ours": "1.30M", "why": NEITHER}),
        ("~1.4M", {}),
    ),
}
for family, row in TABLE_3.items():
    PAPER.network(family, input_size=(3, 32, 32))
    for config, (printed, explained) in zip("ABC", row, strict=True):
        more: list[Any] = [size("6x6", "Table 1", at="features.relu3_2")]
        if family == "conv_pool_cnn":
            same: dict[str, Any] = {"of": "params", "to": f"all_cnn_{config.lower()}", "confirmed": False}
            more.append(difference("exactly the same", "Sec. 3.1", **same))
        name = f"{family}_{config.lower()}"
        PAPER.setting(name, params(printed, "Table 3", **explained), *more, of=family, config=config)

PAPER.network(
    "all_cnn_imagenet",
    params("less than 10M", "appendix"),
    depth("12", "appendix"),
    input_size=(3, 227, 227),
)
PAPER.prints(
    "all_cnn_c",
    params("~1.3M", "Table 4", ours="1.4M", why="Table 3 prints 1.4M for it; cut off, not rounded", confirmed=False),
)
PAPER.prints("nin", params("~1M", "Table 4", confirmed=False))
PAPER.prints("dsn", params("~1M", "Table 4", confirmed=False))

TABLE_3_ERRORS = {
    "all_cnn_base": (12.47, 10.20, 9.74),
    "strided_cnn": (13.46, 10.98, 10.19),
    "conv_pool_cnn": (10.21, 9.33, 9.31),
    "all_cnn": (10.30, 9.10, 9.08),
}
PAPER.results(
    "Table 3",
    ("cifar10",),
    "single crop",
    {
        f"{family}_{config}": (error,)
        for family, errors in TABLE_3_ERRORS.items()
        for config, error in zip("abc", errors, strict=True)
    },
)
PAPER.results("Table 4", ("cifar10+",), "single crop", {"all_cnn_c": (7.25,)})
PAPER.results("Table 5", ("cifar100+",), "single crop", {"all_cnn_c": (33.71,)}, num_classes=100)
PAPER.results("Sec. 3.4", ("imagenet top-1",), "single crop", {"all_cnn_imagenet": (41.2,)})

CIFAR: dict[str, Any] = {
    "networks": ("all_cnn", "all_cnn_?", "all_cnn_base*", "conv_pool_cnn*", "strided_cnn*"),
    "data": "cifar10",
    "lr": 0.05,
    "epochs": 350,
    "schedule": MultiStep((200, 250, 300)),
    "weight_decay": 0.001,
    "batch_size": 256,
    "preprocessing": ZCAWhitening(),
    "optimizer": Optimizer("caffe_sgd", {"momentum": 0.9}),  # trained with Caffe
}
UNSPECIFIED = (
    "lr: the best of 0.25, 0.1, 0.05 and 0.01 for each model; which one is not printed",
    "batch_size: that of a replication of All-CNN-C, as is the learning rate",
)
PAPER.recipe(
    "all_cnn_cifar",
    source="Sec. 3.2.1",
    paper_result="9.08% on CIFAR-10 (all_cnn_c)",
    unspecified=UNSPECIFIED,
    **CIFAR,
)
PAPER.recipe(
    "all_cnn_cifar_augmented",
    source="Sec. 3.2.1, the rows with data augmentation",
    augmentation=(RandomCrop(padding=5), RandomHorizontalFlip()),
    paper_result="7.25% on CIFAR-10, 33.71% on CIFAR-100 (all_cnn_c)",
    unspecified=UNSPECIFIED,
    unconfirmed=("augmentation",),
    **CIFAR,
)
PAPER.recipe(
    "all_cnn_imagenet",
    networks=("all_cnn_imagenet",),
    data="imagenet",
    source="Sec. 3.4",
    lr=0.01,
    batch_size=64,
    iterations=450_000,
    schedule=StepDecay(200_000, gamma=0.1, unit="iterations"),
    weight_decay=0.0005,
    optimizer=Optimizer("caffe_sgd", {"momentum": 0.9}),
    augmentation=(Resize(256), RandomCrop(), RandomHorizontalFlip()),
    preprocessing=SubtractMean("channel"),
    paper_result="41.2% top-1",
    unspecified=("augmentation, preprocessing: not printed; those of AlexNet without colors",),
)

PAPER.not_countable("> 6M", "Table 4", "Maxout, which is not built here")
