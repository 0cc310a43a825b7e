from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo import registry
from archzoo.layers import Net
from archzoo.models.densenet import DenseLayer, Spec, dense_block
from archzoo.recipes import Duration, Rescale


def build(name: str, **options: Any) -> Net:
    net: Net = archzoo.build(name, device="meta", **options)
    return net


def widths(net: Net) -> list[int]:
    """Maps after each transition."""
    transitions: list[Any] = [part for name, part in net.features.named_children() if name.startswith("transition")]
    return [transition.conv1.out_channels for transition in transitions]


def test_a_layer_is_bn_relu_conv() -> None:
    assert list(DenseLayer(4, Spec(k=2))._modules) == ["bn1", "relu1", "conv1"]


def test_a_bottleneck_is_bn_relu_conv1x1_bn_relu_conv3x3_with_4k_maps_between() -> None:
    layer: Any = DenseLayer(4, Spec(k=3, bottleneck=True))
    assert list(layer._modules) == ["bn1", "relu1", "conv1", "bn2", "relu2", "conv2"]
    assert (layer.conv1.out_channels, layer.conv1.kernel_size) == (12, (1, 1))
    assert (layer.conv2.out_channels, layer.conv2.kernel_size, layer.conv2.padding) == (3, (3, 3), (1, 1))


def test_dropout_follows_every_convolution_but_the_first() -> None:
    net = build("densenet_bc", drop=0.2)
    before = None
    for name, layer in net.features.named_modules():
        if before is not None and isinstance(before[1], nn.Conv2d):
            assert isinstance(layer, nn.Dropout) == (before[0] != "conv1"), name
        before = (name, layer)
    drops = [layer for layer in net.modules() if isinstance(layer, nn.Dropout)]
    convs = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert len(drops) == len(convs) - 1
    assert {drop.p for drop in drops} == {0.2}
    assert not [layer for layer in build("densenet_bc").modules() if isinstance(layer, nn.Dropout)]


def test_new_maps_come_after_those_that_were_read_and_leave_them_alone() -> None:
    layer = DenseLayer(4, Spec(k=2))
    nn.init.normal_(layer.get_parameter("conv1.weight"))
    maps = torch.randn(1, 4, 5, 5)
    before = maps.clone()
    out = layer(maps)
    assert out.shape == (1, 6, 5, 5)
    assert torch.equal(out[:, :4], before)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("densenet", 16), ("densenet_b", 16), ("densenet_c", 16), ("densenet_bc", 24), ("densenet121", 64)],
)
def test_the_first_convolution_has_16_maps_or_2k_with_bottleneck_and_compression(name: str, stem: int) -> None:
    features: Any = build(name).features
    assert features.conv1.out_channels == stem


def test_a_transition_keeps_the_share_theta_of_the_maps() -> None:
    # depth 40, k = 12: 12 layers a block in the plain net, 6 with bottlenecks
    assert widths(build("densenet", depth=40, k=12)) == [16 + 144, 16 + 288]
    assert widths(build("densenet_c", depth=40, k=12)) == [80, 112]
    assert widths(build("densenet_b", depth=40, k=12)) == [16 + 72, 16 + 144]
    assert widths(build("densenet_bc", depth=40, k=12)) == [48, 60]
    assert widths(build("densenet_c", depth=10, k=1, theta=0.3)) == [5, 2]  # floor(0.3 x 18), floor(0.3 x 7)


def test_a_transition_is_bn_relu_conv1x1_and_2x2_average_pooling() -> None:
    transition: Any = build("densenet").features.transition1
    assert list(transition._modules) == ["bn1", "relu1", "conv1", "pool"]
    assert transition.conv1.kernel_size == (1, 1)
    assert isinstance(transition.pool, nn.AvgPool2d)
    assert (transition.pool.kernel_size, transition.pool.stride) == (2, 2)


def test_there_is_no_norm_after_the_first_convolution_on_cifar_and_one_before_the_classifier() -> None:
    parts = list(build("densenet").features._modules)
    assert parts == ["conv1", "denseblock1", "transition1", "denseblock2", "transition2", "denseblock3", "bn", "relu"]


@pytest.mark.parametrize("name", ["densenet", "densenet_bc", "densenet169"])
def test_no_convolution_has_a_bias(name: str) -> None:
    assert all(layer.bias is None for layer in build(name).modules() if isinstance(layer, nn.Conv2d))


def test_every_layer_reads_the_maps_of_all_before_it() -> None:
    net = archzoo.build("densenet", depth=13, k=3)  # three layers a block
    block: Any = net.features.denseblock1
    assert [layer.conv1.in_channels for layer in block] == [16, 19, 22]
    assert block(torch.randn(1, 16, 8, 8)).shape == (1, 25, 8, 8)


def test_weights_start_as_in_the_authors_release() -> None:
    net = archzoo.build("densenet", depth=40, k=12)
    weight = net.get_parameter("features.transition2.conv1.weight")
    assert weight.std().item() == pytest.approx((2 / 304) ** 0.5, rel=0.02)
    assert not net.get_parameter("classifier.fc.bias").any()


@pytest.mark.parametrize(("layers", "connections"), [(5, 15), (12, 78)])
def test_a_block_of_l_layers_has_l_times_l_plus_1_by_2_connections(layers: int, connections: int) -> None:
    """Abstract, and Fig. 1 for five layers with k = 4: layer l reads the block's input and l - 1 groups of new maps."""
    block = dense_block(16, layers, Spec(k=4))
    convs: list[Any] = [layer.get_submodule("conv1") for layer in block]
    read = [(conv.in_channels - 16) // 4 + 1 for conv in convs]
    assert read == list(range(1, layers + 1))
    assert sum(read) == connections


def test_errors_without_augmentation_are_with_dropout() -> None:
    """Sec. 4.2 and the caption of Table 2: rate 0.2 on C10, C100 and SVHN, none with augmentation."""
    for result in registry.results("densenet*"):
        assert result.options.get("drop", 0) == (0.2 if result.data in ("cifar10", "cifar100", "svhn") else 0)
    svhn = {result.name: result.error for result in registry.results("densenet*", "svhn")}
    assert svhn == {
        "densenet": 1.79,
        "densenet_100_12": 1.67,
        "densenet_100_24": 1.59,
        "densenet_bc": 1.76,
        "densenet_bc_250_24": 1.74,
    }


def test_svhn_takes_40_epochs_with_drops_after_20_and_30() -> None:
    """Sec. 4.1 and 4.2: batches of 64, values in [0, 1], the epoch of the lowest validation error."""
    recipe = registry.find_recipe("densenet_svhn")
    run = Duration(400, 10)
    rates = [recipe.lr * recipe.schedule.factor(epoch * 10, run) for epoch in (0, 19, 20, 29, 30, 39)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert (recipe.data, recipe.epochs, recipe.batch_size, recipe.weight_decay) == ("svhn", 40, 64, 0.0001)
    assert (recipe.augmentation, recipe.preprocessing, recipe.select) == ((), Rescale(0.0, 1.0), "best")


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("densenet121", {}, 64.5e6),
        ("densenet169", {}, 114.4e6),
        ("densenet201", {}, 161.8e6),
        ("densenet161", {}, 230.8e6),
        ("densenet264", {}, 256 * 2**20),
        ("densenet264", {"k": 48}, 557 * 2**20),
    ],
)
def test_a_released_file_has_two_numbers_for_each_parameter(name: str, options: dict[str, Any], size: float) -> None:
    """README of the release: the sizes of its Torch models."""
    parameters = sum(parameter.numel() for parameter in build(name, **options).parameters())
    assert 1.004 < size / (8 * parameters) < 1.011
