"""GoogLeNet: modules of parallel convolutions of several sizes, after 1x1 convolutions that reduce the maps.

C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke, A. Rabinovich, "Going Deeper with
Convolutions", CVPR 2015 (arXiv 2014).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from torch import Tensor, fx, nn

from archzoo.errors import InputError
from archzoo.layers import (
    Classifiers,
    Conv2d,
    Inception,
    Initialize,
    Linear,
    Net,
    ResponseNorm,
    Tapped,
    gaussian,
    sequence,
    xavier_fan_in,
)
from archzoo.layers import without_auxiliary as without_auxiliary


@dataclass(frozen=True)
class Columns:
    """Maps of each convolution of an Inception module: the columns of Table 1, in its order."""

    n1x1: int
    n3x3_reduce: int
    n3x3: int
    n5x5_reduce: int
    n5x5: int
    pool_proj: int

    @property
    def outputs(self) -> int:
        """Maps of all branches together."""
        return self.n1x1 + self.n3x3 + self.n5x5 + self.pool_proj


# Table 1: the Inception modules of the three stages, with 3x3/2 max pooling between the stages.
TABLE_1 = {
    3: {
        "a": Columns(64, 96, 128, 16, 32, 32),
        "b": Columns(128, 128, 192, 32, 96, 64),
    },
    4: {
        "a": Columns(192, 96, 208, 16, 48, 64),
        "b": Columns(160, 112, 224, 24, 64, 64),
        "c": Columns(128, 128, 256, 24, 64, 64),
        "d": Columns(112, 144, 288, 32, 64, 64),
        "e": Columns(256, 160, 320, 32, 128, 128),
    },
    5: {
        "a": Columns(256, 160, 320, 32, 128, 128),
        "b": Columns(384, 192, 384, 48, 128, 128),
    },
}


class Layer(Protocol):
    """Makes a convolution, padded to keep the size of the maps at stride 1, and the layers after it."""

    def __call__(self, name: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> dict[str, nn.Module]: ...


def conv_relu(name: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> dict[str, nn.Module]:
    """A convolution and a ReLU (Sec. 5)."""
    conv = Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
    return {name: conv, f"{name}_relu": nn.ReLU(inplace=True)}


def conv_bn_relu(name: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> dict[str, nn.Module]:
    """Not in the paper: a convolution without bias, batch normalization and a ReLU (torchvision)."""
    conv = Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return {name: conv, f"{name}_bn": nn.BatchNorm2d(outputs, eps=0.001), f"{name}_relu": nn.ReLU(inplace=True)}


@dataclass(frozen=True)
class Spec:
    """The differences between the paper's network and torchvision's batch-normalized one."""

    layer: Layer
    lrn: bool  # local response normalization after pool1 and conv2
    kernel_5x5: int  # kernel size in the branch 5x5
    pool4: int  # window of the last max pooling
    drop: float  # dropout before the linear layer
    auxiliary_pool: Callable[[], nn.Module]
    initialize: Initialize


AUXILIARY_INPUTS = 128 * 4 * 4  # of the first linear layer of an auxiliary classifier


def xavier_biased(layer: nn.Module) -> None:
    """Caffe's "xavier", with biases of 0.2 before a ReLU and of 0 before a softmax.

    The paper does not state its initialization. This is that of Caffe's replication, whose readme calls the authors'
    "gaussian" and names no deviation.
    """
    xavier_fan_in(layer)
    rectified = isinstance(layer, nn.Conv2d) or (isinstance(layer, nn.Linear) and layer.in_features == AUXILIARY_INPUTS)
    if rectified and isinstance(layer.bias, Tensor):
        nn.init.constant_(layer.bias, 0.2)


PUBLISHED = Spec(
    conv_relu,
    lrn=True,
    kernel_5x5=5,
    pool4=3,
    drop=0.4,
    auxiliary_pool=partial(nn.AvgPool2d, 5, stride=3),
    initialize=xavier_biased,
)
BATCH_NORMALIZED = Spec(
    conv_bn_relu,
    lrn=False,
    kernel_5x5=3,
    pool4=2,
    drop=0.2,
    auxiliary_pool=partial(nn.AdaptiveAvgPool2d, 4),
    initialize=gaussian(0.01),
)


def reducing(inputs: int, columns: Columns, spec: Spec) -> Inception:
    """1x1 convolutions reduce the maps before larger convolutions and project them after pooling (Fig. 2(b))."""
    layer, c = spec.layer, columns
    return Inception(
        {
            "1x1": sequence(**layer("conv", inputs, c.n1x1, 1)),
            "3x3": sequence(
                **layer("reduce", inputs, c.n3x3_reduce, 1),
                **layer("conv", c.n3x3_reduce, c.n3x3, 3),
            ),
            "5x5": sequence(
                **layer("reduce", inputs, c.n5x5_reduce, 1),
                **layer("conv", c.n5x5_reduce, c.n5x5, spec.kernel_5x5),
            ),
            "pool": sequence(
                max=nn.MaxPool2d(3, stride=1, padding=1),
                **layer("proj", inputs, c.pool_proj, 1),
            ),
        }
    )


def inception(inputs: int, columns: Columns) -> Inception:
    """The module with dimension reductions, from ``inputs`` to ``columns.outputs`` maps (Fig. 2(b))."""
    return reducing(inputs, columns, PUBLISHED).apply(PUBLISHED.initialize)


def naive_inception(inputs: int, n1x1: int, n3x3: int, n5x5: int) -> Inception:
    """The naive module, in which pooling adds all ``inputs`` maps to the others (Fig. 2(a))."""
    return Inception(
        {
            "1x1": sequence(**conv_relu("conv", inputs, n1x1, 1)),
            "3x3": sequence(**conv_relu("conv", inputs, n3x3, 3)),
            "5x5": sequence(**conv_relu("conv", inputs, n5x5, 5)),
            "pool": nn.MaxPool2d(3, stride=1, padding=1),
        }
    ).apply(PUBLISHED.initialize)


def halving(kernel: int = 3) -> nn.MaxPool2d:
    """Max pooling with stride 2 that keeps an incomplete last window: 112, 56, 28, 14, 7 (Table 1)."""
    return nn.MaxPool2d(kernel, stride=2, ceil_mode=True)


def response_norm() -> ResponseNorm:
    """Local response normalization. The constants are the Caffe port's, which divides alpha by n (Fig. 3)."""
    return ResponseNorm(n=5, alpha=1e-4 / 5, beta=0.75, k=1.0)


def features(spec: Spec, in_channels: int) -> dict[str, nn.Module]:
    """The layers up to inception (5b) (Table 1)."""
    parts = {**spec.layer("conv1", in_channels, 64, 7, stride=2), "pool1": halving()}
    if spec.lrn:
        parts["lrn1"] = response_norm()
    parts |= spec.layer("conv2_reduce", 64, 64, 1) | spec.layer("conv2", 64, 192, 3)
    if spec.lrn:
        parts["lrn2"] = response_norm()
    inputs = 192
    for stage, modules in TABLE_1.items():
        parts[f"pool{stage - 1}"] = halving(spec.pool4 if stage == 5 else 3)
        for letter, columns in modules.items():
            parts[f"inception_{stage}{letter}"] = reducing(inputs, columns, spec)
            inputs = columns.outputs
    return parts


def classifier(spec: Spec, num_classes: int) -> dict[str, nn.Module]:
    """Global average pooling, dropout and a linear layer (Table 1)."""
    return {
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "drop": nn.Dropout(spec.drop),
        "linear": Linear(1024, num_classes),
    }


@fx.wrap
def check_pooled(pooled: Tensor, maps: Tensor) -> None:
    """Raise InputError for maps that are not pooled to 4x4, for which the linear layer has no weights."""
    if pooled.shape[2] != 4 or pooled.shape[3] != 4:
        height, width = maps.shape[2:]
        raise InputError(
            f"auxiliary classifiers take maps of 14x14 to 16x16, not {height}x{width}: train on images of 224x224"
        )


class AuxiliaryClassifier(nn.Sequential):
    """5x5/3 average pooling to 4x4, a 1x1 convolution to 128 maps, 1024 units, 70% dropout, a linear layer (Sec. 5)."""

    def __init__(self, inputs: int, spec: Spec, num_classes: int) -> None:
        parts = {
            "pool": spec.auxiliary_pool(),
            **spec.layer("conv", inputs, 128, 1),
            "flatten": nn.Flatten(),
            "fc": Linear(AUXILIARY_INPUTS, 1024),
            "fc_relu": nn.ReLU(inplace=True),
            "drop": nn.Dropout(0.7),
            "linear": Linear(1024, num_classes),
        }
        super().__init__(OrderedDict(parts))

    def forward(self, maps: Tensor) -> Tensor:
        out = maps
        for place, layer in enumerate(self):
            out = layer(out)
            if place == 0:
                check_pooled(out, maps)
        return out


class Logits(NamedTuple):
    """Outputs of a network with auxiliary classifiers in training: softmax2, softmax0 and softmax1 (Fig. 3)."""

    main: Tensor
    aux_4a: Tensor
    aux_4d: Tensor

    @property
    def auxiliary_weight(self) -> float:
        """The weight of each auxiliary classifier's loss (Sec. 5)."""
        return 0.3


def inception_net(spec: Spec, auxiliary: bool, in_channels: int, num_classes: int) -> Net:
    """The layers of Table 1, with or without auxiliary classifiers on (4a) and (4d) (Fig. 3)."""
    body, head = features(spec, in_channels), classifier(spec, num_classes)
    if not auxiliary:
        return Net(sequence(**body), sequence(**head), spec.initialize)
    auxiliaries = {
        f"aux_4{letter}": AuxiliaryClassifier(TABLE_1[4][letter].outputs, spec, num_classes) for letter in "ad"
    }
    tapped = Tapped(body, ("inception_4a", "inception_4d"))
    return Net(tapped, Classifiers(head, auxiliaries, Logits), spec.initialize)


def googlenet(*, auxiliary: bool = False, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """The 22 layers of Table 1, with or without the auxiliary classifiers that help to train them (Sec. 5).

    With ``auxiliary``, the network in training mode returns ``Logits``, for ``archzoo.training._losses.training_loss``,
    and raises InputError for images whose sizes are far from 224x224. In eval mode it returns plain logits, as it does
    without. ``archzoo.layers.without_auxiliary`` removes the auxiliary classifiers.

    The authors released no code. Where the paper is silent, layers are those of Caffe's replication, bvlc_googlenet:
    the constants of local response normalization, the initialization, and poolings that keep incomplete windows.
    """
    return inception_net(PUBLISHED, auxiliary, in_channels, num_classes)


def googlenet_bn(*, auxiliary: bool = False, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """Not in the paper: torchvision's network, with batch normalization, no LRN, and 3x3 in place of 5x5."""
    return inception_net(BATCH_NORMALIZED, auxiliary, in_channels, num_classes)
