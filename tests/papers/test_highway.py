from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.models.highway import Highway
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe


def named_layers(name: str, **options: Any) -> dict[str, nn.Module]:
    net = archzoo.build(name, **options)
    return dict(net.features.named_children()) | dict(net.classifier.named_children())


def test_a_layer_transforms_as_much_as_its_gate_says_and_carries_the_rest() -> None:
    """Eq. 3, at one position: T = 1 gives H(x), T = 0 gives x, and biases of 0 a half of each."""
    layer, maps = Highway(2, gate_bias=0.0).double(), torch.randn(1, 2, 4, 4, dtype=torch.float64)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    assert layer.transform.bias is not None
    assert layer.gate.bias is not None
    nn.init.constant_(layer.transform.bias, 3.0)
    torch.testing.assert_close(layer(maps), (3 + maps) / 2)
    nn.init.constant_(layer.gate.bias, 100.0)
    torch.testing.assert_close(layer(maps), torch.full_like(maps, 3.0))
    nn.init.constant_(layer.gate.bias, -100.0)
    torch.testing.assert_close(layer(maps), maps)
    nn.init.constant_(layer.transform.bias, -3.0)
    nn.init.constant_(layer.gate.bias, 100.0)
    torch.testing.assert_close(layer(maps), torch.zeros_like(maps))  # H ends in a ReLU


def test_the_order_of_the_19_layers_is_that_of_the_released_definition() -> None:
    layers = named_layers("highway_cifar", device="meta")
    order = " ".join(name for name in layers if not name.endswith("_relu"))
    assert order == (
        "drop0 conv1_1 conv1_2 conv1_3 conv1_4 conv1_5 pool1 drop1 "
        "conv2_1 conv2_2 conv2_3 conv2_4 conv2_5 conv2_6 pool2 drop2 "
        "conv3_1 conv3_2 conv3_3 conv3_4 conv3_5 conv3_6 conv4 pool flatten drop3 fc"
    )
    plain = [name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)]
    assert plain == ["conv1_1", "conv2_1", "conv3_1", "conv4"]
    assert [layer.p for layer in layers.values() if isinstance(layer, nn.Dropout)] == [0.2] * 4
    for name in plain:
        assert isinstance(layers[f"{name}_relu"], nn.ReLU)
    net = archzoo.build("highway_cifar", device="meta")
    assert archzoo.profile(net, (3, 32, 32)).sides() == (32, 16, 8)


def test_the_order_of_the_10_layers_for_mnist_is_that_of_the_released_definition() -> None:
    layers = named_layers("highway_mnist_32", device="meta")
    order = " ".join(name for name in layers if not name.endswith("_relu"))
    assert order == (
        "drop0 conv1_1 conv1_2 conv1_3 pool1 drop1 conv2_1 conv2_2 conv2_3 pool2 drop2 "
        "conv3_1 conv3_2 conv3_3 pool3 drop3 flatten fc"
    )
    assert [layer.p for layer in layers.values() if isinstance(layer, nn.Dropout)] == [0.2, 0.3, 0.4, 0.5]
    net = archzoo.build("highway_mnist_32", device="meta")
    assert archzoo.profile(net, (1, 28, 28)).sides() == (28, 24, 12, 6, 3)


@pytest.mark.parametrize(
    ("name", "gate", "last"), [("highway_cifar", -2.0, 0.05), ("highway_mnist_32", -1.0, 0.1)], ids=str
)
def test_gates_start_closed_and_the_last_layer_small(name: str, gate: float, last: float) -> None:
    """The released definitions; 9 x 32 values or 100 into the last layer."""
    layers = named_layers(name)
    highways = [layer for layer in layers.values() if isinstance(layer, Highway)]
    assert len(highways) == {"highway_cifar": 14, "highway_mnist_32": 8}[name]
    for layer in highways:
        assert layer.gate.bias is not None
        assert layer.transform.bias is not None
        assert set(layer.gate.bias.tolist()) == {gate}
        assert not layer.transform.bias.any()
        deviation = (2 / layer.gate.weight[0].numel()) ** 0.5
        assert layer.gate.weight.std().item() == pytest.approx(deviation, rel=0.1)
        assert layer.transform.weight.std().item() == pytest.approx(deviation, rel=0.1)
    fc: Any = layers["fc"]
    assert fc.weight.std().item() == pytest.approx(last, rel=0.1)


def test_a_hundred_classes_start_as_the_convolutions_do() -> None:
    fc: Any = named_layers("highway_cifar", num_classes=100)["fc"]
    assert fc.weight.std().item() == pytest.approx((2 / 100) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    ("name", "iterations", "steps"),
    [("highway_cifar", 200_000, (100_000, 150_000, 175_000)), ("highway_mnist", 180_000, (60_000, 120_000))],
)
def test_rates_and_decay_are_those_of_the_released_solvers(name: str, iterations: int, steps: tuple[int, ...]) -> None:
    recipe = find_recipe(name)
    run = recipe.duration(TRAINING_IMAGES[recipe.data])
    assert run.iterations == iterations
    for count, step in enumerate(steps):
        assert recipe.schedule.factor(step - 1, run) == pytest.approx(0.1**count)
        assert recipe.schedule.factor(step, run) == pytest.approx(0.1 ** (count + 1))
    by_name = {group.pattern: (group.lr_mult, group.decay_mult) for group in recipe.groups}
    assert by_name == {"*.bias": (2, 0), "classifier.fc.weight": (1, 10)}  # lr_mult and decay_mult of the definitions
    assert recipe.optimizer.options == {"momentum": 0.9, "nesterov": True}
