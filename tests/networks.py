"""The networks that laws are asked of, and one copy of each for a worker process.

A law about layers is asked of a cover: the smallest networks that together have every layer, in every setting and
order, that any network has. What remains has the same layers, only more of them or wider. With EVERY_NET=1 in the
environment (``make test-all``) every network is asked, but for the heavy ones (over 100M parameters, see EVERY).
"""

import os
from collections.abc import Callable, Hashable
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.layers import Net

HEAVY = 100_000_000  # parameters: gigabytes, with gradients and copies
EVERY_NET = bool(os.environ.get("EVERY_NET"))
SETTINGS = ("kernel_size", "stride", "padding", "dilation", "p", "affine", "inplace", "ceil_mode", "size")
Kinds = Callable[[nn.Module], set[Hashable]]


@cache
def on_meta(name: str) -> Net:
    """The network without values."""
    return archzoo.build(name, device="meta")


@cache
def parameters(name: str) -> int:
    return sum(parameter.numel() for parameter in on_meta(name).parameters())


def distinct(names: list[str]) -> list[str]:
    """The names, less those whose network another name has too (a family at the defaults of a setting)."""
    by_options: dict[str, str] = {}
    for name in names:
        entry = archzoo.find(name)
        by_options[f"{entry.target} {entry.options}"] = name
    return list(by_options.values())


def layer_classes(net: nn.Module) -> set[Hashable]:
    """The classes of the layers of a network."""
    return set(map(type, net.modules()))


def layer_kinds(net: nn.Module) -> set[Hashable]:
    """The layers of a network in any number and width: classes and settings."""
    kinds: set[Hashable] = set()
    for module in net.modules():
        attributes = vars(module)  # a module takes long to say that it has no such attribute
        groups = attributes.get("groups", 1)
        grouping = "depthwise" if groups == attributes.get("in_channels", 1) > 1 else groups
        biased = module._parameters.get("bias") is not None
        kinds.add((type(module), grouping, biased, *(str(attributes.get(setting)) for setting in SETTINGS)))
    return kinds


def layer_orders(net: nn.Module) -> set[Hashable]:
    """The layers of a network as above, and which class of layer follows which inside which."""
    orders: set[Hashable] = {
        (type(module), *map(type, pair)) for module in net.modules() for pair in pairwise(module.children())
    }
    return layer_kinds(net) | orders


def cover(names: list[str], kinds: Kinds, built: Callable[[str], nn.Module] = on_meta) -> list[str]:
    """The smallest networks that together have every kind that any of these has."""
    kinds_of = {name: kinds(built(name)) for name in names}
    covered: set[Hashable] = set()
    chosen = []
    for name in sorted(names, key=lambda name: sum(parameter.numel() for parameter in built(name).parameters())):
        if not kinds_of[name] <= covered:
            covered |= kinds_of[name]
            chosen.append(name)
    # A network that only came first, and adds nothing to those chosen after it, is not needed.
    for name in list(chosen):
        others = set[Hashable]().union(*(kinds_of[other] for other in chosen if other != name))
        if kinds_of[name] <= others:
            chosen.remove(name)
    return [name for name in names if name in chosen]


def smallest_of_each_family(names: list[str]) -> list[str]:
    """The smallest network of each constructor."""
    by_family: dict[str, str] = {}
    for name in sorted(names, key=parameters):
        by_family.setdefault(archzoo.find(name).target, name)
    return [name for name in names if name in by_family.values()]


NAMES = archzoo.names()
NETS = distinct(NAMES)
# A thousand layers and more take several seconds each.
SHALLOW = [name for name in NAMES if not name.endswith(("1202", "1001"))]
LIGHT = [name for name in NETS if parameters(name) <= HEAVY]
# VGG has no lighter network, and FractalNet none for ImageNet: these two are asked with EVERY_NET=1 although heavy.
EVERY = [name for name in NETS if name in {*LIGHT, "vgg_a", "fractalnet34"}]
FAMILIES = smallest_of_each_family(NETS)
# ResNet's stem for ImageNet before blocks that shallower networks have too: too long to be in the cover.
LONG = ("preact_resnet200", "stochastic_depth_152")
# AlexNet's layers in another order, a third time a quarter of a gigabyte: its own tests hold the order.
AGAIN = ("alexnet_cuda_convnet2",)
# Together they have every layer, in every setting and order; with FAMILIES, every other constructor is among them.
COVER = [name for name in cover(NETS, layer_orders) if name not in LONG]
KINDS = [name for name in NETS if name in {*FAMILIES, *COVER} and name not in AGAIN]
# The same without the gigabytes of AlexNet's and VGG's linear layers, which AlexNet's single tower has too.
LIGHT_KINDS = [name for name in KINDS if parameters(name) <= HEAVY]


def parametrize(names: list[str]) -> pytest.MarkDecorator:
    """Ask a law of these networks. All tests of a network run in one process, one after another: it is built once."""
    return pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names])


every_net = parametrize(NETS)
every_kind = parametrize(NETS if EVERY_NET else KINDS)
every_light_kind = parametrize(EVERY if EVERY_NET else LIGHT_KINDS)
# A graph is traced layer by layer, by the code of each class.
every_class_of_layer = parametrize(EVERY if EVERY_NET else cover(LIGHT, layer_classes))
every_covering_net = parametrize(EVERY if EVERY_NET else [name for name in COVER if parameters(name) <= HEAVY])

# Networks that end in a fully connected layer take images of one size only; the others any that are large enough.
ONE_SIZE = ("lenet", "vgg", "alexnet", "zfnet", "fractalnet")
ANY_SIZE = ("fractalnet34",)  # it ends in global pooling
CACHE: dict[str, Net] = {}


def has_one_size(name: str) -> bool:
    return name.startswith(ONE_SIZE) and name not in ANY_SIZE


def image_size(name: str) -> tuple[int, int, int]:
    """A size that fits, and small where the network allows it."""
    channels, height, width = archzoo.find(name).input_size
    if has_one_size(name):
        return channels, height, width
    side = 64 if height > 64 else 16
    return channels, side, side


def images(name: str, batch: int) -> Tensor:
    return torch.randn(batch, *image_size(name), generator=torch.Generator().manual_seed(1))


def ready(name: str) -> Net:
    """The network in evaluation mode, with the batch statistics of some images: without them deep ones overflow."""
    if name not in CACHE:
        CACHE.clear()
        torch.manual_seed(0)
        net: Net = archzoo.build(name).eval()
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        with torch.no_grad():
            net(images(name, 4))
        for norm in norms:
            norm.eval()
            norm.momentum = 0.1
        CACHE[name] = net
    return CACHE[name]
