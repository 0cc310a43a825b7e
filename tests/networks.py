"""The networks that laws are asked of, and one copy of each for a worker process.

A law about layers is asked of a cover: networks that together have every layer, in every setting and order, that any
network has. What remains has the same layers, only more of them or wider. ``tests/test_cover.py`` holds that these
are such covers. With EVERY_NET=1 in the environment (``make test-all``) every network is asked, in its full depth, but
for the heavy ones (over 100M parameters, see EVERY).
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import is_dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.layers import Net
from archzoo.models import (
    alexnet,
    bn_inception,
    condensenet,
    inception_v3,
    inception_v4,
    mobilenet_v2,
    pyramidnet,
    senet,
    shufflenet_v1,
    shufflenet_v2,
    vgg,
    xception,
    zfnet,
)

HEAVY = 100_000_000  # parameters: gigabytes, with gradients and copies
EVERY_NET = bool(os.environ.get("EVERY_NET"))


# Of a hundred layers, and with the same layers in the same order: one block after another in each stage.
SHALLOWER: dict[str, tuple[str, dict[str, Any]]] = {
    "preact_resnet164": ("preact_resnet", {"depth": 20}),
    "preact_resnet110": ("preact_resnet", {"depth": 14, "block": "basic"}),
    "stochastic_depth_110": ("stochastic_depth", {"depth": 14}),
    "wide_resnet_40_1": ("wide_resnet", {"depth": 16, "k": 1}),
    "resnext29_8x64d": ("resnext_cifar", {"depth": 11, "cardinality": 4, "base_width": 8}),
    "pyramidnet164_a48": ("pyramidnet_cifar", {"depth": 20, "widening": 4, "block": "bottleneck"}),
    "mobilenet_v1_x0_25": ("mobilenet_v1", {"width": 0.25, "shallow": True}),
    "conv_mobilenet": ("conv_mobilenet", {"width": 0.25}),
    "densenet_bc": ("densenet_bc", {"depth": 22}),
    "condensenet_light94": ("condensenet_light", {"depth": 10, "k": 8}),
    "densenet_c": ("densenet_c", {"depth": 16}),
}
# Those without an option for their units or blocks in a stage: the ShuffleNets have four, eight and four. Nearly all
# parameters of the first networks for ImageNet are in their fully connected layers of 4096 units.
BLOCKS = dict.fromkeys((50, 101, 152, 200), (2, 1, 1, 1))
RELEASED = "inception_resnet_v2_released"  # its last module is another
INCEPTIONS = ("INCEPTION_V4", "INCEPTION_RESNET_V1", "INCEPTION_RESNET_V2", "RELEASED_STEM")


def thin(part: Any) -> Any:
    """A table with an eighth of the maps, at whatever depth its numbers stand."""
    if isinstance(part, int):
        return part // 8
    if isinstance(part, tuple):
        return tuple(map(thin, part))
    if isinstance(part, Mapping):
        return {name: thin(value) for name, value in part.items()}
    return type(part)(**thin(vars(part))) if is_dataclass(part) and not isinstance(part, type) else part


FEWER: list[tuple[Any, str, Any]] = [
    (alexnet, "HIDDEN_UNITS", 64),
    (condensenet, "LAYERS", (2, 1)),
    (inception_v4, "BLOCKS", {**dict.fromkeys(inception_v4.BLOCKS, (1, 1, 1)), RELEASED: (1, 1, 2)}),
    *((inception_v4, table, thin(getattr(inception_v4, table))) for table in INCEPTIONS),
    (bn_inception, "FIG_5", {name: thin(bn_inception.FIG_5[name]) for name in ("3a", "3c", "5b")}),
    (bn_inception, "SLIM", {name: thin(bn_inception.SLIM[name]) for name in ("3a", "3c", "5b")}),
    (inception_v3, "TABLE_1", thin(inception_v3.TABLE_1)),
    (inception_v3, "RELEASED", thin(inception_v3.RELEASED)),
    (mobilenet_v2, "TABLE_2", ((1, 16, 1, 1), (6, 24, 2, 2))),
    (pyramidnet, "BLOCKS", BLOCKS),
    (senet, "BLOCKS", BLOCKS),
    (senet, "BN_INCEPTION_STEM", thin(senet.BN_INCEPTION_STEM)),
    (senet, "BN_INCEPTION", {name: thin(senet.BN_INCEPTION[name]) for name in ("3a", "3c", "5b")}),
    (senet, "MOBILENET", ((64, 1), (128, 2))),
    (senet, "SHUFFLENET", ((240, 3), (480, 1))),
    (shufflenet_v1, "UNITS", (3, 1)),
    (shufflenet_v2, "UNITS", (3, 2, 2)),
    (vgg, "HIDDEN_UNITS", 64),
    *((xception, table, thin(getattr(xception, table))) for table in ("ENTRY", "EXIT", "LAST")),
    (xception, "MIDDLE", thin(xception.MIDDLE[:1])),
    (zfnet, "HIDDEN_UNITS", 64),
]


def build(name: str, **options: Any) -> Net:
    """The network, or where only a cover is asked, one with fewer blocks or fewer hidden units."""
    if EVERY_NET:
        return archzoo.build(name, **options)
    family, shallower = SHALLOWER.get(name, (name, {}))
    with fewer_units():
        return archzoo.build(family, **{**shallower, **options})


@contextmanager
def fewer_units() -> Iterator[None]:
    """Build networks with the tables of FEWER."""
    with ExitStack() as patches:
        for module, table, rows in FEWER:
            patches.enter_context(patch.object(module, table, rows))
        yield


@cache
def on_meta(name: str) -> Net:
    """The network in full depth, without values."""
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


NAMES = archzoo.names()
NETS = distinct(NAMES)
# A thousand layers and more take several seconds each.
SHALLOW = [name for name in NAMES if not name.endswith(("1202", "1001"))]
# VGG has no lighter network, and FractalNet none for ImageNet: these two are asked with EVERY_NET=1 although heavy.
EVERY = [name for name in NETS if name in {"vgg_a", "fractalnet34"} or parameters(name) <= HEAVY] if EVERY_NET else []
# Together they have every class of layer.
CLASSES = [
    "lenet5",
    "lenet5_textbook",
    "alexnet",
    "googlenet",
    "dsn_companions",
    "highway_mnist_16",
    "resnet20",
    "squeezenet1_1",
    "preact_resnet164",
    "stochastic_depth_110",
    "wide_resnet_40_1",
    "pyramidnet164_a48",
    "fractalnet_5_16",
    "densenet_c",
    "condensenet_light94",
    "shufflenet_v1_g3_x0_25",
    "mobilenet_v2_x0_35",
    "se_resnet50",
    "inception_resnet_v1",
    "shufflenet_v2_x0_5",
]
# Their forwards choose, draw, collect or return several: what may break a graph. The others call layer after layer.
GRAPHS = ["googlenet", "stochastic_depth_110", "fractalnet_5_16", "shufflenet_v2_x0_5"]
# Together they have every layer, in every setting and order, but for those of LONG and HEAVY networks.
COVER = [
    "lenet5",
    "lenet5_textbook",
    "alexnet",
    "zfnet",
    "nin_imagenet",
    "alexnet_one_tower",
    "googlenet",
    "googlenet_bn",
    "bn_inception",
    "bn_inception_slim",
    "bn_inception_caffe",
    "inception_v3",
    "dsn",
    "dsn_companions",
    "all_cnn_c",
    "strided_cnn_a",
    "strided_cnn_b",
    "highway_cifar",
    "highway_mnist_16",
    "resnet20",
    "squeezenet1_0",
    "squeezenet1_1",
    "preact_resnet164",
    "preact_resnet110",
    "stochastic_depth_110",
    "wide_resnet18",
    "wide_resnet_40_1",
    "resnext29_8x64d",
    "pyramidnet164_a48",
    "fractalnet_10_16",
    "densenet_bc",
    "condensenet_light94",
    "condensenet74_c4",
    "mobilenet_v1_x0_25",
    "shufflenet_v1_g3_x0_25",
    "mobilenet_v2_x0_35",
    "se_resnet50",
    "se_bn_inception",
    "se_mobilenet",
    "xception",
    "inception_v4",
    "inception_resnet_v2_released",
    "shufflenet_v2_x0_5",
]
# ResNet's stem for ImageNet before blocks that shallower networks have too, and many columns at the size of ImageNet.
LONG = ["preact_resnet200", "stochastic_depth_152", "fractalnet34"]
# AlexNet's layers in another order or with other constants, again a quarter of a gigabyte: its own tests hold them.
AGAIN = ["alexnet_cuda_convnet2", "alexnet_caffe"]
# The smallest network of every other constructor.
CONSTRUCTORS = [
    "nin",
    "all_cnn_base_a",
    "conv_pool_cnn_a",
    "all_cnn_imagenet",
    "nin_cifar100",
    "nin_svhn",
    "nin_mnist",
    "resnet50_v1_5",
    "plain20",
    "plain18",
    "resnet18",
    "wide_resnet34",
    "wide_resnet50_2",
    "inception_v2",
    "inception_v3_slim",
    "resnext50_32x4d",
    "pyramidnet101_a250",
    "fractalnet_5_16",
    "densenet",
    "densenet_b",
    "densenet_c",
    "densenet121",
    "condensenet50",
    "conv_mobilenet",
    "se_resnext50_32x4d",
    "se_shufflenet",
    "inception_resnet_v1",
    "inception_resnet_v2",
]
KINDS = [*COVER, *CONSTRUCTORS, *LONG, "vgg_a", "senet154"]


def parametrize(names: list[str]) -> pytest.MarkDecorator:
    """Ask a law of these networks. All tests of a network run in one process, one after another: it is built once."""
    return pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names])


def slow_but(quick: list[str], names: Iterable[str], group: str | None = None) -> pytest.MarkDecorator:
    """Ask a law of these networks, and in the quick tests of the first alone. A group runs in one process."""
    marks = {name: () if name in quick else (pytest.mark.slow,) for name in names}
    groups = {name: pytest.mark.xdist_group(group or name) for name in names}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=(groups[name], *marks[name])) for name in names])


every_net = slow_but(CLASSES, NETS)
every_kind = parametrize(NETS if EVERY_NET else KINDS)
every_class_of_layer = parametrize(EVERY if EVERY_NET else CLASSES)
every_kind_of_graph = parametrize(EVERY if EVERY_NET else GRAPHS)
every_covering_net = parametrize(EVERY if EVERY_NET else COVER)

# Networks that end in a fully connected layer, or are trained with one, take images of one size only; the others any
# that are large enough.
ONE_SIZE = ("lenet", "vgg", "alexnet", "zfnet", "fractalnet", "highway_mnist", "dsn_companions")
ANY_SIZE = ("fractalnet34",)  # it ends in global pooling
LARGER_SIDES = {"all_cnn_imagenet": 67}  # three 3x3/2 layers that are not padded, behind an 11x11/4 one
LARGER_SIDES |= dict.fromkeys(inception_v4.BLOCKS, 75)  # five of them, and two 3x3 layers
LARGER_SIDES |= dict.fromkeys(("inception_v2", "inception_v3", "inception_v3_slim"), 75)  # five, and two 3x3 layers
CACHE: dict[str, Net] = {}


def has_one_size(name: str) -> bool:
    return name.startswith(ONE_SIZE) and name not in ANY_SIZE


def image_size(name: str) -> tuple[int, int, int]:
    """A size that fits, and small where the network allows it."""
    channels, height, width = archzoo.find(name).input_size
    if has_one_size(name):
        return channels, height, width
    side = LARGER_SIDES.get(name, 64 if height > 64 else 16)
    return channels, side, side


def images(name: str, batch: int) -> Tensor:
    return torch.randn(batch, *image_size(name), generator=torch.Generator().manual_seed(1))


def ready(name: str) -> Net:
    """The network in evaluation mode, with the batch statistics of some images: without them deep ones overflow."""
    if name not in CACHE:
        CACHE.clear()
        torch.manual_seed(0)
        net: Net = build(name).eval()
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
