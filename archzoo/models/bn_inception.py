"""BN-Inception: GoogLeNet with batch normalization before each ReLU, and two 3x3 convolutions for each 5x5.

S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
ICML 2015.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import nn

from archzoo.layers import (
    Conv2d,
    Inception,
    Initialize,
    Net,
    SamePadding,
    batch_norm,
    conv1x1,
    pooled_classifier,
    probability,
    sequence,
    truncated_gaussian,
    variance_scaling,
)

Stem = Literal["separable", "full"]
Activation = Literal["relu", "sigmoid"]
ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {"relu": partial(nn.ReLU, inplace=True), "sigmoid": nn.Sigmoid}


@dataclass(frozen=True)
class Columns:
    """Maps of each convolution of a module: the columns of Fig. 5.

    A module whose pooling has no projection has stride 2, and its pooled maps pass through.
    """

    n1x1: int
    n3x3_reduce: int
    n3x3: int
    double_3x3_reduce: int
    double_3x3: int
    pool: Literal["average", "max"]
    proj: int

    @property
    def stride(self) -> int:
        """The stride of the last convolution of each branch, and of the pooling."""
        return 1 if self.proj else 2

    def outputs(self, inputs: int) -> int:
        """Maps of all branches together, where the module reads ``inputs`` maps."""
        return self.n1x1 + self.n3x3 + self.double_3x3 + (self.proj or inputs)


# Fig. 5.
FIG_5: Mapping[str, Columns] = {
    "3a": Columns(64, 64, 64, 64, 96, "average", 32),
    "3b": Columns(64, 64, 96, 64, 96, "average", 64),
    "3c": Columns(0, 128, 160, 64, 96, "max", 0),
    "4a": Columns(224, 64, 96, 96, 128, "average", 128),
    "4b": Columns(192, 96, 128, 96, 128, "average", 128),
    "4c": Columns(160, 128, 160, 128, 160, "average", 128),
    "4d": Columns(96, 128, 192, 160, 192, "average", 128),
    "4e": Columns(0, 128, 192, 192, 256, "max", 0),
    "5a": Columns(352, 192, 320, 160, 224, "average", 128),
    "5b": Columns(352, 192, 320, 192, 224, "max", 128),
}
# The authors' code projects to 96 maps twice, which makes 576, 576 and 1024 maps of 4c, 4d and 4e, as Fig. 5 prints.
SLIM = {**FIG_5, "4c": replace(FIG_5["4c"], proj=96), "4d": replace(FIG_5["4d"], proj=96)}


@dataclass(frozen=True)
class Framework:
    """A convolution and a pooling that halve the resolution, and the average pooling of a module, as it pads them."""

    conv: Callable[[int, int, int], dict[str, nn.Module]]  # of so many maps to so many, with this kernel
    max_pool: Callable[[], nn.Module]
    average_pool: Callable[[], nn.Module]


def same_conv(inputs: int, outputs: int, kernel: int, *, bias: bool = False, groups: int = 1) -> dict[str, nn.Module]:
    """A convolution of stride 2 with TensorFlow's padding."""
    conv = Conv2d(inputs, outputs, kernel, stride=2, groups=groups, bias=bias)
    return {"pad": SamePadding(kernel, 2), "conv": conv}


def symmetric_conv(inputs: int, outputs: int, kernel: int) -> dict[str, nn.Module]:
    """A convolution of stride 2 that is padded alike on all sides, with a bias (Caffe)."""
    return {"conv": Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2)}


def same_max_pool() -> nn.Sequential:
    """3x3/2 max pooling with TensorFlow's padding."""
    return sequence(pad=SamePadding(3, 2, value=float("-inf")), max=nn.MaxPool2d(3, stride=2))


TENSORFLOW = Framework(same_conv, same_max_pool, partial(nn.AvgPool2d, 3, stride=1, padding=1, count_include_pad=False))
CAFFE = Framework(
    symmetric_conv,
    partial(nn.MaxPool2d, 3, stride=2, ceil_mode=True),
    partial(nn.AvgPool2d, 3, stride=1, padding=1),
)


@dataclass(frozen=True)
class ConvNormActivation:
    """Convolutions with batch normalization and an activation, and the modules that they make."""

    framework: Framework
    norm: Callable[[int], nn.BatchNorm2d]
    activation: Activation = "relu"
    bias: bool = False

    def after(self, conv: Mapping[str, nn.Module], maps: int) -> nn.Sequential:
        """A convolution that returns so many maps, batch normalization and the activation (Sec. 3.2)."""
        return sequence(**conv, bn=self.norm(maps), activation=ACTIVATIONS[self.activation]())

    def conv(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
        """A convolution that keeps the size of the maps, or with stride 2 halves it."""
        if stride == 2:
            return self.after(self.framework.conv(inputs, outputs, kernel), outputs)
        conv = Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=self.bias)
        return self.after({"conv": conv}, outputs)

    def separable(self, inputs: int, outputs: int, *, norm: bool = True) -> nn.Sequential:
        """A 7x7/2 convolution to eight maps of each channel, and 1x1 of all (Fig. 5, "depth multiplier 8").

        Without ``norm``, a bias is in the place of batch normalization (authors' code).
        """
        maps = 8 * inputs
        padded = same_conv(inputs, maps, 7, groups=inputs)
        depthwise = {"pad": padded["pad"], "depthwise": padded["conv"]}
        if norm:
            return self.after({**depthwise, "pointwise": conv1x1(maps, outputs)}, outputs)
        return sequence(**depthwise, pointwise=Conv2d(maps, outputs, 1), activation=ACTIVATIONS[self.activation]())

    def module(self, inputs: int, c: Columns) -> Inception:
        """The branches of a row of Fig. 5."""
        branches: dict[str, nn.Module] = {"1x1": self.conv(inputs, c.n1x1, 1)} if c.n1x1 else {}
        branches["3x3"] = sequence(
            reduce=self.conv(inputs, c.n3x3_reduce, 1),
            conv=self.conv(c.n3x3_reduce, c.n3x3, 3, c.stride),
        )
        branches["double_3x3"] = sequence(
            reduce=self.conv(inputs, c.double_3x3_reduce, 1),
            conv1=self.conv(c.double_3x3_reduce, c.double_3x3, 3),
            conv2=self.conv(c.double_3x3, c.double_3x3, 3, c.stride),
        )
        branches["pool"] = self.pooling(inputs, c)
        return Inception(branches)

    def pooling(self, inputs: int, c: Columns) -> nn.Module:
        """The pooling of a module, and its projection where it has one."""
        if not c.proj:
            return self.framework.max_pool()
        average = c.pool == "average"
        pool = self.framework.average_pool() if average else nn.MaxPool2d(3, stride=1, padding=1)
        return sequence(**{c.pool: pool}, proj=self.conv(inputs, c.proj, 1))

    def features(self, conv1: nn.Sequential, table: Mapping[str, Columns]) -> tuple[nn.Sequential, int]:
        """The layers of Fig. 5 up to the last module, and the maps that it returns."""
        parts: dict[str, nn.Module] = {
            "conv1": conv1,
            "pool1": self.framework.max_pool(),
            "conv2_reduce": self.conv(64, 64, 1),
            "conv2": self.conv(64, 192, 3),
            "pool2": self.framework.max_pool(),
        }
        maps = 192
        for name, columns in table.items():
            parts[f"inception_{name}"] = self.module(maps, columns)
            maps = columns.outputs(maps)
        return sequence(**parts), maps


# Deviations of the authors' code, by the end of a layer's name; other layers have variance_scaling.
DEVIATIONS = {
    "conv1.depthwise": 1.0,
    "conv1.pointwise": 1.0,
    "conv2_reduce.conv": 0.1,
    "reduce.conv": 0.09,
    "proj.conv": 0.1,
}


def released_initialization(features: nn.Module) -> Initialize:
    """The initialization of the authors' code, for these features."""
    by_layer = {
        layer: next((std for end, std in DEVIATIONS.items() if name.endswith(end)), None)
        for name, layer in features.named_modules()
    }

    def initialize(layer: nn.Module) -> None:
        std = by_layer.get(layer)
        (truncated_gaussian(std) if std else variance_scaling)(layer)

    return initialize


def build(
    layers: ConvNormActivation, conv1: nn.Sequential, table: Mapping[str, Columns], drop: float, num_classes: int
) -> Net:
    """The features, global average pooling, dropout and a linear layer."""
    probability("drop", drop)
    features, maps = layers.features(conv1, table)
    return Net(features, pooled_classifier(maps, num_classes, drop), released_initialization(features))


def bn_inception(
    *,
    stem: Stem = "separable",
    activation: Activation = "relu",
    drop: float = 0.0,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """BN-Inception as Fig. 5 lists it. Its modules 4c, 4d and 4e return more maps than the figure prints.

    ``stem="full"`` has a 7x7 convolution of all channels for the separable one. ``activation="sigmoid"`` is the
    network of BN-x5-Sigmoid (Sec. 4.2.2). Padding, epsilon and the initialization are those of the authors' code.
    """
    layers = ConvNormActivation(TENSORFLOW, partial(batch_norm, eps=0.001), activation)
    conv1 = layers.separable(in_channels, 64) if stem == "separable" else layers.conv(in_channels, 64, 7, stride=2)
    return build(layers, conv1, FIG_5, drop, num_classes)


def bn_inception_slim(*, drop: float = 0.2, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """BN-Inception as its authors released it, which TF-slim calls inception_v2.

    Batch normalization has no scale, and a bias is in its place after the first convolution. 4c and 4d project to 96
    maps.

    Differs from the release:
        - Batch-norm statistics have a momentum of 0.1. Those of the released code have 0.0003, which takes ten thousand
          steps.
        - The release has 1001 classes, of which the first is the background. ``num_classes=1001`` is its number.
    """
    layers = ConvNormActivation(TENSORFLOW, partial(batch_norm, eps=0.001, scale=False))
    return build(layers, layers.separable(in_channels, 64, norm=False), SLIM, drop, num_classes)


def bn_inception_caffe(*, drop: float = 0.0, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """Not in the paper: BN-Inception as it was trained in Caffe, which pretrained-models.pytorch and pytorchcv have.

    The first convolution is a full one, all have biases, and poolings keep incomplete windows and count their padding.
    """
    layers = ConvNormActivation(CAFFE, batch_norm, bias=True)
    conv1 = layers.conv(in_channels, 64, 7, stride=2)
    return build(layers, conv1, FIG_5, drop, num_classes)
