"""Mutants of the networks, each with the verdict that ``archzoo.same`` must reach on it, and how many it got wrong.

    python benchmarks/mutants.py [--seed N] [--sites N] [--kinds PATTERN] [PATTERN ...]

A mutant is a network with one change: a stride moved, a pooling of another kind, a bias added. What is true of it does
not come from the comparison. A change of the function is seen with the same weights in the same places: the outputs
differ. A change that only training shows (momentum, dropout) is one by construction, and so is a permutation of
channels. Whether other shuffles of ShuffleNet are permutations is solved by following the life of every channel. Prints
a row for each kind of change; exits with 1 where a verdict is wrong, or a reason is none of those that name the change.
"""

import argparse
import copy
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.comparison import compare
from archzoo.layers import Inception, Padded, Residual, ResponseNorm
from archzoo.models import alexnet, densenet, fractalnet, lenet, preact_resnet, shufflenet_v2, squeezenet
from archzoo.models import stochastic_depth as stochastic

EQUAL, PERMUTED, DIFFERENT = "equal", "equal up to a permutation of channels", "different"
# Small, and together with every kind of layer; sizes that keep a mutant to a second.
NETWORKS: dict[str, tuple[str, dict[str, Any], tuple[int, int, int]]] = {
    "lenet5": ("lenet5", {}, (1, 32, 32)),
    "lenet5_textbook": ("lenet5_textbook", {}, (1, 32, 32)),
    "alexnet": ("alexnet", {}, (3, 224, 224)),
    "alexnet_cuda_convnet2": ("alexnet_cuda_convnet2", {}, (3, 224, 224)),
    "nin": ("nin", {}, (3, 32, 32)),
    "all_cnn_c": ("all_cnn_c", {}, (3, 32, 32)),
    "all_cnn_base_a": ("all_cnn_base_a", {}, (3, 32, 32)),
    "vgg_a": ("vgg_a", {"batch_norm": True}, (3, 32, 32)),
    "googlenet": ("googlenet", {}, (3, 64, 64)),
    "googlenet_bn": ("googlenet_bn", {}, (3, 64, 64)),
    "highway": ("highway_cifar", {}, (3, 32, 32)),
    "resnet20": ("resnet20", {}, (3, 32, 32)),
    "resnet18": ("resnet18", {"option": "B"}, (3, 64, 64)),
    "resnet50": ("resnet50", {}, (3, 64, 64)),
    "preact": ("preact_resnet", {"depth": 20}, (3, 32, 32)),
    "preact_basic": ("preact_resnet", {"depth": 14, "block": "basic"}, (3, 32, 32)),
    "wide": ("wide_resnet", {"depth": 16, "k": 1, "drop": 0.3}, (3, 32, 32)),
    "stochastic_depth": ("stochastic_depth", {"depth": 14}, (3, 32, 32)),
    "resnext": ("resnext_cifar", {"depth": 11, "cardinality": 4, "base_width": 8}, (3, 32, 32)),
    "pyramid": ("pyramidnet_cifar", {"depth": 14, "widening": 9}, (3, 32, 32)),
    "se_resnet": ("se_resnet", {}, (3, 64, 64)),
    "densenet": ("densenet", {"depth": 16, "drop": 0.2}, (3, 32, 32)),
    "densenet_bc": ("densenet_bc", {"depth": 22}, (3, 32, 32)),
    "fractalnet": ("fractalnet", {"columns": 3, "widths": (16, 32, 32)}, (3, 8, 8)),
    "squeezenet1_1": ("squeezenet1_1", {}, (3, 64, 64)),
    "squeezenet1_0": ("squeezenet1_0", {"bypass": "complex"}, (3, 64, 64)),
    "shufflenet_v2": ("shufflenet_v2_x0_5", {}, (3, 64, 64)),
}


def build(label: str) -> nn.Module:
    """A network of the table, with fully connected layers of 24 units in place of 4096."""
    name, options, _ = NETWORKS[label]
    torch.manual_seed(0)
    if label.startswith(("alexnet", "vgg")):
        net = archzoo.build(name, device="meta", num_classes=10, **options)
        inputs = 512 if label == "vgg_a" else 256 * 36
        for part in ("fc6", "fc7"):
            setattr(net.classifier, part, nn.Linear(inputs, 24))
            inputs = 24
        net.classifier.fc8 = nn.Linear(24, 10)
        return net.to_empty(device="cpu").eval()
    return archzoo.build(name, **options).eval()


@dataclass(frozen=True)
class Mutant:
    """A change of one network, at one place."""

    kind: str
    network: str
    where: str
    net: nn.Module
    verdict: str | None  # None: what the outputs with the same weights show
    reasons: frozenset[str]


Sites = Iterator[tuple[str, Callable[[nn.Module], None]]]


@dataclass(frozen=True)
class Kind:
    """A kind of change: its sites in a network, the verdict where it is known, and the reasons that name it."""

    sites: Callable[[nn.Module], Sites]
    verdict: str | None
    reasons: frozenset[str]


KINDS: dict[str, Kind] = {}


def kind(*reasons: str, verdict: str | None = None) -> Callable[[Callable[[nn.Module], Sites]], Any]:
    """Register a kind of change by its function's name."""

    def register(sites: Callable[[nn.Module], Sites]) -> Any:
        KINDS[sites.__name__] = Kind(sites, verdict, frozenset(reasons))
        return sites

    return register


def modules(net: nn.Module, *classes: type) -> Iterator[tuple[str, Any]]:
    """The modules of these classes, by name."""
    return ((name, module) for name, module in net.named_modules() if isinstance(module, classes))


def setting(name: str, **values: Any) -> tuple[str, Callable[[nn.Module], None]]:
    """A change of attributes of the module of this name."""

    def change(net: nn.Module) -> None:
        for key, value in values.items():
            setattr(net.get_submodule(name), key, value)

    return f"{name} {values}", change


def replacing(name: str, new: Callable[[nn.Module], nn.Module]) -> tuple[str, Callable[[nn.Module], None]]:
    """Another module in the place of one."""

    def change(net: nn.Module) -> None:
        parent, _, own = name.rpartition(".")
        module = new(net.get_submodule(name)).eval()
        setattr(net.get_submodule(parent), own, module)

    return f"{name} {new.__name__}", change


def of_class(name: str, other: type, **values: Any) -> tuple[str, Callable[[nn.Module], None]]:
    """Another class, with another forward, for the module of this name."""

    def change(net: nn.Module) -> None:
        module = net.get_submodule(name)
        module.__class__ = other
        for key, value in values.items():
            setattr(module, key, value)

    return f"{name} {other.__name__} {values or ''}", change


def neighbors(net: nn.Module, first: type, second: type) -> Iterator[tuple[str, str, str]]:
    """Pairs of neighbors in sequences, as the sequence and two names."""
    for name, module in modules(net, nn.Sequential):
        children = list(module.named_children())
        for (a, x), (b, y) in pairwise(children):
            if isinstance(x, first) and isinstance(y, second):
                yield name, a, b


def swapping(sequence: str, a: str, b: str) -> tuple[str, Callable[[nn.Module], None]]:
    """Two modules of a sequence in each other's place."""

    def change(net: nn.Module) -> None:
        parts = net.get_submodule(sequence)._modules
        parts[a], parts[b] = parts[b], parts[a]

    return f"{sequence} {a} <-> {b}", change


# ---- Changes of settings


@kind(
    "stride", "subsample", "width", "wiring", "order", "kernel size", "layer", "kernel_size", "positions", "size", "of"
)
def stride_moved(net: nn.Module) -> Sites:
    """The stride of a convolution in another one of its block."""
    for name, module in modules(net, nn.Sequential):
        convs = [(n, m) for n, m in module.named_children() if isinstance(m, nn.Conv2d)]
        for n, m in convs:
            for k, other in convs:
                if m.stride == (2, 2) and other.stride == (1, 1):

                    def change(net: nn.Module, a: str = f"{name}.{n}", b: str = f"{name}.{k}") -> None:
                        x, y = net.get_submodule(a), net.get_submodule(b)
                        x.stride, y.stride = y.stride, x.stride

                    yield f"{name} {n} -> {k}", change


@kind("stride")
def stride(net: nn.Module) -> Sites:
    """Another stride, where the maps after it still fit."""
    for name, module in modules(net, nn.Conv2d):
        yield setting(name, stride=(1, 1) if module.stride[0] > 1 else (2, 2))


@kind("padding", "kernel size", "width", "layer")
def padding(net: nn.Module) -> Sites:
    """A row of zeros more, or none."""
    for name, module in modules(net, nn.Conv2d):
        yield setting(name, padding=tuple(p + 1 for p in module.padding))
        if module.padding != (0, 0):
            yield setting(name, padding=(0, 0))


@kind("dilation", "padding")
def dilation(net: nn.Module) -> Sites:
    """Twice the dilation, with the padding that keeps the size."""
    for name, module in modules(net, nn.Conv2d):
        if module.kernel_size == (3, 3) and module.padding == (1, 1):

            def change(net: nn.Module, name: str = name) -> None:
                conv: Any = net.get_submodule(name)
                conv.dilation, conv.padding = (2, 2), (2, 2)

            yield f"{name} dilation 2", change


@kind("padding", "extra layer", "layer")
def padding_mode(net: nn.Module) -> Sites:
    """Another padding than by zeros."""
    for name, module in modules(net, nn.Conv2d):
        if module.padding != (0, 0):
            for mode in ("reflect", "replicate", "circular"):
                yield replacing(name, with_padding_mode(mode))


def with_padding_mode(mode: str) -> Callable[[nn.Module], nn.Module]:
    """Makes a convolution with the same weights and another padding."""

    def convolution(conv: Any) -> nn.Module:
        options: dict[str, Any] = {"stride": conv.stride, "groups": conv.groups, "bias": conv.bias is not None}
        options["padding"] = conv.padding
        options["padding_mode"] = mode
        other = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, **options)
        other.load_state_dict(conv.state_dict())
        return other

    return convolution


@kind("pooling", "width", "subsample", "layer")
def pooling_kind(net: nn.Module) -> Sites:
    """Maximum for average, and average for maximum."""
    for name, _ in modules(net, nn.MaxPool2d, nn.AvgPool2d):
        yield replacing(name, other_pooling)
    for name, _ in modules(net, nn.AdaptiveAvgPool2d):
        yield replacing(name, adaptive_max)


def other_pooling(pool: Any) -> nn.Module:
    """The other pooling over the same windows."""
    other = nn.AvgPool2d if isinstance(pool, nn.MaxPool2d) else nn.MaxPool2d
    return other(pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode)


def adaptive_max(pool: Any) -> nn.Module:
    """The maximum of what was averaged."""
    return nn.AdaptiveMaxPool2d(pool.output_size)


@kind("ceil mode", "kernel size", "width", "pooling")
def ceil_mode(net: nn.Module) -> Sites:
    """Incomplete windows kept, or left out."""
    for name, module in modules(net, nn.MaxPool2d, nn.AvgPool2d):
        yield setting(name, ceil_mode=not module.ceil_mode)


@kind("kernel size", "stride", "padding", "pooling")
def pooling_window(net: nn.Module) -> Sites:
    """Windows of another size."""
    for name, module in modules(net, nn.MaxPool2d):
        if module.kernel_size == 3:
            yield setting(name, kernel_size=2, padding=0)
        elif module.kernel_size == 2:
            yield setting(name, kernel_size=3, padding=1)


@kind("eps")
def eps(net: nn.Module) -> Sites:
    """Another constant in a batch norm, also by a thousandth of it."""
    for name, module in modules(net, nn.BatchNorm2d):
        yield setting(name, eps=1e-3 if module.eps == 1e-5 else 1e-5)
        yield setting(name, eps=module.eps * 1.001)


@kind("momentum", verdict=DIFFERENT)
def momentum(net: nn.Module) -> Sites:
    """Another momentum of a batch norm."""
    for name, _ in modules(net, nn.BatchNorm2d):
        yield setting(name, momentum=0.01)
        yield setting(name, momentum=0.1001)


@kind("dropout rate", verdict=DIFFERENT)
def dropout_rate(net: nn.Module) -> Sites:
    """Half the dropout."""
    for name, module in modules(net, nn.Dropout):
        yield setting(name, p=module.p / 2)


@kind("statistics", "weights", "eps")
def batch_statistics(net: nn.Module) -> Sites:
    """A batch norm that normalizes by the batch also in eval mode."""
    for name, _ in modules(net, nn.BatchNorm2d):
        yield setting(name, track_running_stats=False, running_mean=None, running_var=None)


# ---- Changes of weights


@kind("bias")
def bias(net: nn.Module) -> Sites:
    """A bias where there is none, and none where there is one."""
    for name, module in modules(net, nn.Conv2d, nn.Linear):
        yield replacing(name, with_bias if module.bias is None else without_bias)


def with_bias(layer: Any) -> Any:
    """The layer with a bias."""
    layer = copy.deepcopy(layer)
    layer.bias = nn.Parameter(torch.randn(len(layer.weight)))
    return layer


def without_bias(layer: Any) -> Any:
    """The layer without its bias."""
    layer = copy.deepcopy(layer)
    layer.bias = None
    return layer


@kind("groups", "width", "wiring")
def groups(net: nn.Module) -> Sites:
    """Two groups for one, and one for several."""
    for name, module in modules(net, nn.Conv2d):
        if module.groups == 1 and not module.in_channels % 2 and not module.out_channels % 2:
            yield replacing(name, in_two_groups)
        elif module.groups > 1 and module.groups != module.in_channels:
            yield replacing(name, in_one_group)


def regrouped(conv: Any, number: int) -> nn.Module:
    """A convolution in groups."""
    options: dict[str, Any] = {"stride": conv.stride, "padding": conv.padding, "bias": conv.bias is not None}
    return nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, groups=number, **options)


def in_two_groups(conv: Any) -> nn.Module:
    """A convolution in two groups."""
    return regrouped(conv, 2)


def in_one_group(conv: Any) -> nn.Module:
    """A convolution in one group."""
    return regrouped(conv, 1)


@kind("kernel size", "padding", "width")
def kernel_size(net: nn.Module) -> Sites:
    """5x5 for 3x3."""
    for name, module in modules(net, nn.Conv2d):
        if module.kernel_size == (3, 3):
            yield replacing(name, larger)


def larger(conv: Any) -> nn.Module:
    """A 5x5 convolution that returns maps of the same size."""
    padding = tuple(p + 1 for p in conv.padding)
    options: dict[str, Any] = {"stride": conv.stride, "groups": conv.groups, "bias": conv.bias is not None}
    options["padding"] = padding
    return nn.Conv2d(conv.in_channels, conv.out_channels, 5, **options)


@kind("weights")
def affine(net: nn.Module) -> Sites:
    """A batch norm without scale and shift."""
    for name, module in modules(net, nn.BatchNorm2d):
        if module.affine:
            yield setting(name, weight=None, bias=None)


@kind("sharing", verdict=DIFFERENT)
def shared(net: nn.Module) -> Sites:
    """One convolution in the place of two of the same shape."""
    for name, module in modules(net, nn.Sequential):
        seen: dict[str, str] = {}
        for child, layer in module.named_children():
            if isinstance(layer, nn.Conv2d):
                first = seen.setdefault(repr(layer), child)
                if first != child:

                    def change(net: nn.Module, name: str = name, a: str = first, b: str = child) -> None:
                        parts = net.get_submodule(name)
                        setattr(parts, b, getattr(parts, a))

                    yield f"{name} {child} is {first}", change


# ---- Layers too few, too many, in another order


@kind("order")
def norm_after_relu(net: nn.Module) -> Sites:
    """ReLU-BN for BN-ReLU."""
    for place in neighbors(net, nn.BatchNorm2d, nn.ReLU):
        yield swapping(*place)


@kind("order", "missing layer", "extra layer", "layer")
def norm_before_convolution(net: nn.Module) -> Sites:
    """BN-conv for conv-BN."""
    for name, a, b in neighbors(net, nn.Conv2d, nn.BatchNorm2d):
        parts = net.get_submodule(name)
        if getattr(parts, a).in_channels == getattr(parts, b).num_features:
            yield swapping(name, a, b)


@kind("order", "wiring")
def relu_after_pooling(net: nn.Module) -> Sites:
    """With max pooling the same function, with average pooling another."""
    for second in (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d):
        for place in neighbors(net, nn.ReLU, second):
            yield swapping(*place)


@kind("order")
def norm_after_pooling(net: nn.Module) -> Sites:
    """Response normalization behind the pooling."""
    for second in (nn.MaxPool2d,):
        for place in neighbors(net, ResponseNorm, second):
            yield swapping(*place)


@kind("missing layer", "order", "layer", "wiring", "activation")
def norm_missing(net: nn.Module) -> Sites:
    """A normalization left out."""
    for name, _ in modules(net, nn.BatchNorm2d, ResponseNorm):
        yield replacing(name, nothing)


def nothing(layer: nn.Module) -> nn.Module:
    """No layer."""
    return nn.Identity()


@kind("missing layer", "layer", "wiring", "order")
def last_norm_missing(net: nn.Module) -> Sites:
    """The last batch norm left out."""
    names = [name for name, _ in modules(net, nn.BatchNorm2d)]
    yield from (replacing(name, nothing) for name in names[-1:])


@kind("missing layer", "layer", "wiring", "order")
def activation_missing(net: nn.Module) -> Sites:
    """An activation left out."""
    for name, _ in modules(net, nn.ReLU, nn.Tanh, lenet.ScaledTanh):
        yield replacing(name, nothing)


@kind("activation")
def activation(net: nn.Module) -> Sites:
    """Another activation for ReLU."""
    for name, _ in modules(net, nn.ReLU):
        for other in (nn.Tanh, nn.LeakyReLU, nn.ELU, nn.ReLU6, nn.GELU, nn.Sigmoid):
            yield replacing(name, instead(other))


def instead(other: Callable[[], nn.Module]) -> Callable[[nn.Module], nn.Module]:
    """Makes a module in the place of another."""

    def activation(_: nn.Module) -> nn.Module:
        return other()

    activation.__name__ = getattr(other, "__name__", "other")
    return activation


@kind("missing layer", "layer", "activation", "order")
def unscaled_tanh(net: nn.Module) -> Sites:
    """Tanh for the scaled one."""
    for name, _ in modules(net, lenet.ScaledTanh):
        yield replacing(name, instead(nn.Tanh))


@kind("dropout", verdict=DIFFERENT)
def dropout_missing(net: nn.Module) -> Sites:
    """A dropout left out."""
    for name, _ in modules(net, nn.Dropout):
        yield replacing(name, nothing)


@kind("dropout", verdict=DIFFERENT)
def dropout_added(net: nn.Module) -> Sites:
    """A dropout behind a convolution."""
    for name, _ in modules(net, nn.Conv2d):
        yield replacing(name, then_dropout)


def then_dropout(layer: Any) -> nn.Module:
    """The layer, and dropout."""
    return nn.Sequential(layer, nn.Dropout(0.1))


@kind("extra layer", "order", "layer", "wiring")
def norm_added(net: nn.Module) -> Sites:
    """A batch norm behind a convolution."""
    for name, _ in modules(net, nn.Conv2d):
        yield replacing(name, then_norm)


def then_norm(layer: Any) -> nn.Module:
    """The layer, and a batch norm."""
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels))


@kind("order", "layer", "dropout", verdict=DIFFERENT)
def dropout_moved(net: nn.Module) -> Sites:
    """Dropout behind the layer that it precedes."""
    for first in (nn.Linear, nn.Conv2d):
        for place in neighbors(net, nn.Dropout, first):
            yield swapping(*place)


# ---- Response normalization, rounding


@kind("response norm", "scalar", "other", "exponent", "wiring", "missing layer", "extra layer", "layer", "order")
def response_norm(net: nn.Module) -> Sites:
    """Other constants of a response normalization."""
    for name, module in modules(net, ResponseNorm):
        for values in ({"n": 3}, {"alpha": module.alpha / 5}, {"beta": 0.5}, {"k": module.k / 2}):
            yield setting(name, **values)


@kind("missing layer", "layer", "kernel size", "width", "order")
def rounding(net: nn.Module) -> Sites:
    """Sizes rounded down, not up."""
    for name, _ in modules(net, alexnet.RoundUp):
        yield replacing(name, nothing)


# ---- Shortcuts, concatenations, shuffles


class Centered(Padded):
    """Zeros on both sides, as in a much-used implementation."""

    def forward(self, maps: Tensor) -> Tensor:
        before = self.missing // 2
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.missing - before))


class ZerosFirst(Padded):
    """Zeros before the maps."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.missing, 0))


class PooledPadded(Padded):
    """Average pooling in place of every other position."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(F.avg_pool2d(maps, self.stride), (0, 0, 0, 0, 0, self.missing))


class MaxPadded(Padded):
    """Max pooling of a single position, which is every other position."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(F.max_pool2d(maps, 1, self.stride), (0, 0, 0, 0, 0, self.missing))


@kind(verdict=PERMUTED)
def centered_padding(net: nn.Module) -> Sites:
    """The zeros of option A on both sides or in front: in all shortcuts, or in one."""
    names = [name for name, _ in modules(net, Padded)]
    for other in (Centered, ZerosFirst):
        for chosen in [names, *([name] for name in names)] if names else []:

            def change(net: nn.Module, other: type = other, chosen: list[str] = chosen) -> None:
                for name in chosen:
                    net.get_submodule(name).__class__ = other

            yield f"{chosen} {other.__name__}", change


@kind("pooling", "subsample", "layer", "positions", "wiring")
def shortcut_pooled(net: nn.Module) -> Sites:
    """Averages in a shortcut of option A."""
    for name, _ in modules(net, Padded):
        yield of_class(name, PooledPadded)


@kind("missing layer", "order", "layer", "wiring", "width")
def shortcut_missing(net: nn.Module) -> Sites:
    """No shortcut."""
    for name, _ in modules(net, Residual):
        yield setting(name, shortcut=None)


class RawProjection(preact_resnet.Unit):
    """A projection that reads the input, not its activation."""

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers(self.activation(maps.clone()))
        shortcut: Tensor = maps if self.project is None else self.project(maps)
        return out + shortcut


@kind("wiring", "order", "missing layer", "layer", "channel order", "extra layer")
def raw_projection(net: nn.Module) -> Sites:
    """A projection before the activation, not behind it."""
    for name, module in modules(net, preact_resnet.Unit):
        if module.project is not None and not isinstance(module.activation, nn.Identity):
            yield of_class(name, RawProjection)


class NewFirst(densenet.DenseLayer):
    """The new maps before those of the input."""

    def forward(self, maps: Tensor) -> Tensor:
        new = maps
        for layer in self:
            new = layer(new)
        return torch.cat([new, maps], dim=1)


class Reversed(Inception):
    """The branches in reverse."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in list(self)[::-1]], dim=1)


class LargeFirst(squeezenet.Fire):
    """The 3x3 maps before the 1x1 maps."""

    def forward(self, maps: Tensor) -> Tensor:
        squeezed = torch.relu(self.squeeze(maps))
        return torch.relu(torch.cat([self.expand3x3(squeezed), self.expand1x1(squeezed)], dim=1))


@kind(verdict=PERMUTED)
def swapped_concatenation(net: nn.Module) -> Sites:
    """What is concatenated in another order."""
    for old, new in ((densenet.DenseLayer, NewFirst), (Inception, Reversed), (squeezenet.Fire, LargeFirst)):
        for name, _ in modules(net, old):
            yield of_class(name, new)


@kind(verdict=PERMUTED)
def reversed_table(net: nn.Module) -> Sites:
    """The maps of LeNet-5's C3 in another order."""
    for name, _ in modules(net, lenet.SparseConv):
        yield replacing(name, reversed_columns)


def reversed_columns(_: nn.Module) -> nn.Module:
    """C3 with its maps in reverse."""
    return lenet.SparseConv(lenet.TABLE_I[::-1])


@kind("wiring", "channel order", "width", "groups")
def other_table(net: nn.Module) -> Sites:
    """Another map of S2 for the first of C3."""
    for name, _ in modules(net, lenet.SparseConv):
        yield replacing(name, other_columns)


def other_columns(_: nn.Module) -> nn.Module:
    """C3 by another table."""
    return lenet.SparseConv(((0, 2, 4), *lenet.TABLE_I[1:]))


def shuffled(maps: Tensor, number: int) -> Tensor:
    """Maps shuffled by a number of groups."""
    batch, channels, height, width = maps.shape
    return maps.reshape(batch, number, channels // number, height, width).transpose(1, 2).flatten(1, 2)


class OtherShuffle(shufflenet_v2.Unit):
    """A shuffle of ``groups`` groups."""

    groups: int

    def forward(self, maps: Tensor) -> Tensor:
        left, right = maps.chunk(2, dim=1)
        return shuffled(torch.cat([left, self.branch(right)], dim=1), self.groups)


class OtherDown(shufflenet_v2.DownUnit):
    """The same at the end of a unit that halves the resolution."""

    groups: int

    def forward(self, maps: Tensor) -> Tensor:
        return shuffled(torch.cat([self.left(maps), self.branch(maps)], dim=1), self.groups)


class LeftTransformed(shufflenet_v2.Unit):
    """The other half is transformed."""

    def forward(self, maps: Tensor) -> Tensor:
        left, right = maps.chunk(2, dim=1)
        return shufflenet_v2.shuffle(torch.cat([self.branch(left), right], dim=1))


SHUFFLES = (1, 2, 3, 4, 6, 8)


@kind("channel order", "wiring", "width")
def channel_shuffle(net: nn.Module) -> Sites:
    """Another number of groups, in all units of a network or in one."""
    units = [name for name, _ in modules(net, shufflenet_v2.Unit, shufflenet_v2.DownUnit)]
    for number in SHUFFLES if units else ():
        for chosen in (units, *([unit] for unit in units)):

            def change(net: nn.Module, number: int = number, chosen: list[str] = chosen) -> None:
                for name in chosen:
                    unit: Any = net.get_submodule(name)
                    unit.__class__ = OtherDown if isinstance(unit, shufflenet_v2.DownUnit) else OtherShuffle
                    unit.groups = number

            yield f"{'all' if chosen is units else chosen[0]} {number}", change


@kind("channel order", "wiring", "width")
def other_half(net: nn.Module) -> Sites:
    """Units that transform their left half."""
    for name, _ in modules(net, shufflenet_v2.Unit):
        yield of_class(name, LeftTransformed)


Channel = tuple[str, ...]  # the life of a channel: who wrote it, and who read it


def lives(net: nn.Module) -> Counter[Channel]:
    """The life of every channel of a ShuffleNet V2 in its stages, of which none is ever added to another.

    Two such networks are the same up to a permutation exactly if as many channels have each life: channels of one
    layer can be renamed at will, and there is nothing else that tells them apart.
    """
    ended: Counter[Channel] = Counter()
    maps: list[Channel] = [("stem",)] * 24
    new: list[Channel]
    for name, unit in modules(net, shufflenet_v2.Unit, shufflenet_v2.DownUnit):
        number = getattr(unit, "groups", 2)
        new = [(f"{name}.branch",)] * unit.branch.expand.conv.out_channels
        if hasattr(unit, "left"):
            ended.update((*channel, name) for channel in maps)
            maps = [(f"{name}.left",)] * unit.left.expand.conv.out_channels + new
        else:
            half = len(maps) // 2
            left, right = maps[:half], maps[half:]
            if isinstance(unit, LeftTransformed):
                left, right = right, left
            ended.update((*channel, f"{name}.last") for channel in right)
            joined = new + left if isinstance(unit, LeftTransformed) else left + new
            maps = joined
        columns = len(maps) // number
        maps = [maps[row * columns + column] for column in range(columns) for row in range(number)]
        maps = [(*channel, name) if channel[-1] != name else channel for channel in maps]
    ended.update((*channel, "conv5") for channel in maps)
    return ended


# ---- The same function, written in another way


def functional(_: nn.Module) -> nn.Module:
    """ReLU as a function."""

    class Rectified(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return F.relu(maps)

    return Rectified()


def clamped(_: nn.Module) -> nn.Module:
    """ReLU as a clamp."""

    class Clamped(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.clamp(min=0)

    return Clamped()


def averaged(_: nn.Module) -> nn.Module:
    """Global pooling as a mean."""

    class Averaged(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.mean((2, 3), keepdim=True)

    return Averaged()


def viewed(_: nn.Module) -> nn.Module:
    """A flattening as a reshape."""

    class Viewed(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.reshape(maps.size(0), -1)

    return Viewed()


class ShortcutFirst(Residual):
    """The shortcut runs before the layers, and is the first operand of the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        assert self.shortcut is not None
        shortcut = self.shortcut(maps)
        return torch.relu(shortcut + self.layers(maps))


@kind(verdict=EQUAL)
def written_anew(net: nn.Module) -> Sites:
    """The same layers in other words."""
    for name, _ in modules(net, nn.ReLU):
        yield replacing(name, functional)
        yield replacing(name, clamped)
    for name, module in modules(net, nn.AdaptiveAvgPool2d):
        if module.output_size == 1:
            yield replacing(name, averaged)
    for name, _ in modules(net, nn.Flatten):
        yield replacing(name, viewed)
    for name, _ in modules(net, nn.BatchNorm2d, nn.Conv2d):
        yield replacing(name, wrapped)
    for name, module in modules(net, Residual):
        if module.shortcut is not None:
            yield of_class(name, ShortcutFirst)
    for name, _ in modules(net, Padded):
        yield of_class(name, MaxPadded)


def wrapped(layer: Any) -> nn.Module:
    """The layer among modules that do nothing."""
    return nn.Sequential(nn.Identity(), layer, nn.Dropout(0.0))


@kind("survival", "other", "self", "scalar")
def survival(net: nn.Module) -> Sites:
    """Another probability of survival, which scales a branch in eval mode."""
    for name, _ in modules(net, stochastic.StochasticBlock):
        yield setting(name, survival=0.123)


@kind("wiring", "order", "missing layer", "layer", "pooling", "extra layer", "other")
def join_first(net: nn.Module) -> Sites:
    """Columns joined before the pooling."""
    for name, _ in modules(net, fractalnet.Block):
        yield setting(name, join_first=True)


# ---- Trying them


def mutants(label: str, sites: int, seed: int, kinds: str = "*") -> Iterator[Mutant]:
    """Up to ``sites`` mutants of each kind whose name matches, at places drawn by the seed."""
    net = build(label)
    for name, change in KINDS.items():
        if not fnmatchcase(name, kinds):
            continue
        places = list(change.sites(net))
        draw = random.Random(f"{seed} {label} {name}")
        for where, mutate in draw.sample(places, min(sites, len(places))):
            mutant = copy.deepcopy(net)
            mutate(mutant)
            yield Mutant(name, label, where, mutant.eval(), change.verdict, change.reasons)


def truth(net: nn.Module, mutant: Mutant, size: tuple[int, ...]) -> str | None:
    """The right verdict; None where the mutant does not run."""
    images = torch.randn(2, *size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    try:
        with torch.no_grad():
            copy.deepcopy(mutant.net).double()(images)
    except (RuntimeError, ValueError):
        return None
    if mutant.kind in ("channel_shuffle", "other_half"):
        same = all(getattr(unit, "groups", 2) == 2 for unit in mutant.net.modules()) and mutant.kind != "other_half"
        return EQUAL if same else PERMUTED if lives(net) == lives(mutant.net) else DIFFERENT
    # Beside variances near one, a thousandth of eps is lost in rounding.
    return mutant.verdict or _by_outputs(net, mutant.net, images, 0.01 if mutant.kind == "eps" else 0.5)


def _by_outputs(net: nn.Module, mutant: nn.Module, images: Tensor, variance: float) -> str:
    """Whether the outputs are the same with the same random weights, batch statistics included, in the same places.

    ``variance`` is the least of any batch norm.
    """
    a, b = copy.deepcopy(net).double(), copy.deepcopy(mutant).double()
    generator = torch.Generator().manual_seed(7)
    state = {}
    for name, tensor in a.state_dict().items():
        if not tensor.is_floating_point() or name.endswith("codes"):
            state[name] = tensor
        elif name.endswith("running_var"):
            state[name] = torch.rand(tensor.shape, generator=generator, dtype=torch.float64) * 2 * variance + variance
        else:
            spread = (2 / max(1, tensor[0].numel())) ** 0.5 if tensor.dim() > 1 else 1
            state[name] = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * spread
    a.load_state_dict(state)
    theirs = dict(zip(b.state_dict(), state.values(), strict=False))
    shapes = [tuple(tensor.shape) for tensor in b.state_dict().values()]
    if [tuple(tensor.shape) for tensor in state.values()] != shapes:
        return DIFFERENT
    b.load_state_dict(theirs)
    with torch.no_grad():
        x, y = a(images), b(images)
    if x.shape != y.shape:
        return DIFFERENT
    return EQUAL if bool((x - y).norm() <= 1e-9 * x.norm()) else DIFFERENT


@dataclass
class Outcome:
    """What the comparison said of a mutant, and what is right."""

    mutant: Mutant
    right: str
    verdict: str
    reason: str
    text: str

    @property
    def wrong(self) -> bool:
        """Whether the verdict is wrong."""
        return self.verdict != self.right

    @property
    def misnamed(self) -> bool:
        """Whether the verdict is right, and the reason names another change."""
        return not self.wrong and self.verdict == DIFFERENT and self.reason not in self.mutant.reasons


def outcomes(label: str, sites: int, seed: int, kinds: str = "*") -> Iterator[Outcome]:
    """The comparison of a network with each of its mutants that runs."""
    net, size = build(label), NETWORKS[label][2]
    for mutant in mutants(label, sites, seed, kinds):
        right = truth(net, mutant, size)
        if right is None:
            continue
        comparison = compare(net, mutant.net, size)
        reason = comparison.difference.reason if comparison.difference else ""
        yield Outcome(mutant, right, comparison.verdict, reason, str(comparison.difference))


def main() -> int:
    """Try the mutants of the networks that match."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sites", type=int, default=2, help="places of each kind of change in each network")
    parser.add_argument("--kinds", default="*", help="the kinds of change, by their names")
    arguments = parser.parse_args()
    labels = [label for label in NETWORKS if any(fnmatchcase(label, pattern) for pattern in arguments.patterns)]
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for label in labels:
        started, tried = time.perf_counter(), 0
        for outcome in outcomes(label, arguments.sites, arguments.seed, arguments.kinds):
            by_kind[outcome.mutant.kind].append(outcome)
            tried += 1
            if outcome.wrong or outcome.misnamed:
                what = "WRONG" if outcome.wrong else "reason"
                print(
                    f"{what}: {outcome.mutant.kind} {label} {outcome.mutant.where}: {outcome.right!r} is right, "
                    f"said {outcome.verdict!r} {outcome.text}",
                    flush=True,
                )
        print(f"{label}: {tried} mutants, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"{'change':26}{'tried':>6}{'equal':>7}{'permuted':>9}{'different':>10}{'wrong':>7}{'reason':>8}")
    for name, rows in by_kind.items():
        counts = Counter(outcome.right for outcome in rows)
        numbers = f"{len(rows):6}{counts[EQUAL]:7}{counts[PERMUTED]:9}{counts[DIFFERENT]:10}"
        print(f"{name:26}{numbers}{sum(o.wrong for o in rows):7}{sum(o.misnamed for o in rows):8}")
    every = [outcome for rows in by_kind.values() for outcome in rows]
    wrong, misnamed = sum(o.wrong for o in every), sum(o.misnamed for o in every)
    print(f"{len(every)} mutants, {wrong} wrong verdicts, {misnamed} reasons that name another change")
    return int(bool(wrong or misnamed))


if __name__ == "__main__":
    sys.exit(main())
