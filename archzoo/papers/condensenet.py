"""CondenseNet: the tables of the authors' README and of the paper, what they quote of others, errors, and training.

The tables for CIFAR count the test form before its classifier is pruned, those for ImageNet the converted networks.
"""

from typing import Any

from archzoo.claims import Claim, depth, macs, megabytes, params, sizes
from archzoo.paper import CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    CIFAR_AUGMENTATION,
    IMAGENET_NORMALIZATION,
    NESTEROV_SGD,
    Cosine,
    GroupLasso,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    SingleCrop,
)

PAPER = Paper(
    "CondenseNet: An Efficient DenseNet using Learned Group Convolutions",
    "G. Huang, S. Liu, L. van der Maaten, K. Weinberger",
    2018,
    "https://arxiv.org/abs/1711.09224",
    models="archzoo.models.condensenet",
)

README = "README of the authors' code"
ARM = "README of the authors' code, time on ARM"
COUNTER: dict[str, Any] = {"counting": "CondenseNet's counter"}

# The README's table for CIFAR by depth: name, options, "FLOPs", parameters, errors on CIFAR-10 and CIFAR-100.
Row = tuple[str, dict[str, Any], str, str, tuple[float, float | None]]
CIFAR: dict[int, Row] = {
    50: ("condensenet50", {}, "28.6M", "0.22M", (6.22, None)),
    74: ("condensenet74_cifar", {}, "51.9M", "0.41M", (5.28, None)),
    86: ("condensenet86", {}, "65.8M", "0.52M", (5.06, 23.64)),
    98: ("condensenet98", {}, "81.3M", "0.65M", (4.83, None)),
    110: ("condensenet110", {}, "98.2M", "0.79M", (4.63, None)),
    122: ("condensenet122", {}, "116.7M", "0.95M", (4.48, None)),
    182: ("condensenet182", {"k0": 12}, "513M", "4.2M", (3.76, 18.47)),
}
# What only the paper prints.
FROM_PAPER: dict[int, tuple[Claim, ...]] = {
    86: (
        macs(
            "65M",
            "Table 2",
            ours="66M",
            why="cut off, not rounded: 65.8M, as the README has it",
            confirmed=False,
            **COUNTER,
        ),
        params("0.52M", "Table 2", confirmed=False),
    ),
}

PAPER.network("condensenet_cifar", input_size=(3, 32, 32))
for layers, (name, options, flops, count, _) in CIFAR.items():
    claims = (macs(flops, README, **COUNTER), params(count, README), depth(str(layers), README))
    PAPER.setting(name, *claims, *FROM_PAPER.get(layers, ()), of="condensenet_cifar", depth=layers, **options)

PAPER.network("condensenet_light", input_size=(3, 32, 32))
PAPER.setting(
    "condensenet_light94",
    macs("122M", "Table 2", confirmed=False, **COUNTER),
    params("0.33M", "Table 2", confirmed=False),
    of="condensenet_light",
    depth=94,
    k=16,
)
PAPER.setting(
    "condensenet_light160",
    macs(
        "1,084M",
        "comparison on CIFAR",
        ours="1,137M",
        why="1,137M by the authors' counter, 1,110M multiply-adds; with 3.1M parameters and 26 layers in a block, no "
        "growth rate from 24 to 40, first layer, bottleneck from 2 to 4 or compression from 0.25 to 1 gives it",
        confirmed=False,
        **COUNTER,
    ),
    params("3.1M", "comparison on CIFAR", confirmed=False),
    of="condensenet_light",
    depth=160,
    k=32,
)

# ImageNet: groups and condensation factor, "FLOPs", parameters, MB of the file of weights and of parameters alone, and
# of all tensors, top-1 and top-5 error.
IMAGENET: dict[int, tuple[str, str, str, str, str, tuple[float, float]]] = {
    4: ("529M", "4.8M", "18.69MB", "18.21MB", "18.62", (26.2, 8.3)),
    8: ("274M", "2.9M", "11.68MB", "11.20MB", "11.61", (29.0, 10.0)),
}
PAPER.network("condensenet", input_size=(3, 224, 224))
for c, (flops, count, file, ours, tensors, _) in IMAGENET.items():
    with_tensors = (
        f"printed without the B; {tensors}MB with the running statistics, and with the places that index layers "
        "select, 8 bytes each; the rest is the format of the file"
    )
    PAPER.setting(
        f"condensenet74_c{c}",
        macs(flops, f"{README}, Table 4", **COUNTER),
        params(count, f"{README}, Table 4"),
        depth("74", README),
        megabytes(file, README, ours=ours, why=with_tensors, counting="MB = 2^20"),
        of="condensenet",
        g=c,
        c=c,
    )
for name in ("condensenet74_c4", "condensenet74_c8"):
    PAPER.prints(name, sizes("112-56-28-14-7", "Sec. 4, architecture", confirmed=False))

# What is quoted of other networks.
WITH_MAX_POOLING = "1,816M by the authors' counter, which knows no max pooling: that reads 1.8M more"
PAPER.prints("mobilenet_v1_x1_0", macs("569M", ARM))
PAPER.prints("resnet18", macs("1,818M", ARM, options={"option": "B"}, ours="1,816M", why=WITH_MAX_POOLING, **COUNTER))
PAPER.prints("vgg_d", macs("15,300M", ARM, ours="15,470M", why="15,347M in the convolutions alone, 15,470M with all"))
ANOTHER = "not this network's, of which its authors print 10.2M parameters; where both numbers are from is not known"
PAPER.prints(
    "preact_resnet1001",
    params("16.1M", "comparison on CIFAR", ours="10.3M", why=ANOTHER, confirmed=False),
    macs("2,357M", "comparison on CIFAR", ours="1,507M", why=ANOTHER, confirmed=False, **COUNTER),
)
NORMALIZED = "{} with one operation for each input of a batch norm and of a ReLU, and none for pooling{}"
PAPER.prints(
    "densenet_bc_190_40",
    params("25.6M", "comparison on CIFAR", confirmed=False),
    macs(
        "9,388M",
        "comparison on CIFAR",
        ours="9,346M",
        why=NORMALIZED.format("9,388.6M", ", cut off"),
        confirmed=False,
        **COUNTER,
    ),
)
PAPER.prints(
    "wide_resnet_28_10",
    params("36.5M", "comparison on CIFAR", confirmed=False),
    macs(
        "5,248M",
        "comparison on CIFAR",
        ours="5,246M",
        why=NORMALIZED.format("5,247.9M", ""),
        confirmed=False,
        **COUNTER,
    ),
)

TRAINED: dict[str, Any] = {"form": "training"}
LONG = ("condensenet182", "condensenet_light160")
LIGHT = {"condensenet_light94": (5.00, 24.08), "condensenet_light160": (3.46, 17.55)}
CLASSES: tuple[dict[str, Any], ...] = ({}, {"num_classes": 100})
for column, (data, classes) in enumerate(zip(CIFAR_AUGMENTED, CLASSES, strict=True)):
    read = {name: (errors[column],) for name, _, _, _, errors in CIFAR.values() if errors[column] is not None}
    PAPER.results(README, (data,), "single crop", read, **TRAINED, **classes)
    remembered = {name: (errors[column],) for name, errors in LIGHT.items()}
    PAPER.results("comparison on CIFAR", (data,), "single crop", remembered, confirmed=False, **TRAINED, **classes)
PAPER.results(
    "Table 2", CIFAR_AUGMENTED[:1], "single crop", {"condensenet86": (5.00,)}, confirmed=False, digits=2, **TRAINED
)
PAPER.results(
    f"{README}, Table 4",
    TOP_1_AND_5,
    "single crop",
    {f"condensenet74_c{c}": errors for c, (*_, errors) in IMAGENET.items()},
    note="of the converted network, whose classifier reads half of the features",
    **TRAINED,
)

SHARED: dict[str, Any] = {
    "lr": 0.1,
    "schedule": Cosine(),
    "optimizer": NESTEROV_SGD,
    "weight_decay": 0.0001,
    "regularizers": (GroupLasso(0.00001),),
}
SCRIPT = "script.sh and the defaults of main.py in the authors' code"
# By data: means and deviations of the channels, and the errors of the networks with 300 and with 600 epochs.
DATA: dict[str, tuple[Normalize, str, str]] = {
    "cifar10": (
        Normalize((0.4914, 0.4824, 0.4467), (0.2471, 0.2435, 0.2616)),
        "5.06% on CIFAR-10 (condensenet86)",
        "3.76% on CIFAR-10 (condensenet182)",
    ),
    "cifar100": (
        Normalize((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
        "23.64% on CIFAR-100 (condensenet86)",
        "18.47% on CIFAR-100 (condensenet182)",
    ),
}
SHORT = (*(name for name, *_ in CIFAR.values() if name not in LONG), "condensenet_light94")
for data, (normalization, short, long) in DATA.items():
    for suffix, networks, epochs, result in (
        ("", ("condensenet_cifar", "condensenet_light", *SHORT), 300, short),
        ("_600", LONG, 600, long),
    ):
        PAPER.recipe(
            f"condensenet_{data}{suffix}",
            networks=networks,
            data=data,
            source=f"{SCRIPT}; {README} for 600 epochs" if suffix else SCRIPT,
            batch_size=64,
            epochs=epochs,
            augmentation=CIFAR_AUGMENTATION,
            preprocessing=normalization,
            paper_result=f"{result}, with form='training'",
            unspecified=("regularizers: the released script has no group lasso on CIFAR",),
            unconfirmed=("regularizers",),
            **SHARED,
        )
PAPER.recipe(
    "condensenet_imagenet",
    networks=("condensenet", "condensenet74_c4", "condensenet74_c8"),
    data="imagenet",
    source=SCRIPT,
    batch_size=256,
    epochs=120,
    augmentation=(RandomResizedCrop(), RandomHorizontalFlip()),
    preprocessing=IMAGENET_NORMALIZATION,
    protocol=SingleCrop(224, resize=256),
    paper_result="26.2% top-1, 8.3% top-5 (condensenet74_c4), with form='training'",
    **SHARED,
)

PAPER.not_countable("354, 8.14, 1.96, 1.89, 0.99 s", ARM, "clock times of one processor")
PAPER.not_countable("0.1", "Sec. 4", "the probability of dropout: an option, drop, and not in the released script")
