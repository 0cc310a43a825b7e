"""Wide ResNet: a few wide residual blocks match a thousand thin layers, and run faster.

S. Zagoruyko, N. Komodakis, "Wide Residual Networks", BMVC 2016.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from archzoo.errors import BadOption
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
    uniform_scale,
)

BlockType = Literal[
    "B(3,3)", "B(1,3,1)", "B(3,1)", "B(1,3)", "B(3,1,1)", "B(3,1,3)", "B(3)", "B(3,3,3)", "B(3,3,3,3)"
]  # the kernel sizes of a block's convolutions, in order (Sec. 2.1)

# Layers of a block that the depth counts. The n of WRN-n-k is 3 groups of N blocks, the first convolution and 3
# projections. In blocks of 3x3 only, every convolution counts (Table 3); blocks with a 1x1 count as B(3,3) (Table 2).
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

# Sec. 3: blocks in conv2_x to conv5_x of the ResNets for ImageNet that are widened.
IMAGENET = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class PreActivated(nn.Module):
    """x + F(x), with BN-ReLU before each convolution. A projection reads the first BN-ReLU, as F does (release)."""

    def __init__(self, bn_relu: nn.Sequential, layers: nn.Sequential, projection: nn.Module | None) -> None:
        super().__init__()
        self.bn_relu = bn_relu
        self.layers = layers
        self.projection = projection

    def forward(self, maps: Tensor) -> Tensor:
        activated = self.bn_relu(maps)
        shortcut = maps if self.projection is None else self.projection(activated)
        out: Tensor = self.layers(activated) + shortcut
        return out


@dataclass(frozen=True)
class Wide:
    """B(M): a convolution for each kernel size in M, all of one width; the first has the stride (Sec. 2.1).

    Dropout follows each BN-ReLU between two convolutions (Fig. 1d; for more than two, the released code).
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
    """A convolution of kernel size 3 or 1 (Sec. 2.1)."""
    return (conv3x3 if kernel == 3 else conv1x1)(inputs, outputs, stride)


def read_block(block: BlockType, drop: float) -> Wide:
    """The block of a name such as "B(3,3)" (Sec. 2.1)."""
    probability("drop", drop)
    if drop and block == "B(3)":
        raise BadOption(f"drop must be 0 in B(3), not {drop}: dropout is between convolutions, and B(3) has one")
    return Wide(tuple(map(int, block[2:-1].split(","))), drop)


@dataclass(frozen=True)
class Bottleneck:
    """ResNet's bottleneck with inner layers ``widening`` times as wide and the stride in the 3x3 (Table 8)."""

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
    """Gaussians by fan-in for convolutions; Torch's uniform weights and zero bias for the linear layer (release)."""
    (he_normal_fan_in if isinstance(layer, nn.Conv2d) else he_normal_fan_out)(layer)


def cifar_init(layer: nn.Module) -> None:
    """``msr_init``, and batch-norm scales from U(0, 1): the release resets none on CIFAR, and all to 1 on ImageNet."""
    msr_init(layer)
    uniform_scale(layer)


def cifar_net(block: Block, k: int, blocks: int, in_channels: int, num_classes: int) -> Net:
    """A 3x3 convolution to 16 maps, groups of 16k, 32k and 64k maps, and a last BN-ReLU (Table 1)."""
    at_least("k", k, 1)
    groups = stages(block, 16, (16 * k, 32 * k, 64 * k), (blocks,) * 3)
    parts: dict[str, nn.Module] = {"conv1": conv3x3(in_channels, 16)}
    parts |= {name.removesuffix("_x"): group for name, group in groups.items()}
    parts |= {"bn": nn.BatchNorm2d(64 * k), "relu": nn.ReLU(inplace=True)}
    return Net(sequence(**parts), pooled_classifier(64 * k, num_classes), cifar_init)


def imagenet_net(block: Block, width: float, blocks: tuple[int, ...], in_channels: int, num_classes: int) -> Net:
    """ResNet for ImageNet with ``width`` times as many maps in each stage; the stem keeps 64 (Sec. 3)."""
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
    """WRN-n-k: n convolutions, k times as wide. Where used, dropout is 0.3 on CIFAR and 0.4 on SVHN (Sec. 2 and 3).

    Differs from the release:
        - The released Torch script starts the momentum anew at each drop of the learning rate, and makes each drop one
          epoch before the one that the paper names. The recipes keep the momentum, and drop the rate after it.
    """
    blocks = repeats(depth, 3 * COUNTED[block], 4)
    return cifar_net(read_block(block, drop), k, blocks, in_channels, num_classes)


def wide_resnet18(width: float = 1.0, *, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """ResNet-18 with option B shortcuts, ``width`` times as wide (Table 7)."""
    return imagenet_net(Basic(projected), width, IMAGENET[18], in_channels, num_classes)


def wide_resnet34(width: float = 1.0, *, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """ResNet-34 with option B shortcuts, ``width`` times as wide (Table 7)."""
    return imagenet_net(Basic(projected), width, IMAGENET[34], in_channels, num_classes)


def wide_resnet50_2(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """WRN-50-2-bottleneck: ResNet-50 with bottlenecks of twice the inner width (Table 8)."""
    return imagenet_net(Bottleneck(2), 1.0, IMAGENET[50], in_channels, num_classes)
