"""Wide ResNet: a few wide residual blocks do what a thousand thin ones do, and faster.

S. Zagoruyko, N. Komodakis, "Wide Residual Networks", BMVC 2016.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from archzoo.layers import (
    Basic,
    Block,
    Conv2d,
    Net,
    Residual,
    at_least,
    conv1x1,
    conv3x3,
    he_normal_fan_in,
    he_normal_fan_out,
    imagenet_stem,
    pooled_classifier,
    probability,
    projected,
    repeats,
    sequence,
    stages,
)

BlockType = Literal[
    "B(3,3)", "B(1,3,1)", "B(3,1)", "B(1,3)", "B(3,1,1)", "B(3,1,3)", "B(3)", "B(3,3,3)", "B(3,3,3,3)"
]  # the kernel sizes of a block's convolutions, in order (Sec. 2.1)

# How many layers of a block the depth counts: 3 groups of N blocks, the first convolution and 3 projections are the n
# of WRN-n-k. Among blocks of 3x3 only (Table 3) each counts; any block with a 1x1 (Table 2) counts as B(3,3) does.
COUNTED: dict[BlockType, int] = {
    "B(3,3)": 2,
    "B(1,3,1)": 2,
    "B(3,1)": 2,
    "B(1,3)": 2,
    "B(3,1,1)": 2,
    "B(3,1,3)": 2,
    "B(3)": 1,
    "B(3,3,3)": 3,
    "B(3,3,3,3)": 4,
}

# The blocks in conv2_x to conv5_x of the ResNets that are widened for ImageNet (Sec. 3).
IMAGENET = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class PreActivated(nn.Module):
    """x + F(x), BN-ReLU before each convolution; a projection reads the first BN-ReLU, as F does (released code)."""

    def __init__(self, bn_relu: nn.Sequential, layers: nn.Sequential, projection: nn.Module | None) -> None:
        super().__init__()
        self.bn_relu = bn_relu
        self.layers = layers
        self.projection = projection

    def forward(self, maps: Tensor) -> Tensor:
        active = self.bn_relu(maps)
        shortcut = maps if self.projection is None else self.projection(active)
        out: Tensor = self.layers(active) + shortcut
        return out


@dataclass(frozen=True)
class Wide:
    """B(M): a convolution for each kernel size in M, all of one width, the stride in the first (Sec. 2.1).

    Dropout stands between any two convolutions, after BN-ReLU (Fig. 1d; for more than two, the released code).
    """

    kernels: tuple[int, ...]
    drop: float
    expansion: int = 1

    def __call__(self, inputs: int, width: int, stride: int) -> PreActivated:
        bn_relu = sequence(bn1=nn.BatchNorm2d(inputs), relu1=nn.ReLU(inplace=True))
        layers: dict[str, nn.Module] = {"conv1": conv(self.kernels[0], inputs, width, stride)}
        for i, kernel in enumerate(self.kernels[1:], 2):
            layers |= {f"bn{i}": nn.BatchNorm2d(width), f"relu{i}": nn.ReLU(inplace=True)}
            if self.drop:
                layers[f"drop{i}"] = nn.Dropout(self.drop)
            layers[f"conv{i}"] = conv(kernel, width, width)
        return PreActivated(bn_relu, sequence(**layers), conv1x1(inputs, width, stride) if inputs != width else None)


def conv(kernel: int, inputs: int, outputs: int, stride: int = 1) -> Conv2d:
    """A convolution of kernel size 3 or 1."""
    return (conv3x3 if kernel == 3 else conv1x1)(inputs, outputs, stride)


def read_block(block: BlockType, drop: float) -> Wide:
    """The block that "B(3,3)" and its like stand for."""
    probability("drop", drop)
    if drop and block == "B(3)":
        raise ValueError(f"drop must be 0 in B(3), not {drop}: dropout is between convolutions, and B(3) has one")
    return Wide(tuple(map(int, block[2:-1].split(","))), drop)


@dataclass(frozen=True)
class Bottleneck:
    """1x1, 3x3 and 1x1, the inner two ``widening`` times as wide as ResNet's; the stride is in the 3x3 (Table 8)."""

    widening: int
    expansion: int = 4

    def __call__(self, inputs: int, width: int, stride: int) -> Residual:
        inner, outputs = self.widening * width, self.expansion * width
        layers = sequence(
            conv1=conv1x1(inputs, inner),
            bn1=nn.BatchNorm2d(inner),
            relu1=nn.ReLU(inplace=True),
            conv2=conv3x3(inner, inner, stride),
            bn2=nn.BatchNorm2d(inner),
            relu2=nn.ReLU(inplace=True),
            conv3=conv1x1(inner, outputs),
            bn3=nn.BatchNorm2d(outputs),
        )
        return Residual(layers, projected(inputs, outputs, stride))


def msr_init(layer: nn.Module) -> None:
    """Fan-in Gaussians for convolutions, Torch's uniform draw and a bias of 0 for the linear layer (released code)."""
    (he_normal_fan_in if isinstance(layer, nn.Conv2d) else he_normal_fan_out)(layer)


def cifar_net(block: Block, k: int, blocks: int, in_channels: int, num_classes: int) -> Net:
    """Table 1: a 3x3 convolution to 16 maps, then groups of 16k, 32k and 64k maps, and a last BN-ReLU."""
    at_least("k", k, 1)
    groups = stages(block, 16, (16 * k, 32 * k, 64 * k), (blocks,) * 3)
    parts: dict[str, nn.Module] = {"conv1": conv3x3(in_channels, 16)}
    parts |= {name.removesuffix("_x"): group for name, group in groups.items()}
    parts |= {"bn": nn.BatchNorm2d(64 * k), "relu": nn.ReLU(inplace=True)}
    return Net(sequence(**parts), pooled_classifier(64 * k, num_classes), msr_init)


def imagenet_net(block: Block, width: float, blocks: tuple[int, ...], in_channels: int, num_classes: int) -> Net:
    """ResNet for ImageNet with ``width`` times its maps in every stage; the stem keeps its 64 (Sec. 3)."""
    at_least("width", width, 1)
    widths = [round(width * maps) for maps in (64, 128, 256, 512)]
    parts = imagenet_stem(in_channels, 64) | stages(block, 64, widths, blocks)
    return Net(sequence(**parts), pooled_classifier(block.expansion * widths[-1], num_classes), msr_init)


def wide_resnet(
    depth: int = 28,
    k: int = 10,
    *,
    block: BlockType = "B(3,3)",
    drop: float = 0.0,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """WRN-n-k: n layers, k times as wide; where dropout is used, 0.3 for CIFAR and 0.4 for SVHN (Sec. 2 and 3)."""
    blocks = repeats(depth, 3 * COUNTED[block], 4)
    return cifar_net(read_block(block, drop), k, blocks, in_channels, num_classes)


def wide_resnet18(width: float = 1.0, *, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """ResNet-18 with projections where the shape changes, ``width`` times as wide (Table 7)."""
    return imagenet_net(Basic(projected), width, IMAGENET[18], in_channels, num_classes)


def wide_resnet34(width: float = 1.0, *, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """ResNet-34 with projections where the shape changes, ``width`` times as wide (Table 7)."""
    return imagenet_net(Basic(projected), width, IMAGENET[34], in_channels, num_classes)


def wide_resnet50_2(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """WRN-50-2-bottleneck: ResNet-50 with the inner widths of its bottlenecks doubled (Table 8)."""
    return imagenet_net(Bottleneck(2), 1.0, IMAGENET[50], in_channels, num_classes)
