"""Pre-activation ResNet: shortcuts are identities, and batch normalization and ReLU precede the convolutions.

K. He, X. Zhang, S. Ren, J. Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from archzoo.layers import (
    Block,
    Net,
    conv1x1,
    conv3x3,
    he_normal_fan_out,
    imagenet_stem,
    padded,
    pooled_classifier,
    repeats,
    sequence,
    stages,
)

RESNET_200 = (3, 24, 36, 3)  # blocks in conv2_x to conv5_x (fb.resnet.torch)


def bn_relu(maps: int) -> nn.Sequential:
    """The pre-activation: batch normalization and ReLU (Fig. 4e)."""
    return sequence(bn=nn.BatchNorm2d(maps), relu=nn.ReLU(inplace=True))


class Unit(nn.Module):
    """x + F(x): the activation is the first step of F, and none follows the addition (Eq. 1 with f the identity).

    A projection reads the activated maps, as F does; the identity reads the input.
    """

    def __init__(
        self, inputs: int, layers: nn.Sequential, identity: nn.Module | None, project: nn.Module | None
    ) -> None:
        super().__init__()
        self.activation: nn.Module = bn_relu(inputs)
        self.layers = layers
        self.identity = identity
        self.project = project

    def forward(self, maps: Tensor) -> Tensor:
        activated = self.activation(maps)
        shortcut: Tensor = maps
        if self.project is not None:
            shortcut = self.project(activated)
        elif self.identity is not None:
            shortcut = self.identity(maps)
        residual: Tensor = self.layers(activated)
        return residual + shortcut


@dataclass(frozen=True)
class Basic:
    """BN-ReLU-3x3-BN-ReLU-3x3, with option A shortcuts, which read the input, as in ResNet-110 (Sec. 3)."""

    expansion: int = 1

    def __call__(self, inputs: int, width: int, stride: int) -> Unit:
        layers = sequence(
            conv1=conv3x3(inputs, width, stride),
            bn2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width),
        )
        return Unit(inputs, layers, padded(inputs, width, stride), None)


@dataclass(frozen=True)
class Bottleneck:
    """BN-ReLU-1x1-BN-ReLU-3x3-BN-ReLU-1x1, and a 1x1 projection where the number of maps changes (Sec. 4).

    The stride is in the first 1x1 on CIFAR (authors' code) and in the 3x3 on ImageNet (fb.resnet.torch).
    """

    stride_in_3x3: bool
    expansion: int = 4

    def __call__(self, inputs: int, width: int, stride: int) -> Unit:
        outputs = self.expansion * width
        first, second = (1, stride) if self.stride_in_3x3 else (stride, 1)
        layers = sequence(
            conv1=conv1x1(inputs, width, first),
            bn2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width, second),
            bn3=nn.BatchNorm2d(width),
            relu3=nn.ReLU(inplace=True),
            conv3=conv1x1(width, outputs),
        )
        return Unit(inputs, layers, None, conv1x1(inputs, outputs, stride) if inputs != outputs else None)


def preact_net(
    stem: dict[str, nn.Module],
    inputs: int,
    block: Block,
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    num_classes: int,
) -> Net:
    """A stem that ends in BN-ReLU, the stages, and a BN-ReLU after the last addition (Sec. 3).

    The first unit has no activation of its own: both of its paths read the activated stem.
    """
    parts = stages(block, inputs, widths, blocks)
    parts["conv2_x"].get_submodule("block1").activation = nn.Identity()
    outputs = block.expansion * widths[-1]
    features = sequence(**stem, **parts, **dict(bn_relu(outputs).named_children()))
    return Net(features, pooled_classifier(outputs, num_classes), he_normal_fan_out)


def preact_resnet(
    depth: int = 164,
    *,
    block: Literal["bottleneck", "basic"] = "bottleneck",
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """For CIFAR: 9n + 2 layers in bottlenecks, or 6n + 2 in basic blocks, of 16, 32 and 64 inner maps (Sec. 4).

    The authors released the network of bottlenecks (resnet-1k-layers). That of basic blocks is in fb.resnet.torch.

    Differs from the release:
        - The two option A shortcuts of basic blocks read the input of their unit, as Eq. 4 has it. In fb.resnet.torch
          they read its activation, as projections do; the paper says that of projections alone (Appendix).
    """
    unit, layers = (Bottleneck(stride_in_3x3=False), 9) if block == "bottleneck" else (Basic(), 6)
    stem: dict[str, nn.Module] = {
        "conv1": conv3x3(in_channels, 16),
        "bn1": nn.BatchNorm2d(16),
        "relu1": nn.ReLU(inplace=True),
    }
    return preact_net(stem, 16, unit, (16, 32, 64), (repeats(depth, layers, 2),) * 3, num_classes)


def preact_resnet200(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """For ImageNet, as in fb.resnet.torch: 3, 24, 36 and 3 bottlenecks after ResNet's stem (Table 5)."""
    stem = imagenet_stem(in_channels, 64)
    return preact_net(stem, 64, Bottleneck(stride_in_3x3=True), (64, 128, 256, 512), RESNET_200, num_classes)
