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
import inspect
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise, takewhile
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.comparison import compare
from archzoo.layers import (
    ChannelShuffle,
    Inception,
    Padded,
    Residual,
    ResidualSum,
    ResponseNorm,
    SamePadding,
    Select,
    ShuffleDownUnit,
    SqueezeExcitation,
)
from archzoo.models import (
    alexnet,
    bn_inception,
    condensenet,
    densenet,
    fractalnet,
    googlenet,
    highway,
    inception_v3,
    inception_v4,
    lenet,
    mobilenet_v1,
    mobilenet_v2,
    preact_resnet,
    pyramidnet,
    resnet,
    resnext,
    senet,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
    xception,
)
from archzoo.models import stochastic_depth as stochastic

EQUAL, PERMUTED, DIFFERENT = "equal", "equal up to a permutation of channels", "different"
CIFAR, IMAGE = (3, 32, 32), (3, 64, 64)
TF = {"padding": "same", "bn_eps": 1e-3}
TORCH = {"padding": "symmetric", "bn_eps": 1e-5}
# Small, and together with every kind of layer; sizes that keep a mutant to a second.
NETWORKS: dict[str, tuple[str, dict[str, Any], tuple[int, int, int]]] = {
    "lenet5": ("lenet5", {}, (1, 32, 32)),
    "lenet5_textbook": ("lenet5_textbook", {}, (1, 32, 32)),
    "alexnet": ("alexnet", {}, (3, 224, 224)),
    "alexnet_cuda_convnet2": ("alexnet_cuda_convnet2", {}, (3, 224, 224)),
    "zfnet": ("zfnet", {}, (3, 224, 224)),
    "nin": ("nin", {}, CIFAR),
    "all_cnn_c": ("all_cnn_c", {}, CIFAR),
    "all_cnn_base_a": ("all_cnn_base_a", {}, CIFAR),
    "dsn": ("dsn", {}, CIFAR),
    "vgg_a": ("vgg_a", {"batch_norm": True}, CIFAR),
    "vgg_c": ("vgg_c", {}, CIFAR),
    "vgg_a_lrn": ("vgg_a_lrn", {}, CIFAR),
    "googlenet": ("googlenet", {}, IMAGE),
    "googlenet_bn": ("googlenet_bn", {}, IMAGE),
    "bn_inception": ("bn_inception", {"drop": 0.2}, IMAGE),
    "bn_inception_slim": ("bn_inception_slim", {}, IMAGE),
    "bn_inception_caffe": ("bn_inception_caffe", {"drop": 0.2}, IMAGE),
    "inception_v3": ("inception_v3", {}, (3, 75, 75)),
    "inception_v4": ("inception_v4", {}, (3, 75, 75)),
    "inception_resnet_v1": ("inception_resnet_v1", {}, (3, 75, 75)),
    "inception_resnet_v2": ("inception_resnet_v2_released", {"bn_scale": True}, (3, 75, 75)),
    "xception": ("xception", TF, IMAGE),
    "xception_torch": ("xception", TORCH, IMAGE),
    "highway": ("highway_cifar", {}, CIFAR),
    "highway_mnist": ("highway_mnist", {"width": 8}, (1, 28, 28)),
    "resnet20": ("resnet20", {}, CIFAR),
    "resnet18": ("resnet18", {"option": "B"}, IMAGE),
    "resnet34": ("resnet34", {}, IMAGE),
    "resnet50": ("resnet50", {}, IMAGE),
    "resnet50_v1_5": ("resnet50_v1_5", {}, IMAGE),
    "preact": ("preact_resnet", {"depth": 20}, CIFAR),
    "preact_basic": ("preact_resnet", {"depth": 14, "block": "basic"}, CIFAR),
    "wide": ("wide_resnet", {"depth": 16, "k": 1, "drop": 0.3}, CIFAR),
    "stochastic_depth": ("stochastic_depth", {"depth": 14}, CIFAR),
    "resnext": ("resnext_cifar", {"depth": 11, "cardinality": 4, "base_width": 8}, CIFAR),
    "resnext50": ("resnext", {"cardinality": 4, "base_width": 16}, IMAGE),
    "pyramid": ("pyramidnet_cifar", {"depth": 14, "widening": 9}, CIFAR),
    "pyramid_bottleneck": ("pyramidnet_cifar", {"depth": 20, "widening": 9, "block": "bottleneck"}, CIFAR),
    "pyramid101": ("pyramidnet", {"depth": 101, "widening": 10}, IMAGE),
    "se_resnet": ("se_resnet", {}, IMAGE),
    "se_resnet_padded": ("se_resnet", {"pool": "padded", "place": "pre", "bias": False}, IMAGE),
    "se_resnext": ("se_resnext", {"cardinality": 4, "base_width": 16}, IMAGE),
    "senet154": ("senet154", {}, IMAGE),
    "densenet": ("densenet", {"depth": 16, "drop": 0.2}, CIFAR),
    "densenet_bc": ("densenet_bc", {"depth": 22}, CIFAR),
    "condensenet": ("condensenet", {}, CIFAR),
    "condensenet_cifar": ("condensenet_cifar", {"depth": 14, "classifier_share": 0.5}, CIFAR),
    "condensenet_light": ("condensenet_light", {"depth": 16, "k": 8}, CIFAR),
    "fractalnet": ("fractalnet", {"columns": 3, "widths": (16, 32, 32)}, (3, 8, 8)),
    "squeezenet1_1": ("squeezenet1_1", {}, IMAGE),
    "squeezenet1_0": ("squeezenet1_0", {"bypass": "complex"}, IMAGE),
    "mobilenet_v1": ("mobilenet_v1", {"width": 0.25, "activation": "relu6", **TF}, IMAGE),
    "mobilenet_v1_torch": ("mobilenet_v1", {"width": 0.25, **TORCH}, IMAGE),
    "mobilenet_v2": ("mobilenet_v2", {"width": 0.35, **TF}, IMAGE),
    "mobilenet_v2_torch": ("mobilenet_v2", {"width": 0.35, **TORCH}, IMAGE),
    "shufflenet_v1": ("shufflenet_v1", {"width": 0.25, "g": 3}, IMAGE),
    "shufflenet_v1_release": ("shufflenet_v1", {"width": 0.25, "g": 4, "shuffle": "release"}, IMAGE),
    "shufflenet_v2": ("shufflenet_v2_x0_5", {}, IMAGE),
}
# By what all widths of a large network are divided.
NARROWED = {
    **dict.fromkeys(("alexnet", "alexnet_cuda_convnet2", "zfnet", "vgg_a", "vgg_c", "vgg_a_lrn"), 8),
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet50_v1_5", "se_resnet", "se_resnet_padded"), 8),
    **dict.fromkeys(("xception", "xception_torch"), 8),
    **dict.fromkeys(("inception_v3", "inception_v4", "inception_resnet_v1", "inception_resnet_v2"), 8),
    **dict.fromkeys(("bn_inception", "bn_inception_slim", "bn_inception_caffe", "googlenet", "googlenet_bn"), 4),
    **dict.fromkeys(("squeezenet1_0", "squeezenet1_1", "resnext50", "se_resnext", "dsn"), 4),
    "senet154": 2,
}
FEW = dict.fromkeys((34, 50, 101, 152), (2, 1, 1, 1))
AGAIN = ("mixed_5d", "mixed_6c", "mixed_6d", "mixed_7c")  # of Inception-v3: modules like those before them
ROWS = ("3a", "3c", "5b")  # of BN-Inception: an average pooling, a module that halves the resolution, a max pooling
# Fewer layers of the same kinds, where a network has one row of its table after another.
SHORTER: list[tuple[Any, str, Any]] = [
    (bn_inception, "FIG_5", {name: bn_inception.FIG_5[name] for name in ROWS}),
    (bn_inception, "SLIM", {name: bn_inception.SLIM[name] for name in ROWS}),
    (condensenet, "LAYERS", (2, 1)),
    (googlenet, "TABLE_1", {3: {"a": googlenet.TABLE_1[3]["a"]}, 5: {"b": googlenet.TABLE_1[5]["b"]}}),
    (
        inception_v3,
        "RELEASED",
        {k: v for k, v in inception_v3.RELEASED.items() if k[-2:] not in ("5d", "6c", "6d", "7c")},
    ),
    (inception_v4, "BLOCKS", dict.fromkeys(inception_v4.BLOCKS, (1, 1, 2))),
    (mobilenet_v1, "TABLE_1", mobilenet_v1.TABLE_1[:4]),
    (mobilenet_v2, "TABLE_2", ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 2, 2))),
    (pyramidnet, "BLOCKS", FEW),
    (resnet, "TABLE_1", {18: (1, 1, 1, 1), **FEW}),
    (resnext, "BLOCKS", FEW),
    (senet, "BLOCKS", FEW),
    (shufflenet_v1, "UNITS", (3, 2)),
    (shufflenet_v2, "UNITS", (3, 2, 1)),
    (xception, "ENTRY", xception.ENTRY[::2]),
    (xception, "MIDDLE", xception.MIDDLE[:1]),
]
WIDTHS = ("in_channels", "out_channels", "num_features", "in_features", "out_features", "missing")
HIDDEN_UNITS = 24


def build(label: str) -> nn.Module:
    """A network of the table, narrow and shallow where it is large, with fully connected layers of 24 units."""
    name, options, _ = NETWORKS[label]
    torch.manual_seed(0)
    with ExitStack() as patches:
        for module, table, rows in SHORTER:
            patches.enter_context(patch.object(module, table, rows))
        patches.enter_context(narrowed(NARROWED.get(label, 1)))
        if not label.startswith(("alexnet", "vgg", "zfnet")):
            return archzoo.build(name, num_classes=10, **options).eval()
        net = archzoo.build(name, device="meta", num_classes=10, **options)
    inputs = {"vgg": 512}.get(label[:3], 256 * 36) // NARROWED[label]
    for part in ("fc6", "fc7"):
        setattr(net.classifier, part, nn.Linear(inputs, HIDDEN_UNITS))
        inputs = HIDDEN_UNITS
    net.classifier.fc8 = nn.Linear(HIDDEN_UNITS, 10)
    return net.to_empty(device="cpu").eval()


@contextmanager
def narrowed(divisor: int) -> Iterator[None]:
    """Layers that are made in the block have their widths divided, where that leaves no remainder.

    Numbers of classes and of colors have one, and stay.
    """
    with ExitStack() as patches:
        for layer in (nn.Conv2d, nn.Linear, nn.BatchNorm2d, Padded) if divisor > 1 else ():
            patches.enter_context(patch.object(layer, "__init__", _narrowed(layer.__init__, divisor)))
        yield


def _narrowed(make: Callable[..., None], divisor: int) -> Callable[..., None]:
    signature = inspect.signature(make)

    def narrow(*args: Any, **kwargs: Any) -> None:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        if given.get("groups") == given.get("in_channels", 0) and given["groups"] % divisor == 0:
            given["groups"] //= divisor
        for width in given.keys() & set(WIDTHS):
            given[width] //= divisor if given[width] % divisor == 0 else 1
        make(*bound.args, **bound.kwargs)

    return narrow


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


CHAINS = (nn.Sequential, densenet.DenseLayer)
BETWEEN = (nn.ReLU, nn.ReLU6, nn.Tanh, nn.Dropout, nn.MaxPool2d, nn.AvgPool2d, ResponseNorm, SamePadding, nn.Identity)


def leaves(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a sequence, one after another, and those of sequences in it; others are one layer."""
    for child, part in module.named_children():
        inner = f"{name}.{child}".lstrip(".")
        yield from leaves(inner, part) if type(part) in CHAINS else [(inner, part)]


# ---- Changes of settings


@kind(
    "stride", "subsample", "width", "wiring", "order", "kernel size", "layer", "kernel_size", "positions", "size", "of"
)
def stride_moved(net: nn.Module) -> Sites:
    """The stride of a convolution in another one of its block."""
    for name, module in modules(net, *CHAINS):
        convs = [(n, m) for n, m in leaves(name, module) if isinstance(m, nn.Conv2d)] if type(module) in CHAINS else []
        for a, first in convs:
            for b, second in convs:
                # Of the nearest sequence that has both.
                if first.stride == (2, 2) and second.stride == (1, 1) and nearest(a, b) == name:

                    def change(net: nn.Module, a: str = a, b: str = b) -> None:
                        x, y = net.get_submodule(a), net.get_submodule(b)
                        x.stride, y.stride = y.stride, x.stride

                    yield f"{a} -> {b}", change


def nearest(first: str, second: str) -> str:
    """The name of the innermost module that has both of these."""
    pairs = zip(first.split("."), second.split("."), strict=False)
    return ".".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


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


def joined(net: nn.Module) -> Iterator[tuple[str, list[str], str]]:
    """Two convolutions without groups, and the layers between them that have as many channels."""
    seen = set()
    for name, module in modules(net, *CHAINS):
        if type(module) not in CHAINS:
            continue
        layers = list(leaves(name, module))
        for place, (first, conv) in enumerate(layers):
            between: list[str] = []
            for last, layer in layers[place + 1 :] if isinstance(conv, nn.Conv2d) and conv.groups == 1 else ():
                if isinstance(layer, nn.Conv2d) and layer.groups == 1:
                    if (first, last) not in seen:
                        yield first, between, last
                    seen.add((first, last))
                    break
                depthwise = isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels == layer.out_channels
                if depthwise or isinstance(layer, nn.BatchNorm2d):
                    between.append(last)
                elif not isinstance(layer, BETWEEN):
                    break


@kind("width")
def width(net: nn.Module) -> Sites:
    """One map more between two convolutions."""
    for first, between, last in joined(net):

        def change(net: nn.Module, first: str = first, between: list[str] = between, last: str = last) -> None:
            for name in (first, *between, last):
                parent, _, own = name.rpartition(".")
                widened = wider(net.get_submodule(name), name != first, name != last)
                setattr(net.get_submodule(parent), own, widened.eval())

        yield f"{first} -> {last}", change


def wider(layer: Any, reads: bool, writes: bool) -> nn.Module:
    """The layer with one channel more that it reads, or that it writes."""
    if isinstance(layer, nn.BatchNorm2d):
        norm = nn.BatchNorm2d(layer.num_features + 1, eps=layer.eps)
        if "weight" not in dict(layer.named_parameters()):
            norm.register_parameter("weight", None)
        return norm
    options: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding, "bias": layer.bias is not None}
    sizes = layer.in_channels + reads, layer.out_channels + writes
    return nn.Conv2d(*sizes, layer.kernel_size, groups=layer.groups + 1 if layer.groups > 1 else 1, **options)


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


@kind("weights")
def norm_scale(net: nn.Module) -> Sites:
    """A batch norm that shifts and does not scale, or scales where it did not."""
    for name, module in modules(net, nn.BatchNorm2d):
        yield setting(name, weight=nn.Parameter(torch.ones(module.num_features)) if module.weight is None else None)


@kind("count include pad")
def count_include_pad(net: nn.Module) -> Sites:
    """Zeros of the padding counted in averages, or not."""
    for name, module in modules(net, nn.AvgPool2d):
        yield setting(name, count_include_pad=not module.count_include_pad)


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
    for activation in (nn.ReLU, nn.ReLU6):
        for place in neighbors(net, nn.BatchNorm2d, activation):
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
    for name, _ in modules(net, nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid, lenet.ScaledTanh):
        yield replacing(name, nothing)


@kind("activation")
def activation(net: nn.Module) -> Sites:
    """Another activation."""
    for name, module in modules(net, nn.ReLU, nn.ReLU6, nn.Sigmoid):
        for other in (nn.ReLU, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.ReLU6, nn.GELU, nn.Sigmoid, nn.Hardsigmoid):
            if not isinstance(module, other):
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


@kind(
    "response norm",
    "scalar",
    "factor",
    "addend",
    "exponent",
    "wiring",
    "missing layer",
    "extra layer",
    "layer",
    "order",
)
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
    for name, module in modules(net, mobilenet_v2.InvertedResidual):
        if module.shortcut:
            yield setting(name, shortcut=False)


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


# ---- Squeeze and excitation


@kind("missing layer", "layer", "order", "wiring", "pooling")
def gate_missing(net: nn.Module) -> Sites:
    """A block of SE left out."""
    for name, _ in modules(net, SqueezeExcitation):
        yield replacing(name, nothing)


@kind("width")
def gate_reduction(net: nn.Module) -> Sites:
    """Half as many units in a block of SE, or twice as many."""
    for name, module in modules(net, SqueezeExcitation):
        if module.fc1.out_channels > 1:
            yield replacing(name, with_half_the_units)
        yield replacing(name, with_twice_the_units)


def with_half_the_units(block: Any) -> nn.Module:
    """A block of half the units."""
    return with_units(block, block.fc1.out_channels // 2)


def with_twice_the_units(block: Any) -> nn.Module:
    """A block of twice the units."""
    return with_units(block, block.fc1.out_channels * 2)


def with_units(block: Any, units: int) -> nn.Module:
    """A block of so many units."""
    channels, bias = block.fc2.out_channels, block.fc2.bias is not None
    other = SqueezeExcitation(channels, 1, bias=bias)
    other.add_module("fc1", nn.Conv2d(channels, units, 1, bias=bias))
    other.add_module("fc2", nn.Conv2d(units, channels, 1, bias=bias))
    return other


@kind("order", "missing layer", "extra layer", "layer", "wiring", "width", "pooling", "kernel size", "groups", "stride")
def gate_moved(net: nn.Module) -> Sites:
    """SE before the last batch norm, in front of the branch, behind the sum, or on the shortcut."""
    for name, module in modules(net, Residual):
        layers = dict(module.layers.named_children())
        if [*layers][-1] != "se":
            continue
        for place in (before_the_norm, in_front, behind_the_sum, on_the_shortcut):

            def change(net: nn.Module, name: str = name, place: Callable[..., None] = place) -> None:
                place(net.get_submodule(name))

            yield f"{name} {place.__name__}", change


def before_the_norm(block: Any) -> None:
    """SE changes places with the layer before it."""
    *first, last, (_, gate) = block.layers.named_children()
    block.layers = nn.Sequential(*(layer for _, layer in first), gate, last[1])


def in_front(block: Any) -> None:
    """SE is the first layer of the branch, of as many units."""
    *layers, gate = block.layers
    channels = layers[0].in_channels
    units = gate.fc1.out_channels
    front: Any = with_units(gate, units)
    front.fc1, front.fc2 = nn.Conv2d(channels, units, 1), nn.Conv2d(units, channels, 1)
    block.layers = nn.Sequential(front, *layers)


class GatedSum(Residual):
    """SE scales the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        assert self.shortcut is not None
        *layers, gate = self.layers
        out = nn.Sequential(*layers)(maps) + self.shortcut(maps)
        return torch.relu(gate(out))


class GatedShortcut(Residual):
    """SE scales the shortcut."""

    def forward(self, maps: Tensor) -> Tensor:
        assert self.shortcut is not None
        *layers, gate = self.layers
        return torch.relu(nn.Sequential(*layers)(maps) + gate(self.shortcut(maps)))


def behind_the_sum(block: Any) -> None:
    """SE scales the sum."""
    block.__class__ = GatedSum


def on_the_shortcut(block: Any) -> None:
    """SE scales the shortcut."""
    block.__class__ = GatedShortcut


class SummedGate(SqueezeExcitation):
    """What scales the maps is added to them."""

    def forward(self, maps: Tensor) -> Tensor:
        scales: Tensor = self.gate(self.fc2(self.relu(self.fc1(self.squeeze(maps)))))
        return maps + scales


@kind("layer", "missing layer", "extra layer", "order")
def gate_added(net: nn.Module) -> Sites:
    """A block of SE that adds."""
    for name, _ in modules(net, SqueezeExcitation):
        yield of_class(name, SummedGate)


class NoCarry(highway.Highway):
    """The whole input beside the gated transform."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.transform(maps)) * torch.sigmoid(self.gate(maps)) + maps


class SwappedGates(highway.Highway):
    """The gate carries, and what is left of it transforms."""

    def forward(self, maps: Tensor) -> Tensor:
        carry = torch.sigmoid(self.gate(maps))
        return torch.relu(self.transform(maps)) * (1 - carry) + maps * carry


@kind("missing layer", "layer", "order", "wiring", "extra layer")
def carry_gate(net: nn.Module) -> Sites:
    """A highway layer that carries all of its input, or whose gates are swapped."""
    for name, _ in modules(net, highway.Highway):
        yield of_class(name, NoCarry)
        yield of_class(name, SwappedGates)


# ---- Padding of TensorFlow


class ZerosBefore(SamePadding):
    """The odd row or column above and on the left."""

    def before_and_after(self, side: int) -> tuple[int, int]:
        before, after = super().before_and_after(side)
        return after, before


@kind("pad", "padding", "order")
def same_padding_mirrored(net: nn.Module) -> Sites:
    """The odd row of zeros above the maps."""
    for name, _ in modules(net, SamePadding):
        yield of_class(name, ZerosBefore)


@kind("padding", "missing layer", "layer", "pad", "kernel size", "pooling", "width")
def same_padding_symmetric(net: nn.Module) -> Sites:
    """Padding alike on all sides in the place of TensorFlow's."""
    for name, module in modules(net, nn.Sequential):
        for (a, x), (b, y) in pairwise(module.named_children()):
            if isinstance(x, SamePadding) and isinstance(y, nn.Conv2d | nn.MaxPool2d):

                def change(net: nn.Module, name: str = name, a: str = a, b: str = b) -> None:
                    parts: Any = net.get_submodule(name)
                    sides = parts.get_submodule(a).kernel_size // 2
                    setattr(parts, a, nn.Identity())
                    parts.get_submodule(b).padding = (
                        sides if isinstance(getattr(parts, b), nn.MaxPool2d) else (sides,) * 2
                    )

                yield f"{name} {a} -> {b}", change


@kind("padding", "extra layer", "layer", "pad")
def padding_to_same(net: nn.Module) -> Sites:
    """TensorFlow's padding in the place of one that is alike on all sides."""
    for name, module in modules(net, nn.Conv2d):
        if module.stride == (2, 2) and module.padding != (0, 0):
            yield replacing(name, padded_as_tensorflow)


def padded_as_tensorflow(conv: Any) -> nn.Module:
    """The convolution with TensorFlow's padding."""
    conv = copy.deepcopy(conv)
    conv.padding = (0, 0)
    return nn.Sequential(SamePadding(conv.kernel_size[0], 2), conv)


# ---- Sums, and orders of layers that only some networks have


@kind("factor")
def residual_scale(net: nn.Module) -> Sites:
    """Another factor of a residual."""
    for name, module in modules(net, inception_v4.ScaledResidual):
        for scale in (0.17, 0.1, 0.2, 0.3):
            if scale != module.scale:
                yield setting(name, scale=scale)


@kind("missing layer", "layer", "order")
def unscaled(net: nn.Module) -> Sites:
    """A residual that is added as it is."""
    for name, module in modules(net, inception_v4.ScaledResidual):
        if module.scale != 1:
            yield setting(name, scale=1.0)


class WithoutRelu(Residual):
    """Nothing follows the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        assert self.shortcut is not None
        out: Tensor = self.layers(maps) + self.shortcut(maps)
        return out


class WithRelu(ResidualSum):
    """A ReLU follows the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(super().forward(maps))


@kind("missing layer", "extra layer", "layer", "wiring", "order")
def relu_of_the_sum(net: nn.Module) -> Sites:
    """No ReLU behind a sum, or one where there is none."""
    for name, module in modules(net, Residual, ResidualSum):
        if module.shortcut is not None and type(module) in (Residual, ResidualSum):
            yield of_class(name, WithoutRelu if isinstance(module, Residual) else WithRelu)


@kind("extra layer", "layer", "order")
def activation_added(net: nn.Module) -> Sites:
    """A ReLU between a depthwise convolution and the next layer, or behind a narrow batch norm."""
    for name, module in modules(net, nn.Conv2d):
        if module.groups == module.in_channels > 1:
            yield replacing(name, then_relu)
    for name, _ in modules(net, mobilenet_v2.InvertedResidual):
        yield replacing(f"{name}.layers.project", then_relu)


def then_relu(layer: nn.Module) -> nn.Module:
    """The layer, and a ReLU."""
    return nn.Sequential(layer, nn.ReLU())


@kind("order", "groups", "kernel size", "layer", "width")
def pointwise_first(net: nn.Module) -> Sites:
    """1x1 before the depthwise convolution."""
    for name, module in modules(net, nn.Sequential):
        layers = dict(module.named_children())
        pointwise = layers.get("pointwise")
        square = isinstance(pointwise, nn.Conv2d) and pointwise.in_channels == pointwise.out_channels
        if "depthwise" in layers and square:
            yield swapping(name, "depthwise", "pointwise")


@kind("kernel size")
def transposed_kernel(net: nn.Module) -> Sites:
    """nx1 for 1xn."""
    for name, module in modules(net, nn.Conv2d):
        if module.kernel_size[0] != module.kernel_size[1]:
            yield replacing(name, transposed)


def transposed(conv: Any) -> nn.Module:
    """The convolution with its sides exchanged."""
    other = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size[::-1], bias=conv.bias is not None)
    other.padding = conv.padding[::-1]
    return other


# ---- Indices, and shuffles of groups


@kind(verdict=PERMUTED)
def index_within_a_group(net: nn.Module) -> Sites:
    """The maps that a group reads in another order."""
    for name, module in modules(net, condensenet.DenseLayer):
        if "select" in dict(module.named_children()):
            yield replacing(f"{name}.select", rolled_in_groups(module.conv1.groups))


def rolled_in_groups(number: int) -> Callable[[nn.Module], nn.Module]:
    """Makes an index layer whose groups read the same maps, the last one first."""

    def rolled(select: Any) -> nn.Module:
        return Select(select.index.view(number, -1).roll(1, dims=1).flatten(), select.inputs)

    return rolled


@kind("channel order", "wiring", verdict=DIFFERENT)
def index_doubled(net: nn.Module) -> Sites:
    """One map is read twice by a group, and another not at all: as many read each map no more."""
    for name, module in modules(net, condensenet.DenseLayer):
        if "select" in dict(module.named_children()):
            yield replacing(f"{name}.select", doubled)


def doubled(select: Any) -> nn.Module:
    """An index layer of which the second place reads what the first does."""
    index = select.index.clone()
    index[1] = index[0]
    return Select(index, select.inputs)


def exchanged(groups: int, number: int, maps: int) -> Tensor:
    """How many maps a shuffle of ``number`` groups brings from each of ``groups`` to each of them."""
    writers = torch.arange(maps) // (maps // groups)
    readers = torch.arange(maps) // (maps // groups)
    moved = writers.view(number, -1).t().flatten()
    counts = torch.zeros(groups, groups, dtype=torch.long)
    return counts.index_put((moved, readers), torch.ones(maps, dtype=torch.long), accumulate=True)


def shuffles(net: nn.Module) -> Iterator[tuple[str, ChannelShuffle, int, int, bool]]:
    """Shuffles between two convolutions: name, shuffle, groups, maps, and whether only the second has groups."""
    for name, module in modules(net, nn.Sequential):
        layers = dict(module.named_children())
        if not isinstance(layers.get("shuffle"), ChannelShuffle):
            continue
        convs = [part for part in module.modules() if isinstance(part, nn.Conv2d) and part.groups != part.in_channels]
        if len(convs) == 2:
            yield f"{name}.shuffle", layers["shuffle"], convs[1].groups, convs[1].in_channels, convs[0].groups == 1


@kind("channel order", "wiring")
def shuffle_groups(net: nn.Module) -> Sites:
    """A shuffle of another number of groups, or the other way round."""
    for name, shuffle, _, maps, _ in shuffles(net):
        for number in sorted({1, 2, 3, 4, 5, 6, 8, maps // shuffle.groups}):
            if number != shuffle.groups and maps % number == 0:
                yield setting(name, groups=number)


def truth_of_a_shuffle(net: nn.Module, mutant: nn.Module) -> str | None:
    """The verdict on another shuffle: by how many maps go from each group to each other. None where that is open.

    Maps of one group are read alike and can be renamed. Without groups before the shuffle, all of them can.
    """
    theirs = {name: shuffle.groups for name, shuffle, *_ in shuffles(mutant)}
    for name, shuffle, groups, maps, free in shuffles(net):
        if theirs[name] == shuffle.groups or free:
            continue
        first, second = exchanged(groups, shuffle.groups, maps), exchanged(groups, theirs[name], maps)
        if first.flatten().sort().values.tolist() != second.flatten().sort().values.tolist():
            return DIFFERENT
        if not torch.equal(first, second):
            return None
    return PERMUTED


class BranchFirst(ShuffleDownUnit):
    """The maps of the branch before those of the pooling."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([F.relu(self.branch(maps)), self.pool(maps)], dim=1)


@kind(verdict=PERMUTED)
def mirrored_concatenations(net: nn.Module) -> Sites:
    """All units of ShuffleNet v1 that halve the resolution with their maps in reverse.

    Their groups then read the same maps with the last group first, and each shuffle is the same from its end.
    """
    names = [name for name, _ in modules(net, ShuffleDownUnit)]

    def change(net: nn.Module) -> None:
        for name in names:
            net.get_submodule(name).__class__ = BranchFirst

    if names:
        yield "all", change


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


class AsLinear(SqueezeExcitation):
    """SE with linear layers."""

    def forward(self, maps: Tensor) -> Tensor:
        units = self.relu(F.linear(self.squeeze(maps).flatten(1), self.fc1.weight.flatten(1), self.fc1.bias))
        scales: Tensor = self.gate(F.linear(units, self.fc2.weight.flatten(1), self.fc2.bias))
        return scales[:, :, None, None] * maps


class Added(inception_v4.ScaledResidual):
    """The factor of a residual as that of an addition."""

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.activation(torch.add(maps, self.layers(maps), alpha=self.scale))
        return out


class Bounded(nn.Module):
    """ReLU6 as a clamp."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.clamp(0, 6)


class Viewed(ChannelShuffle):
    """A shuffle as views."""

    def forward(self, maps: Tensor) -> Tensor:
        return shuffled(maps, self.groups)


class Indexed(Select):
    """An index layer as an indexing."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps[:, self.index]


class Gathered(Select):
    """An index layer as a gathering."""

    def forward(self, maps: Tensor) -> Tensor:
        places = self.index.view(1, -1, *(1,) * (maps.dim() - 2))
        return maps.gather(1, places.expand(len(maps), -1, *maps.shape[2:]))


class Written(SamePadding):
    """TensorFlow's padding as a module of torch."""

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        sides = (*self.before_and_after(width), *self.before_and_after(height))
        padded: Tensor = nn.ConstantPad2d(sides, self.value)(maps)
        return padded


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
    for name, _ in modules(net, nn.ReLU6):
        yield replacing(name, instead(Bounded))
    for old, others in (
        (SqueezeExcitation, (AsLinear,)),
        (inception_v4.ScaledResidual, (Added,)),
        (ChannelShuffle, (Viewed,)),
        (Select, (Indexed, Gathered)),
        (SamePadding, (Written,)),
    ):
        for name, _ in modules(net, old):
            yield from (of_class(name, other) for other in others)


def wrapped(layer: Any) -> nn.Module:
    """The layer among modules that do nothing."""
    return nn.Sequential(nn.Identity(), layer, nn.Dropout(0.0))


@kind("survival", "factor")
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

DRAWS = 4  # of weights, with which the outputs of two networks are to be the same


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
    """The right verdict; None where the mutant does not run, or where it is open."""
    images = torch.randn(2, *size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    try:
        with torch.no_grad():
            copy.deepcopy(mutant.net).double()(images)
    except (RuntimeError, ValueError):
        return None
    if mutant.kind == "shuffle_groups":
        return truth_of_a_shuffle(net, mutant.net)
    if mutant.kind in ("channel_shuffle", "other_half"):
        same = all(getattr(unit, "groups", 2) == 2 for unit in mutant.net.modules()) and mutant.kind != "other_half"
        return EQUAL if same else PERMUTED if lives(net) == lives(mutant.net) else DIFFERENT
    # Beside variances near one, a thousandth of eps is lost in rounding.
    return mutant.verdict or _by_outputs(net, mutant.net, images, 0.01 if mutant.kind == "eps" else 0.5)


def _by_outputs(net: nn.Module, mutant: nn.Module, images: Tensor, variance: float) -> str:
    """Whether the outputs are the same with the same random weights, batch statistics included, in the same places.

    ``variance`` is the least of any batch norm. A single draw may leave a ReLU of few units with nothing to do.
    """
    a, b = copy.deepcopy(net).double(), copy.deepcopy(mutant).double()
    shapes = [[tuple(tensor.shape) for tensor in model.state_dict().values()] for model in (a, b)]
    if shapes[0] != shapes[1]:
        return DIFFERENT
    return EQUAL if all(_agree(a, b, images, variance, draw) for draw in range(DRAWS)) else DIFFERENT


def _agree(a: nn.Module, b: nn.Module, images: Tensor, variance: float, draw: int) -> bool:
    generator = torch.Generator().manual_seed(7 + draw)
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
    b.load_state_dict(dict(zip(b.state_dict(), state.values(), strict=True)))
    with torch.no_grad():
        # Large images too, which reach the bounds of a ReLU6.
        outputs = [(a(scale * images), b(scale * images)) for scale in (1, 1000)]
    return all(x.shape == y.shape and bool((x - y).norm() <= 1e-9 * x.norm()) for x, y in outputs)


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
