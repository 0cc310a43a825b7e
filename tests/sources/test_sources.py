"""Each source's networks, written anew, and ours: with the same weights, the same logits, both ways.

Weights and statistics are random, in double precision.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import WeightsError
from archzoo.weights._libraries import SOURCES, Counterpart
from tests.networks import EVERY_NET
from tests.sources import (
    aggregated,
    bn_inceptions,
    condensed,
    dense,
    excited,
    feedforward,
    mobile,
    preactivated,
    pyramids,
    residual,
)

Built = Callable[[], nn.Module]
# Source, our network, the options beyond those that the source's row has, and theirs.
Pair = tuple[str, str, dict[str, Any], Built]
LIKE_TORCHVISION = ("chenyaofo", "torchdistill", "repdistiller", "bearpaw")
WIDE = ("xternalz", "robustbench", "repdistiller", "bearpaw")
EQUAL: list[Pair] = [
    *((name, "resnet_cifar", {"depth": 20}, lambda: residual.TorchvisionLike(3)) for name in LIKE_TORCHVISION),
    ("akamaster", "resnet_cifar", {"depth": 20}, lambda: residual.Akamaster(3)),
    ("akamaster", "resnet_cifar", {"depth": 14, "option": "B"}, lambda: residual.Akamaster(2, "B")),
    ("hysts", "resnet_cifar", {"depth": 20}, lambda: residual.HystsResNet(3)),
    ("pytorchcv", "resnet_cifar", {"depth": 20}, lambda: residual.PytorchcvResNet((3, 3, 3))),
    *(
        (name, "wide_resnet", {"depth": 16, "k": k}, lambda k=k: preactivated.Wide(2, k))
        for name, k in zip(WIDE, (1, 2, 2, 3), strict=True)
    ),
    ("hysts", "wide_resnet", {"depth": 16, "k": 2}, lambda: preactivated.HystsWide(2, 2)),
    (
        *("pytorchcv", "wide_resnet", {"depth": 16, "k": 2}),
        lambda: preactivated.PytorchcvPreactivated(2, (32, 64, 128), (3, 3)),
    ),
    *(
        (name, "densenet_bc", {"depth": 28, "k": 6}, lambda names=names: dense.DenseBC(names, (4, 4, 4), 6))
        for name, names in dense.DENSENETS.items()
    ),
    ("pytorchcv", "pyramidnet_cifar", {"depth": 14, "widening": 10}, lambda: pyramids.PytorchcvPyramidNet(2, 10)),
    (
        *("pytorchcv", "pyramidnet_cifar", {"depth": 20, "widening": 20, "block": "bottleneck"}),
        lambda: pyramids.PytorchcvPyramidNet(2, 20, bottleneck=True),
    ),
    (
        *("dyhan0920", "pyramidnet", {"depth": 101, "widening": 16, "num_classes": 1000}),
        lambda: pyramids.DyhanPyramidNet101(16),
    ),
    (
        *("pytorchcv", "resnext_cifar", {"depth": 11, "cardinality": 4, "base_width": 16}),
        lambda: aggregated.PytorchcvResNeXt((1, 1, 1), 4, 16),
    ),
    (
        *("pytorchcv", "condensenet", {"g": 8, "c": 8, "num_classes": 1000}),
        lambda: condensed.PytorchcvCondenseNet(8),
    ),
    ("shichenliu", "condensenet_cifar", {"depth": 14}, lambda: condensed.released_for_cifar(2)),
    ("shichenliu", "condensenet_light", {"depth": 16, "k": 8}, lambda: condensed.released_light(2)),
    ("pytorchcv", "squeezenet1_0", {}, lambda: feedforward.SqueezeNet(*feedforward.SQUEEZENET1_0)),
    ("pytorchcv", "squeezenet1_1", {}, lambda: feedforward.SqueezeNet(*feedforward.SQUEEZENET1_1)),
    ("pytorchcv", "shufflenet_v2", {"width": 0.5}, feedforward.ShuffleNet),
    ("pytorchcv", "mobilenet_v1", {"width": 0.25}, mobile.PytorchcvMobileNet),
    ("transformers", "mobilenet_v1", {"width": 0.25}, mobile.TransformersMobileNetV1),
    ("transformers", "mobilenet_v2", {"width": 0.35}, mobile.TransformersMobileNetV2),
    ("megvii", "shufflenet_v1", {"width": 0.5}, mobile.MegviiShuffleNet),
]
# Those of many parameters: one of them, and with EVERY_NET=1 all.
LARGE: list[Pair] = [
    ("pytorchcv", "resnet", {"depth": 50, "num_classes": 1000}, lambda: residual.PytorchcvResNet((3, 4, 6, 3))),
    ("pytorchcv", "resnet_v1_5", {"depth": 50, "num_classes": 1000}, lambda: residual.PytorchcvResNet((3, 4, 6, 3), 1)),
    (
        *("pytorchcv", "resnext", {"depth": 50, "num_classes": 1000}),
        lambda: aggregated.PytorchcvResNeXt((3, 4, 6, 3), 32, 4),
    ),
    *(
        (source, "densenet_imagenet", {"num_classes": 1000}, lambda source=source: dense.densenet121(source))
        for source in ("pytorchcv", "gpleiss")
    ),
    ("pytorchcv", "vgg", {"config": "A", "batch_norm": True}, lambda: feedforward.VGG(bn=True)),
    ("shichenliu", "condensenet", {"num_classes": 1000}, condensed.ReleasedCondenseNet),
    ("cadene", "se_resnet", {"depth": 50, "num_classes": 1000}, excited.CadeneSENet50),
    ("cadene", "se_resnext", {"depth": 50, "num_classes": 1000}, lambda: excited.CadeneSENet50(32)),
    ("cadene", "bn_inception_caffe", {}, bn_inceptions.CadeneBNInception),
    (
        *("pytorchcv", "se_resnet", {"depth": 50, "num_classes": 1000}),
        lambda: residual.PytorchcvResNet((3, 4, 6, 3), unit=excited.PytorchcvExcitedUnit),
    ),
]
DIFFERENT: list[Pair] = [
    ("torchdistill", "wide_resnet", {"depth": 16, "k": 2}, lambda: preactivated.torchdistill_wide(2, 2)),
    ("bearpaw", "preact_resnet", {"depth": 20}, lambda: preactivated.bearpaw_preactivated(2)),
    (
        *("pytorchcv", "preact_resnet", {"depth": 20}),
        lambda: preactivated.PytorchcvPreactivated(2, (64, 128, 256), (1, 3, 1)),
    ),
    ("tutorial", "lenet5_textbook", {"in_channels": 3}, dense.TutorialLeNet),
]


def shown(pairs: list[Pair]) -> list[Any]:
    return [pytest.param(*pair, id=" ".join(map(str, pair[:3]))) for pair in pairs]


def randomized(net: nn.Module) -> nn.Module:
    """Weights that keep the maps near one, and statistics of anything."""
    for part in net.eval().modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.normal_(part.weight, std=(2 / part.weight[0].numel()) ** 0.5)
            if part.bias is not None:
                nn.init.normal_(part.bias, std=0.2)
        elif isinstance(part, nn.BatchNorm2d):
            assert isinstance(part.running_mean, Tensor)
            assert isinstance(part.running_var, Tensor)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.2)
            part.running_mean.normal_(std=0.2)
            part.running_var.uniform_(0.5, 2)
            part.num_batches_tracked = torch.tensor(7)
        elif isinstance(index := part._buffers.get("index"), Tensor):  # of a CondenseNet
            index.copy_(torch.randperm(len(index)))
    return net


def empty(build: Built) -> nn.Module:
    """A network without values, in double precision."""
    with torch.device("meta"):
        net = build()
    return net.double().to_empty(device="cpu")


def row_of(source: str, constructor: str) -> Counterpart:
    [row] = [row for row in SOURCES[source].networks if row.constructor == constructor]
    return row


def ours(row: Counterpart, options: dict[str, Any]) -> nn.Module:
    classes = {} if row.constructor == "lenet5_textbook" else {"num_classes": 10}
    net = empty(lambda: archzoo.build(row.constructor, **{**classes, **row.options, **options}))
    return net.eval()


def images_for(row: Counterpart) -> Tensor:
    side = 224 if row.constructor == "vgg" else 64 if "squeezenet" in row.constructor else 32
    return torch.randn(1 if side == 224 else 2, 3, side, side, dtype=torch.double)


@torch.no_grad()
def logits_both_ways(source: str, constructor: str, options: dict[str, Any], theirs: Built) -> list[Tensor]:
    """Theirs, ours with their weights; then ours with other weights, theirs with those."""
    row = row_of(source, constructor)
    torch.manual_seed(len(source))
    net, other = ours(row, options), randomized(empty(theirs))
    images = images_for(row)
    net.load_state_dict(row.names.to_ours(net, other.state_dict()), strict=True)
    first = [other(images), net(images)]
    randomized(net)
    other.load_state_dict(row.names.to_theirs(net, net.state_dict()), strict=True)
    return [*first, net(images), other(images)]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "constructor", "options", "theirs"), shown(EQUAL))
def test_the_networks_of_a_source_are_ours(
    source: str, constructor: str, options: dict[str, Any], theirs: Built
) -> None:
    assert not row_of(source, constructor).differs
    first, ours_first, second, theirs_second = logits_both_ways(source, constructor, options, theirs)
    assert (first - ours_first).abs().max() <= 1e-9
    assert (second - theirs_second).abs().max() <= 1e-9
    assert (first - second).abs().max() > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize(("source", "constructor", "options", "theirs"), shown(LARGE if EVERY_NET else LARGE[:1]))
def test_the_large_networks_of_a_source_are_ours(
    source: str, constructor: str, options: dict[str, Any], theirs: Built
) -> None:
    test_the_networks_of_a_source_are_ours(source, constructor, options, theirs)


@pytest.mark.parametrize(("source", "constructor", "options", "theirs"), shown(DIFFERENT))
def test_networks_with_the_same_tensors_compute_something_else(
    source: str, constructor: str, options: dict[str, Any], theirs: Built
) -> None:
    assert row_of(source, constructor).differs
    first, ours_first, _, _ = logits_both_ways(source, constructor, options, theirs)
    assert (first - ours_first).abs().max() > 1e-3 * first.abs().max()


@torch.no_grad()
def test_the_group_that_trades_never_calls_is_left_out() -> None:
    row = row_of("robustbench", "wide_resnet")
    net, other = ours(row, {"depth": 16, "k": 2}), randomized(empty(lambda: preactivated.Wide(2, 2, unused=True)))
    state = row.names.to_ours(net, other.state_dict())
    assert any(name.startswith("sub_block1.") for name in other.state_dict())
    net.load_state_dict(state, strict=True)
    images = images_for(row)
    assert (net(images) - other(images)).abs().max() <= 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("constructor", "options", "theirs"),
    [("resnet", {"depth": 50}, residual.OpenMMLabResNet50), ("vgg", {"config": "D"}, feedforward.OpenMMLabVGG16)],
)
@torch.no_grad()
def test_openmmlabs_backbones_have_our_maps(constructor: str, options: dict[str, Any], theirs: Built) -> None:
    """They have no classifier, a bias that no network of theirs reads, and two convolutions of SSD."""
    row = row_of("openmmlab", constructor)
    net, other = archzoo.build(constructor, device="meta", **options).double(), randomized(empty(theirs))
    beside = {name: torch.zeros(64) for name in ("conv1.bias", "features.31.weight", "features.33.weight")}
    used = {name: tensor for name, tensor in beside.items() if name.startswith(row.names.unused)}
    state = row.names.to_ours(net, {**other.state_dict(), **used})
    own = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith("classifier.")}
    assert state.keys() == own.keys()
    net.features.load_state_dict({name.removeprefix("features."): t for name, t in state.items()}, assign=True)
    images = torch.randn(1, 3, 32, 32, dtype=torch.double)
    assert (net.features.eval()(images) - other(images)).abs().max() <= 1e-9
    with pytest.raises(WeightsError, match="they have no classifier"):
        row.names.to_theirs(net, net.state_dict())
