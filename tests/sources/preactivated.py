"""Wide ResNets and pre-activation ResNets of other sources, written anew with their names of parts."""

from functools import partial

from torch import Tensor, nn

from tests.sources.residual import Make, conv, pooled, stage


class WideBlock(nn.Module):
    """xternalz, RobustBench, RepDistiller, bearpaw: a projection reads the activated maps."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, 3)
        self.convShortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        activated = self.bn1(x).relu()
        out = self.conv2(self.bn2(self.conv1(activated)).relu())
        return out + (x if self.convShortcut is None else self.convShortcut(activated))


class Group(nn.Module):
    """A stage under the name ``layer``."""

    def __init__(self, inputs: int, outputs: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.layer = stage(WideBlock, inputs, outputs, blocks, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Wide(nn.Module):
    """``unused`` adds the group that TRADES keeps and never calls."""

    def __init__(self, blocks: int, k: int, *, unused: bool = False) -> None:
        super().__init__()
        self.conv1 = conv(3, 16, 3)
        self.block1 = Group(16, 16 * k, blocks, 1)
        if unused:
            self.sub_block1 = Group(16, 16 * k, blocks, 1)
        self.block2 = Group(16 * k, 32 * k, blocks, 2)
        self.block3 = Group(32 * k, 64 * k, blocks, 2)
        self.bn1 = nn.BatchNorm2d(64 * k)
        self.fc = nn.Linear(64 * k, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(pooled(self.bn1(self.block3(self.block2(self.block1(self.conv1(x))))).relu()))


class HystsWideBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, 3)
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut.add_module("conv", conv(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        activated = self.bn1(x).relu()
        shortcut = self.shortcut(activated if len(self.shortcut) else x)
        return self.conv2(self.bn2(self.conv1(activated)).relu()) + shortcut


class HystsWide(nn.Module):
    def __init__(self, blocks: int, k: int) -> None:
        super().__init__()
        self.conv = conv(3, 16, 3)
        self.stage1 = stage(HystsWideBlock, 16, 16 * k, blocks, 1, "block1")
        self.stage2 = stage(HystsWideBlock, 16 * k, 32 * k, blocks, 2, "block1")
        self.stage3 = stage(HystsWideBlock, 32 * k, 64 * k, blocks, 2, "block1")
        self.bn = nn.BatchNorm2d(64 * k)
        self.fc = nn.Linear(64 * k, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(pooled(self.bn(self.stage3(self.stage2(self.stage1(self.conv(x))))).relu()))


class RawBlock(nn.Module):
    """A projection reads the raw maps: torchdistill's Wide ResNet, and with three kernels bearpaw's bottleneck."""

    def __init__(self, inputs: int, outputs: int, stride: int, kernels: tuple[int, ...], called: str) -> None:
        super().__init__()
        inner = outputs if len(kernels) == 2 else outputs // 4
        sizes = [inputs, *[inner] * (len(kernels) - 1), outputs]
        strided = 0 if len(kernels) == 2 else 1
        for i, kernel in enumerate(kernels):
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(sizes[i]))
            self.add_module(f"conv{i + 1}", conv(sizes[i], sizes[i + 1], kernel, stride if i == strided else 1))
        self.called = called
        if inputs != outputs or stride != 1:
            self.add_module(called, nn.Sequential(conv(inputs, outputs, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        layers = [part for name, part in self.named_children() if name != self.called]
        for bn, convolution in zip(layers[::2], layers[1::2], strict=True):
            out = convolution(bn(out).relu())
        return out + (getattr(self, self.called)(x) if hasattr(self, self.called) else x)


class RawShortcuts(nn.Module):
    """torchdistill's Wide ResNet, and bearpaw's pre-activation ResNet; ``last`` is the name of the last batch norm."""

    def __init__(self, make: Make, widths: tuple[int, int, int], blocks: int, last: str) -> None:
        super().__init__()
        first, second, third = widths
        self.conv1 = conv(3, 16, 3)
        self.layer1 = stage(make, 16, first, blocks, 1)
        self.layer2 = stage(make, first, second, blocks, 2)
        self.layer3 = stage(make, second, third, blocks, 2)
        self.add_module(last, nn.BatchNorm2d(third))
        self.last = last
        self.fc = nn.Linear(third, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(pooled(getattr(self, self.last)(out).relu()))


def torchdistill_wide(blocks: int, k: int) -> nn.Module:
    make = partial(RawBlock, kernels=(3, 3), called="shortcut")
    return RawShortcuts(make, (16 * k, 32 * k, 64 * k), blocks, "bn1")


def bearpaw_preactivated(blocks: int) -> nn.Module:
    return RawShortcuts(partial(RawBlock, kernels=(1, 3, 1), called="downsample"), (64, 128, 256), blocks, "bn")


class ActivatedConv(nn.Module):
    """pytorchcv's bn, ReLU and conv, which also returns the activated maps."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(inputs), conv(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        activated = self.bn(x).relu()
        return self.conv(activated), activated


class PytorchcvUnit(nn.Module):
    """Pre-activated, with the stride in the first of two convolutions, or in the second of three."""

    def __init__(self, inputs: int, outputs: int, stride: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        inner = outputs if len(kernels) == 2 else outputs // 4
        sizes = [inputs, *[inner] * (len(kernels) - 1), outputs]
        strided = 0 if len(kernels) == 2 else 1
        self.body = nn.Module()
        for i, kernel in enumerate(kernels):
            layer = ActivatedConv(sizes[i], sizes[i + 1], kernel, stride if i == strided else 1)
            self.body.add_module(f"conv{i + 1}", layer)
        if inputs != outputs:
            self.identity_conv = conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.body.children()
        out, activated = first(x)
        for layer in others:
            out, _ = layer(out)
        return out + (self.identity_conv(activated) if hasattr(self, "identity_conv") else x)


class PytorchcvPreactivated(nn.Module):
    """pytorchcv's Wide ResNet, and its pre-activation ResNet of bottlenecks."""

    def __init__(self, blocks: int, widths: tuple[int, int, int], kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("init_block", conv(3, 16, 3))
        inputs = 16
        for i, width in enumerate(widths):
            make = partial(PytorchcvUnit, kernels=kernels)
            self.features.add_module(f"stage{i + 1}", stage(make, inputs, width, blocks, 2 if i else 1, "unit1"))
            inputs = width
        last = nn.Sequential()
        last.add_module("bn", nn.BatchNorm2d(inputs))
        self.features.add_module("post_activ", last)
        self.output = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(pooled(self.features(x).relu()))
