from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import BadOption
from archzoo.layers import ResidualSum
from archzoo.models.pyramidnet import Basic, Bottleneck, widths
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe


def units(net: nn.Module) -> list[ResidualSum]:
    return [module for module in net.modules() if isinstance(module, ResidualSum)]


def test_widths_are_those_of_the_release() -> None:
    """The authors' prototxt files for Caffe: alpha = 250 over 33 units, and alpha = 200 over 50."""
    of_101 = [72, 79, 87, 94, 102, 109, 117, 125, 132, 140, 147, 155, 162, 170, 178, 185, 193, 200, 208, 216, 223]
    assert list(widths(64, 250, 33, "additive"))[:21] == of_101
    assert list(widths(64, 200, 50, "additive"))[:20] == list(range(68, 148, 4))
    for alpha, start, count in ((250, 64, 33), (48, 16, 54), (270, 16, 54), (200, 16, 90)):
        assert list(widths(start, alpha, count, "additive"))[-1] == start + alpha


def test_products_of_widths_grow_slowly_first_and_reach_alpha_times_the_start() -> None:
    """Eq. 3: after half of the units, the square root of alpha."""
    grown = list(widths(16, 4.75, 54, "multiplicative"))
    assert grown[-1] == 76
    assert grown[26] == round(16 * 4.75**0.5)
    added = list(widths(16, 60, 54, "additive"))
    assert added[-1] == 76
    assert all(product <= total for product, total in zip(grown, added, strict=True))


@pytest.mark.parametrize("name", ["pyramidnet110_a48", "pyramidnet110_m8", "pyramidnet164_a84", "pyramidnet101_a360"])
def test_every_unit_reads_what_the_one_before_returns_and_shortcuts_have_no_parameters(name: str) -> None:
    net = archzoo.build(name, device="meta")
    inputs = net.get_submodule("features.conv1").out_channels
    for unit in units(net):
        layers: Any = unit.layers
        assert layers.conv1.in_channels == inputs
        inputs = layers.bn.num_features
        assert not list(unit.shortcut.parameters())
    assert net.get_submodule("classifier.fc").in_features == inputs


@pytest.mark.parametrize(
    ("made", "order", "strides"),
    [
        (Basic(), "bn1 conv1 bn2 relu2 conv2 bn", {"conv1": 2, "conv2": 1}),
        (Bottleneck(), "bn1 conv1 bn2 relu2 conv2 bn3 relu3 conv3 bn", {"conv1": 1, "conv2": 2, "conv3": 1}),
    ],
)
def test_a_unit_has_no_first_relu_and_ends_in_a_batch_norm(
    made: Basic | Bottleneck, order: str, strides: dict[str, int]
) -> None:
    """Fig. 6d; the released code."""
    layers: Any = made(16, 20, 2).layers
    assert [name for name, _ in layers.named_children()] == order.split()
    assert {name: layers.get_submodule(name).stride[0] for name in strides} == strides


@pytest.mark.parametrize("side", [6, 7])
def test_a_unit_adds_to_the_means_of_its_input_followed_by_zeros(side: int) -> None:
    unit = Basic()(4, 6, 2).double().eval()
    for parameter in unit.parameters():
        nn.init.normal_(parameter, std=0.3)
    maps = torch.randn(2, 4, side, side, dtype=torch.float64)
    half = (side + 1) // 2
    shortcut = torch.zeros(2, 6, half, half, dtype=torch.float64)
    for row in range(half):
        for column in range(half):
            window = maps[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            shortcut[:, :4, row, column] = window.mean((2, 3))
    torch.testing.assert_close(unit(maps), unit.layers(maps) + shortcut)
    same = Basic()(6, 6, 1)
    assert isinstance(same.shortcut, nn.Identity)


@pytest.mark.slow
def test_the_first_activation_of_cifar_is_inside_the_first_unit() -> None:
    """Release: no ReLU follows the stem's batch norm on CIFAR; on ImageNet a ReLU and a pooling do."""
    small = archzoo.build("pyramidnet110_a48", device="meta").get_submodule("features")
    large = archzoo.build("pyramidnet101_a250", device="meta").get_submodule("features")
    assert [name for name, _ in small.named_children()] == [
        "conv1",
        "bn1",
        *(f"conv{i}_x" for i in (2, 3, 4)),
        "bn",
        "relu",
    ]
    assert [name for name, _ in large.named_children()][:4] == ["conv1", "bn1", "relu1", "pool1"]
    sides = [32, 16, 8]
    maps = torch.empty(1, 3, 32, 32, device="meta")
    for name, part in small.named_children():
        maps = part(maps)
        if name.endswith("_x"):
            assert maps.shape[-1] == sides.pop(0)


def test_dropout_of_a_half_is_in_the_network_of_alpha_450_alone() -> None:
    assert archzoo.build("pyramidnet200_a450", device="meta").get_submodule("classifier.dropout").p == 0.5
    net = archzoo.build("pyramidnet200_a300", device="meta")
    assert not any(isinstance(module, nn.Dropout) for module in net.modules())


@pytest.mark.parametrize(
    ("name", "lr", "epochs", "drops"),
    [
        ("pyramidnet_cifar10", 0.1, 300, (150, 225)),
        ("pyramidnet_cifar100", 0.5, 300, (150, 225)),
        ("pyramidnet_imagenet", 0.05, 100, (30, 60, 90)),
    ],
)
def test_the_rate_is_divided_by_10_at_the_epochs_of_the_release(
    name: str, lr: float, epochs: int, drops: tuple[int, ...]
) -> None:
    recipe = find_recipe(name)
    assert (recipe.lr, recipe.batch_size, recipe.epochs) == (lr, 128, epochs)
    run = recipe.duration(TRAINING_IMAGES[recipe.data])
    for count, epoch in enumerate(drops):
        assert recipe.schedule.factor(epoch * run.per_epoch - 1, run) == pytest.approx(0.1**count)
        assert recipe.schedule.factor(epoch * run.per_epoch, run) == pytest.approx(0.1 ** (count + 1))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pyramidnet_cifar", {"widening": -1.0}, "widening must be at least 0, not -1.0"),
        ("pyramidnet_cifar", {"widening": 0.5, "growth": "multiplicative"}, "widening must be at least 1, not 0.5"),
        ("pyramidnet_cifar", {"depth": 111}, "depth must be 6n \\+ 2, not 111: 110 or 116"),
        ("pyramidnet_cifar", {"depth": 111, "block": "bottleneck"}, "depth must be 9n \\+ 2, not 111: 110 or 119"),
        ("pyramidnet", {"widening": -1.0}, "widening must be at least 0, not -1.0"),
        ("pyramidnet", {"drop": 1.0}, "drop must be at least 0 and less than 1, not 1.0"),
    ],
)
def test_options_that_make_no_network_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        archzoo.build(name, device="meta", **options)
