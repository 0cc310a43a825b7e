"""What the papers reached: errors in percent, each with the data, the protocol, and where it is printed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

DATA = {
    "imagenet top-1": "ImageNet, top-1",
    "imagenet top-5": "ImageNet, top-5",
    "cifar10+": "CIFAR-10, shifted and mirrored",
    "cifar100+": "CIFAR-100, shifted and mirrored",
    "cifar10": "CIFAR-10 as it is",
    "cifar100": "CIFAR-100 as it is",
    "svhn": "SVHN",
    "mnist": "MNIST",
}


@dataclass(frozen=True)
class Result:
    """One published error in percent. ``options`` are those that differ from the network's own."""

    name: str
    data: str
    error: float
    protocol: str
    where: str
    options: Mapping[str, Any] = field(default_factory=dict)
    confirmed: bool = True


TOP = ("imagenet top-1", "imagenet top-5")
CIFAR = ("cifar10", "cifar10+", "cifar100", "cifar100+", "svhn")
BOTH = ("cifar10+", "cifar100+")
ONE, TEN, DENSE = "single crop", "ten crops", "dense, single scale"
Row = Sequence[float | None]


@dataclass(frozen=True)
class Table:
    """A printed table: a row of errors for each network, or for a network with options, in the order of the columns."""

    where: str
    columns: Sequence[str]
    protocol: str
    rows: Mapping[str, Row]
    options: Mapping[str, Any] = field(default_factory=dict)
    confirmed: bool = True

    def results(self) -> Iterator[Result]:
        """Each error that is printed."""
        for name, errors in self.rows.items():
            for data, error in zip(self.columns, errors, strict=True):
                if error is not None:
                    yield Result(name, data, error, self.protocol, self.where, self.options, self.confirmed)


TABLES = (
    Table("LeNet-5, Fig. 9", ("mnist",), "single view", {"lenet5": (0.95,)}, confirmed=False),
    Table("AlexNet, Table 2", TOP, TEN, {"alexnet": (40.7, 18.2)}),
    Table("ZFNet, Table 2", TOP, TEN, {"zfnet": (38.4, 16.5)}),
    Table("NIN, Tables 1 to 3", CIFAR, "single view", {"nin": (10.41, 8.81, 35.68, None, 2.35)}),
    Table(
        "VGG, Table 3, one training scale of 256",
        TOP,
        DENSE,
        {
            "vgg_a": (29.6, 10.4),
            "vgg_a_lrn": (29.7, 10.5),
            "vgg_b": (28.7, 9.9),
            "vgg_c": (28.1, 9.4),
            "vgg_d": (27.0, 8.8),
            "vgg_e": (27.3, 9.0),
        },
    ),
    Table(
        "VGG, Table 4, scale jittering",
        TOP,
        "dense, three scales",
        {"vgg_c": (26.3, 8.2), "vgg_d": (24.8, 7.5), "vgg_e": (24.8, 7.5)},
    ),
    Table("VGG, Table 5", TOP, "dense and multi-crop", {"vgg_d": (24.4, 7.2), "vgg_e": (24.4, 7.1)}),
    Table("GoogLeNet, Table 3", TOP[1:], ONE, {"googlenet": (10.07,)}),
    Table("GoogLeNet, Table 3", TOP[1:], TEN, {"googlenet": (9.15,)}),
    Table("GoogLeNet, Table 3", TOP[1:], "144 crops", {"googlenet": (7.89,)}),
    Table(
        "ResNet, Tables 2 and 3",
        TOP,
        TEN,
        {
            "plain18": (27.94, None),
            "plain34": (28.54, 10.02),
            "resnet18": (27.88, None),
            "resnet34": (25.03, 7.76),
            "resnet50": (22.85, 6.71),
            "resnet101": (21.75, 6.05),
            "resnet152": (21.43, 5.71),
        },
    ),
    Table("ResNet, Table 3", TOP, TEN, {"resnet34": (24.52, 7.46)}, {"option": "B"}),
    Table("ResNet, Table 3", TOP, TEN, {"resnet34": (24.19, 7.4)}, {"option": "C"}),
    Table(
        "ResNet, Table 4",
        TOP,
        "dense, several scales",
        {"resnet50": (20.74, 5.25), "resnet101": (19.87, 4.60), "resnet152": (19.38, 4.49)},
    ),
    Table(
        "ResNet, the authors' release",
        TOP,
        ONE,
        {"resnet50": (24.7, 7.8), "resnet101": (23.6, 7.1), "resnet152": (23.0, 6.7)},
    ),
    Table(
        "ResNet, Table 6",
        ("cifar10+",),
        "single view",
        {
            "resnet20": (8.75,),
            "resnet32": (7.51,),
            "resnet44": (7.17,),
            "resnet56": (6.97,),
            "resnet110": (6.43,),
            "resnet1202": (7.93,),
        },
    ),
    Table(
        "pre-activation ResNet, Tables 3 and 4",
        BOTH,
        "single view",
        {"preact_resnet110": (6.37, None), "preact_resnet164": (5.46, 24.33), "preact_resnet1001": (4.62, 22.71)},
    ),
    Table("pre-activation ResNet, Table 5", TOP, "320x320 crop", {"preact_resnet200": (20.1, 4.8)}),
    Table("pre-activation ResNet, the authors' release", TOP, ONE, {"preact_resnet200": (21.66, 5.79)}),
    Table(
        "Stochastic Depth, Table 1",
        CIFAR,
        "single view",
        {"stochastic_depth_110": (11.66, 5.25, 37.80, 24.98, None), "stochastic_depth_1202": (None, 4.91, *[None] * 3)},
    ),
    Table("Stochastic Depth, Table 1", ("svhn",), "single view", {"stochastic_depth_152": (1.75,)}),
    Table("Stochastic Depth, Table 1", TOP[:1], ONE, {"stochastic_depth_152": (21.98,)}),
    Table(
        "Wide ResNet, Table 2",
        ("cifar10+",),
        "single view",
        {
            "wide_resnet_40_2_b131": (6.06,),
            "wide_resnet_40_2_b31": (5.78,),
            "wide_resnet_40_2_b13": (6.42,),
            "wide_resnet_40_2_b311": (5.86,),
            "wide_resnet_28_2": (5.73,),
            "wide_resnet_22_2_b313": (5.78,),
        },
    ),
    Table(
        "Wide ResNet, Table 3",
        ("cifar10+",),
        "single view",
        {
            "wide_resnet_40_2_b3": (6.69,),
            "wide_resnet_40_2": (5.43,),
            "wide_resnet_40_2_b333": (5.65,),
            "wide_resnet_40_2_b3333": (5.93,),
        },
    ),
    Table(
        "Wide ResNet, Table 4",
        BOTH,
        "single view",
        {
            "wide_resnet_40_1": (6.85, 30.89),
            "wide_resnet_40_2": (5.33, 26.04),
            "wide_resnet_40_4": (4.97, 22.89),
            "wide_resnet_40_8": (4.66, None),
            "wide_resnet_28_10": (4.17, 20.50),
            "wide_resnet_28_12": (4.33, 20.43),
            "wide_resnet_22_8": (4.38, 21.22),
            "wide_resnet_22_10": (4.44, 20.75),
            "wide_resnet_16_8": (4.81, 22.07),
            "wide_resnet_16_10": (4.56, 21.59),
        },
    ),
    Table(
        "Wide ResNet, Table 5",
        BOTH,
        "single view",
        {"wide_resnet_40_4": (4.53, 21.18), "wide_resnet_16_8": (4.27, 20.43), "wide_resnet_28_10": (4.00, 19.25)},
    ),
    Table(
        "Wide ResNet, Table 6",
        (*BOTH, "svhn"),
        "single view",
        {"wide_resnet_16_4": (5.02, 24.03, 1.85), "wide_resnet_52_1": (6.43, 29.89, 2.08)},
    ),
    Table(
        "Wide ResNet, Table 6",
        (*BOTH, "svhn"),
        "single view",
        {
            "wide_resnet_16_4": (5.24, 23.91, 1.64),
            "wide_resnet_28_10": (3.89, 18.85, None),
            "wide_resnet_52_1": (6.28, 29.78, 1.70),
        },
        {"drop": 0.3},
    ),
    Table("Wide ResNet, Table 9", BOTH, "single view", {"wide_resnet_40_10": (3.8, 18.3)}, {"drop": 0.3}),
    Table("Wide ResNet, Table 8", TOP, ONE, {"wide_resnet50_2": (21.9, 6.03)}),
    Table("SqueezeNet, Table 3", TOP, ONE, {"squeezenet1_0": (42.5, 19.7)}, confirmed=False),
    Table("SqueezeNet, Table 3", TOP, ONE, {"squeezenet1_0": (39.6, 17.5)}, {"bypass": "simple"}, confirmed=False),
    Table("SqueezeNet, Table 3", TOP, ONE, {"squeezenet1_0": (41.2, 18.0)}, {"bypass": "complex"}, confirmed=False),
    Table(
        "DenseNet, Table 2",
        CIFAR,
        "single view",
        {
            "densenet": (7.00, 5.24, 27.55, 24.42, 1.79),
            "densenet_100_12": (5.77, 4.10, 23.79, 20.20, 1.67),
            "densenet_100_24": (5.83, 3.74, 23.42, 19.25, 1.59),
            "densenet_bc": (5.92, 4.51, 24.15, 22.27, 1.76),
            "densenet_bc_250_24": (5.19, 3.62, 19.64, 17.60, 1.74),
            "densenet_bc_190_40": (None, 3.46, None, 17.18, None),
        },
    ),
    Table(
        "DenseNet, the authors' release",
        BOTH,
        "single view",
        {
            "densenet_bc_40_36": (4.58, 22.30),
            "densenet_bc_40_48": (3.99, 20.29),
            "densenet_bc_40_60": (4.01, 19.99),
        },
    ),
    Table(
        "DenseNet, Table 3",
        TOP,
        ONE,
        {
            "densenet121": (25.02, 7.71),
            "densenet169": (23.80, 6.85),
            "densenet201": (22.58, 6.34),
            "densenet264": (22.15, 6.12),
        },
    ),
    Table(
        "DenseNet, Table 3",
        TOP,
        TEN,
        {
            "densenet121": (23.61, 6.66),
            "densenet169": (22.08, 5.92),
            "densenet201": (21.46, 5.54),
            "densenet264": (20.80, 5.29),
        },
    ),
    Table("DenseNet, the authors' release", TOP[:1], ONE, {"densenet161": (22.2,)}),
    Table(
        "FractalNet, Table 1, drop-path and dropout",
        CIFAR,
        "single view",
        {"fractalnet20": (7.33, 4.60, 28.20, 23.73, 1.87)},
    ),
    Table("FractalNet, Table 2", TOP, TEN, {"fractalnet34": (24.12, 7.39)}, confirmed=False),
    Table(
        "ShuffleNet V2, Table 8",
        TOP[:1],
        ONE,
        {
            "shufflenet_v2_x0_5": (39.7,),
            "shufflenet_v2_x1_0": (30.6,),
            "shufflenet_v2_x1_5": (27.4,),
            "shufflenet_v2_x2_0": (25.1,),
        },
    ),
)


def results(pattern: str = "*", data: str = "") -> list[Result]:
    """What is published about the networks of these names, on some data or on all; papers in order of age.

    Raises ValueError for data that no paper reports here.
    """
    if data and data not in DATA:
        raise ValueError(f"no results on {data!r}; there are {', '.join(DATA)}")
    every = (result for table in TABLES for result in table.results())
    return [one for one in every if fnmatchcase(one.name, pattern) and data in ("", one.data)]
