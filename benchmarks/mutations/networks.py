"""The networks that are changed: small, and together with every kind of layer."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

import archzoo
from archzoo.layers import (
    Padded,
)
from archzoo.models import (
    bn_inception,
    condensenet,
    googlenet,
    inception_v3,
    inception_v4,
    mobilenet_v1,
    mobilenet_v2,
    pyramidnet,
    resnet,
    resnext,
    senet,
    shufflenet_v1,
    shufflenet_v2,
    xception,
)

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
    "inception_v3": ("inception_v3", {}, (3, 107, 107)),
    "inception_v4": ("inception_v4", {}, (3, 107, 107)),
    "inception_resnet_v1": ("inception_resnet_v1", {}, (3, 107, 107)),
    "inception_resnet_v2": ("inception_resnet_v2_released", {"bn_scale": True}, (3, 107, 107)),
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
