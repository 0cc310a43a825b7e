"""What two or more papers share, unchanged: the network, its parts by name, convolutions, initializations."""

import copy
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Initialize = Callable[[nn.Module], None]
Shortcut = Callable[[int, int, int], nn.Module]  # (inputs, outputs, stride)


class Block(Protocol):
    """Makes one block of a residual network."""

    @property
    def expansion(self) -> int: ...

    def __call__(self, inputs: int, width: int, stride: int) -> nn.Module: ...


class Net(nn.Module):
    """Features, then a classifier: images (N, C, H, W) to logits (N, classes).

    ``initialize`` sets the parameters of one layer as the paper does, and is applied once to every layer, unless
    the network was made on the meta device, where there is nothing to set.

    ``forward`` raises ValueError for anything but a batch of images that fit: of enough channels and pixels.
    """

    def __init__(self, features: nn.Module, classifier: nn.Module, initialize: Initialize | None = None) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier
        if initialize is not None and not any(parameter.is_meta for parameter in self.parameters()):
            with torch.no_grad():
                for module in self.modules():
                    initialize(module)

    def forward(self, images: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self.logits(images)
        try:
            return self.logits(images)
        except (RuntimeError, ValueError) as error:
            refuse_misfit(self, images, error)
            raise

    def logits(self, images: Tensor) -> Tensor:
        """What ``forward`` computes, without its explanation of a failure."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def refuse_misfit(net: nn.Module, images: Tensor, error: Exception) -> None:
    """Raise a ValueError that says which images fit, if these are of the wrong shape."""
    if images.dim() != 4:
        raise ValueError(f"expected images (N, C, H, W), not a tensor of shape {tuple(images.shape)}") from error
    channels = next(module.in_channels for module in net.modules() if isinstance(module, nn.Conv2d))
    if images.shape[1] != channels:
        raise ValueError(f"expected images of {channels} channels, not {images.shape[1]}") from error
    height, width = images.shape[2:]
    meta = _without_norms(copy.deepcopy(net).to("meta").eval())
    if not _fits(meta, channels, height, width):
        smallest = _smallest_side(meta, channels)
        raise ValueError(f"images of {height}x{width} do not fit: the smallest are {smallest}x{smallest}") from error


def _without_norms(net: nn.Module) -> nn.Module:
    """The network without its batch norms, which change no shape, and are slow on the meta device."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return net


def _smallest_side(net: nn.Module, channels: int) -> int | None:
    """The side of the smallest square images that fit, up to 256."""

    def fits(side: int) -> bool:
        return _fits(net, channels, side, side)

    large = next((side for side in (1, 2, 4, 8, 16, 32, 64, 128, 256) if fits(side)), None)
    if large is None:  # a network for images of one size
        return next((side for side in range(1, 257) if fits(side)), None)
    sides = range(large // 2 + 1, large + 1)  # of any size from the smallest on
    return sides[bisect_left(sides, True, key=fits)]


def _fits(net: Any, channels: int, height: int, width: int) -> bool:
    try:
        with torch.no_grad():
            net.classifier(net.features(torch.empty(1, channels, height, width, device="meta")))
    except (RuntimeError, ValueError):
        return False
    return True


class Conv2d(nn.Conv2d):
    """A convolution that leaves its initialization to the network, which does it once."""

    def reset_parameters(self) -> None:
        pass


class Linear(nn.Linear):
    """A linear layer that leaves its initialization to the network, which does it once."""

    def reset_parameters(self) -> None:
        pass


def sequence(**parts: nn.Module) -> nn.Sequential:
    """Parts one after another, each under the paper's name for it."""
    modules = nn.Sequential()
    for name, part in parts.items():
        modules.add_module(name, part)
    return modules


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> Conv2d:
    """3x3, padding 1, no bias: batch normalization follows or precedes it."""
    return Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def conv1x1(inputs: int, outputs: int, stride: int = 1) -> Conv2d:
    """1x1, no bias: batch normalization follows or precedes it."""
    return Conv2d(inputs, outputs, 1, stride, bias=False)


def imagenet_stem(inputs: int, width: int) -> dict[str, nn.Module]:
    """The first parts of ResNet and DenseNet on ImageNet: 7x7/2 convolution, batch norm, ReLU, 3x3/2 max pooling."""
    return {
        "conv1": Conv2d(inputs, width, 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(width),
        "relu1": nn.ReLU(inplace=True),
        "pool1": nn.MaxPool2d(3, stride=2, padding=1),
    }


def stages(block: Block, inputs: int, widths: Sequence[int], blocks: Sequence[int]) -> dict[str, nn.Module]:
    """The stages of a residual network, conv2_x, conv3_x and so on, each of so many blocks of one width.

    ``block`` makes one from (inputs, width, stride), with ``block.expansion`` times ``width`` maps as its output. The
    first block of every stage but the first halves the map.
    """
    parts: dict[str, nn.Module] = {}
    for number, (width, length) in enumerate(zip(widths, blocks, strict=True), 2):
        stage = nn.Sequential()
        for i in range(length):
            stage.add_module(f"block{i + 1}", block(inputs, width, 2 if number > 2 and i == 0 else 1))
            inputs = block.expansion * width
        parts[f"conv{number}_x"] = stage
    return parts


class Padded(nn.Module):
    """Every ``stride``-th position, and zeros for the maps that are missing: a shortcut without parameters."""

    def __init__(self, missing: int, stride: int) -> None:
        super().__init__()
        self.missing = missing
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))

    def extra_repr(self) -> str:
        return f"missing={self.missing}, stride={self.stride}"


def padded(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Shortcut of option A (ResNet, Sec. 3.3): the identity, with zeros for new maps."""
    return nn.Identity() if inputs == outputs and stride == 1 else Padded(outputs - inputs, stride)


def projected(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Shortcut of option B (ResNet, Sec. 3.3): a projection where the shape changes, else the identity."""
    return nn.Identity() if inputs == outputs and stride == 1 else projection(inputs, outputs, stride)


def projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """A 1x1 convolution and batch normalization."""
    return sequence(conv=conv1x1(inputs, outputs, stride), bn=nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """ReLU(F(x) + x), Eq. 1: the layers F and the shortcut are made elsewhere. Without a shortcut it is a plain net."""

    def __init__(self, layers: nn.Sequential, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers(maps)
        if self.shortcut is not None:
            out = out + self.shortcut(maps)
        return F.relu(out, inplace=True)


@dataclass(frozen=True)
class Basic:
    """ResNet, Fig. 5 left: two 3x3 convolutions, the stride in the first."""

    shortcut: Shortcut | None
    expansion: int = 1

    def __call__(self, inputs: int, width: int, stride: int) -> Residual:
        layers = sequence(
            conv1=conv3x3(inputs, width, stride),
            bn1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv2=conv3x3(width, width),
            bn2=nn.BatchNorm2d(width),
        )
        return Residual(layers, self.shortcut and self.shortcut(inputs, width, stride))


class ResponseNorm(nn.Module):
    """Local response normalization, the formula of AlexNet (Sec. 3.3): each map over its n nearest maps.

    Unlike torch's LocalResponseNorm, it does not divide alpha by n, as the printed formula does not.
    """

    def __init__(self, n: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.n = n
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, maps: Tensor) -> Tensor:
        squares = F.pad(maps.square(), (0, 0, 0, 0, self.n // 2, self.n // 2))
        near = [squares[:, i : i + maps.shape[1]] for i in range(self.n)]
        return maps / (self.k + self.alpha * reduce(torch.add, near)) ** self.beta

    def extra_repr(self) -> str:
        return f"n={self.n}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def pooled_classifier(width: int, num_classes: int) -> nn.Sequential:
    """Global average pooling and one linear layer."""
    return sequence(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=Linear(width, num_classes))


def repeats(depth: int, each: int, fixed: int) -> int:
    """How often a unit of ``each`` layers is repeated in a network of ``depth`` layers, ``fixed`` of them outside.

    Raises ValueError with the nearest depths where they do not add up.
    """
    times, rest = divmod(depth - fixed, each)
    if times < 1 or rest:
        nearest = sorted({fixed + each * max(n, 1) for n in (times, times + 1)})
        raise ValueError(f"depth must be {each}n + {fixed}, not {depth}: {' or '.join(map(str, nearest))}")
    return times


def at_least(name: str, value: float, smallest: float) -> None:
    """Raise ValueError unless the option is at least this."""
    if value < smallest:
        raise ValueError(f"{name} must be at least {smallest}, not {value}")


def probability(name: str, value: float) -> None:
    """Raise ValueError unless the option is a rate of at least 0 and less than 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, not {value}")


def he_normal_fan_in(layer: nn.Module) -> None:
    """Gaussian of variance 2 / fan-in, biases zero (He et al. 2015, Eq. 10)."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def he_normal_fan_out(layer: nn.Module) -> None:
    """Gaussian of variance 2 / fan-out for convolutions (He et al. 2015, Eq. 14); linear layers as torch has them.

    The released Torch code of ResNet, DenseNet and their followers does it so: the linear layer keeps the uniform
    draw of Torch with a bias of zero.
    """
    if isinstance(layer, nn.Conv2d):
        fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels // layer.groups
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
    elif isinstance(layer, nn.Linear):
        bound = 1 / math.sqrt(layer.in_features)
        nn.init.uniform_(layer.weight, -bound, bound)
    if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)


def gaussian(std: float) -> Initialize:
    """Gaussian weights of this deviation, biases zero."""
    return partial(_gaussian, std=std)


def _gaussian(layer: nn.Module, std: float) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.normal_(layer.weight, std=std)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def glorot_uniform(layer: nn.Module) -> None:
    """Uniform with variance 2 / (fan-in + fan-out), biases zero (Glorot and Bengio 2010, Eq. 16)."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def xavier_fan_in(layer: nn.Module) -> None:
    """Caffe's filler of the name xavier: uniform, of variance 1 / fan-in; biases zero."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        bound = math.sqrt(3 / layer.weight[0].numel())
        nn.init.uniform_(layer.weight, -bound, bound)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
