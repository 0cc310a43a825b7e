"""MobileNets of pytorchcv and Hugging Face's transformers, and the authors' ShuffleNet v1, written anew."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.sources.feedforward import called


class Padded(nn.Module):
    """A convolution, batch normalization and an activation, under a source's names for the first two.

    With ``tensorflow``, zeros make the sides of the maps whole numbers of strides, the more of them at the end.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        stride: int = 1,
        groups: int = 1,
        names: tuple[str, str] = ("conv", "bn"),
        limit: float | None = float("inf"),
        *,
        tensorflow: bool = False,
    ) -> None:
        super().__init__()
        inputs, outputs, side = shape
        self.tensorflow, self.limit, self.names, self.side, self.stride = tensorflow, limit, names, side, stride
        padding = 0 if tensorflow else side // 2
        self.add_module(names[0], nn.Conv2d(inputs, outputs, side, stride, padding, groups=groups, bias=False))
        self.add_module(names[1], nn.BatchNorm2d(outputs, eps=1e-3 if tensorflow else 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        if self.tensorflow:
            for dimension in (2, 3):
                size = x.shape[dimension]
                needed = max((-(-size // self.stride) - 1) * self.stride + self.side - size, 0)
                zeros = [needed // 2, needed - needed // 2]
                x = F.pad(x, zeros if dimension == 3 else [0, 0, *zeros])
        for name in self.names:
            x = self.get_submodule(name)(x)
        return x if self.limit is None else x.clamp(0, self.limit)


STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


class PytorchcvMobileNet(nn.Module):
    """At a quarter of the width."""

    def __init__(self) -> None:
        super().__init__()
        self.features = called(init_block=Padded((3, 8, 3), 2))
        inputs, number = 8, 0
        for stage, units in enumerate((1, 2, 2, 6, 2), 1):
            part = nn.Sequential()
            for unit in range(1, units + 1):
                outputs, stride = WIDTHS[number] // 4, STRIDES[number]
                depthwise = Padded((inputs, inputs, 3), stride, inputs)
                part.add_module(f"unit{unit}", called(dw_conv=depthwise, pw_conv=Padded((inputs, outputs, 1))))
                inputs, number = outputs, number + 1
            self.features.add_module(f"stage{stage}", part)
        self.output = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.features(x).mean((2, 3)))


def of_tensorflow(
    inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1, *, linear: bool = False
) -> Padded:
    """A layer of transformers, whose networks have TensorFlow's padding and ReLU6."""
    names = ("convolution", "normalization")
    return Padded((inputs, outputs, side), stride, groups, names, None if linear else 6.0, tensorflow=True)


class TransformersMobileNetV1(nn.Module):
    """At a quarter of the width."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 8
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            layers += [of_tensorflow(inputs, inputs, 3, stride, inputs), of_tensorflow(inputs, width // 4, 1)]
            inputs = width // 4
        self.mobilenet_v1 = called(conv_stem=of_tensorflow(3, 8, 3, 2), layer=nn.Sequential(*layers))
        self.classifier = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.mobilenet_v1(x).mean((2, 3)))


class Inverted(nn.Module):
    """1x1, depthwise 3x3 and a linear 1x1; the sum with the input where that is possible."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.expand_1x1 = of_tensorflow(inputs, 6 * inputs, 1)
        self.conv_3x3 = of_tensorflow(6 * inputs, 6 * inputs, 3, stride, 6 * inputs)
        self.reduce_1x1 = of_tensorflow(6 * inputs, outputs, 1, linear=True)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = self.reduce_1x1(self.conv_3x3(self.expand_1x1(x)))
        return x + out if self.adds else out


class TransformersMobileNetV2(nn.Module):
    """At 0.35 of the width: 16 maps first, then these."""

    WIDTHS = (8, 8, 8, 16, 16, 16, 24, 24, 24, 24, 32, 32, 32, 56, 56, 56, 112)
    STRIDES = (2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        pairs = zip(self.WIDTHS[:-1], self.WIDTHS[1:], self.STRIDES, strict=True)
        first = called(
            first_conv=of_tensorflow(3, 16, 3, 2),
            conv_3x3=of_tensorflow(16, 16, 3, 1, 16),
            reduce_1x1=of_tensorflow(16, 8, 1, linear=True),
        )
        layers = nn.Sequential(*(Inverted(*pair) for pair in pairs))
        self.mobilenet_v2 = called(conv_stem=first, layer=layers, conv_1x1=of_tensorflow(112, 1280, 1))
        self.classifier = nn.Linear(1280, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.mobilenet_v2(x).mean((2, 3)))


class MegviiUnit(nn.Module):
    """Numbered layers; channels (n, g) become (g, n) behind the depthwise convolution."""

    def __init__(self, inputs: int, outputs: int, groups: int, *, down: bool, first: bool) -> None:
        super().__init__()
        self.groups, self.down = groups, down
        middle = outputs // 4
        self.branch_main_1 = nn.Sequential(
            nn.Conv2d(inputs, middle, 1, groups=1 if first else groups, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, 2 if down else 1, 1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
        )
        added = outputs - inputs if down else outputs
        self.branch_main_2 = nn.Sequential(
            nn.Conv2d(middle, added, 1, groups=groups, bias=False), nn.BatchNorm2d(added)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch_main_1(x)
        out = torch.cat([out[:, start :: self.groups] for start in range(self.groups)], 1)
        out = self.branch_main_2(out)
        return torch.cat([F.avg_pool2d(x, 3, 2, 1), out.relu()], 1) if self.down else (out + x).relu()


class MegviiShuffleNet(nn.Module):
    """0.5x with three groups."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        units: list[nn.Module] = []
        inputs = 12
        for maps, count in zip((120, 240, 480), (4, 8, 4), strict=True):
            for number in range(count):
                units.append(MegviiUnit(inputs, maps, 3, down=number == 0, first=not units))
                inputs = maps
        self.features = nn.Sequential(*units)
        self.classifier = nn.Sequential(nn.Linear(480, 10, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.first_conv(x), 3, 2, 1)
        return self.classifier(self.features(x).mean((2, 3)))
