"""Stochastic depth: training skips whole residual blocks at random.

G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016.

A skipped block gets no gradients, and each process draws its own: DistributedDataParallel needs
``find_unused_parameters=True``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers import (
    Net,
    conv1x1,
    conv3x3,
    he_normal_fan_in,
    he_normal_fan_out,
    imagenet_stem,
    is_scripting,
    pooled_classifier,
    projected,
    refuse_one_draw,
    repeats,
    sequence,
    stages,
    uniform_scale,
)

RESNET_152 = (3, 8, 36, 3)  # blocks in conv2_x to conv5_x (ResNet, Table 1)

ONE_DRAW = (
    "stochastic depth in training mode draws its blocks anew for each mini-batch, and a compiled, exported or traced "
    "graph would repeat one draw for ever: call eval() first, or build it with survival=1.0"
)

Decay = Literal["linear", "uniform"]


def survival_probabilities(blocks: int, last: float, decay: Decay) -> list[float]:
    """p_1 to p_L: linear from 1 for the stem to ``last`` for the last block, or ``last`` for all (Eq. 4)."""
    if not 0 < last <= 1:
        raise BadOption(f"survival must be more than 0 and at most 1, not {last}")
    return [1 - i / blocks * (1 - last) if decay == "linear" else last for i in range(1, blocks + 1)]


class PooledShortcut(nn.Module):
    """2x2 average pooling, and zeros for the missing maps (authors' code)."""

    def __init__(self, missing: int) -> None:
        super().__init__()
        self.missing = missing
        self.pool = nn.AvgPool2d(2)

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(self.pool(maps), (0, 0, 0, 0, 0, self.missing))


def pooled_shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity, or average pooling and zero padding where the shape changes (authors' code)."""
    return nn.Identity() if inputs == outputs and stride == 1 else PooledShortcut(outputs - inputs)


class StochasticBlock(nn.Module):
    """ReLU(b f(x) + id(x)), where b = 1 with the survival probability, drawn for each mini-batch (Eq. 2).

    If b = 0, f does not run and its batch norms keep their statistics. In eval mode b is its expectation (Eq. 5). b is
    drawn from torch's CPU generator. ``forward`` raises RuntimeError if it is traced in training mode.
    """

    def __init__(self, layers: nn.Sequential, shortcut: nn.Module, survival: float) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut
        self.survival = survival

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training:
            return F.relu(self.survival * self.layers(maps) + self.shortcut(maps), inplace=True)
        if self.survival < 1:  # noqa: SIM102 (TorchScript, which draws anew, compiles what stands behind an "and")
            if not is_scripting():
                refuse_one_draw(maps, ONE_DRAW)
        if self.survives():
            return F.relu(self.layers(maps) + self.shortcut(maps), inplace=True)
        return F.relu(self.shortcut(maps))

    def survives(self) -> bool:
        """Draw b for this mini-batch (Eq. 2)."""
        if self.survival == 1:
            return True
        return bool(torch.rand([1], device="cpu") < self.survival)

    def extra_repr(self) -> str:
        return f"survival={self.survival:.4f}"


@dataclass(frozen=True)
class Basic:
    """ResNet's basic block. Each call takes the next survival probability (Sec. 3)."""

    survival: Iterator[float]
    expansion: int = 1

    def __call__(self, inputs: int, width: int, stride: int) -> StochasticBlock:
        layers = sequence(
            conv1=conv3x3(inputs, width, stride),
            bn1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width),
            bn2=nn.BatchNorm2d(width),
        )
        return StochasticBlock(layers, pooled_shortcut(inputs, width, stride), next(self.survival))


@dataclass(frozen=True)
class Bottleneck:
    """ResNet's bottleneck with option B shortcuts. Each call takes the next survival probability (Sec. 4).

    The stride is in the 3x3, as in fb.resnet.torch, which the authors trained with on ImageNet.
    """

    survival: Iterator[float]
    expansion: int = 4

    def __call__(self, inputs: int, width: int, stride: int) -> StochasticBlock:
        outputs = self.expansion * width
        layers = sequence(
            conv1=conv1x1(inputs, width),
            bn1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width, stride),
            bn2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(inplace=True),
            conv3=conv1x1(width, outputs),
            bn3=nn.BatchNorm2d(outputs),
        )
        return StochasticBlock(layers, projected(inputs, outputs, stride), next(self.survival))


def cifar_init(layer: nn.Module) -> None:
    """Gaussians by fan-in for convolutions, and what Torch7 starts with for the rest (authors' code).

    Weights and biases of the linear layer are uniform in +-1 / sqrt(fan-in), batch-norm scales in U(0, 1).
    """
    if isinstance(layer, nn.Conv2d):
        he_normal_fan_in(layer)
    elif isinstance(layer, nn.Linear):
        bound = 1 / math.sqrt(layer.in_features)
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -bound, bound)
    else:
        uniform_scale(layer)


def stochastic_depth(
    depth: int = 110,
    *,
    survival: float = 0.5,
    decay: Decay = "linear",
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """ResNet of 6n + 2 layers for CIFAR and SVHN. ``survival`` is p_L, that of the last block (Sec. 4).

    Differs from the release:
        - Convolutions have no biases. Those of the released code start at 0 and stay there, since the batch norm after
          each of them subtracts what a bias adds.
        - The recipes normalize images by channel. The released code subtracts the mean image, and divides all values by
          one standard deviation.
        - The released code makes each drop of the learning rate one epoch before the one that the paper names.
    """
    n = repeats(depth, 6, 2)
    stem: dict[str, nn.Module] = {
        "conv1": conv3x3(in_channels, 16),
        "bn1": nn.BatchNorm2d(16),
        "relu1": nn.ReLU(inplace=True),
    }
    block = Basic(iter(survival_probabilities(3 * n, survival, decay)))
    parts = stem | stages(block, 16, (16, 32, 64), (n, n, n))
    return Net(sequence(**parts), pooled_classifier(64, num_classes), cifar_init)


def stochastic_depth_152(
    *, survival: float = 0.5, decay: Decay = "linear", in_channels: int = 3, num_classes: int = 1000
) -> Net:
    """ResNet-152 for ImageNet: 50 bottlenecks (Sec. 4)."""
    block = Bottleneck(iter(survival_probabilities(sum(RESNET_152), survival, decay)))
    parts = imagenet_stem(in_channels, 64) | stages(block, 64, (64, 128, 256, 512), RESNET_152)
    return Net(sequence(**parts), pooled_classifier(2048, num_classes), he_normal_fan_out)
