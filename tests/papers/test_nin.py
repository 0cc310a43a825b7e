from itertools import pairwise
from math import prod
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.layers import Net
from archzoo.recipes import TRAINING_IMAGES, Recipe
from archzoo.registry import find_recipe, results
from tests.networks import EVERY_NET

EVERY = pytest.mark.parametrize("name", ["nin", "nin_cifar100", "nin_svhn", "nin_mnist", "nin_imagenet"])
THREE_LAYERS = "conv1 cccp1 cccp2 pool1 drop1 conv2 cccp3 cccp4 pool2 drop2 conv3 cccp5 cccp6 pool flatten"


def build(name: str, **options: Any) -> Net:
    net: Net = archzoo.build(name, device="meta", **options)
    return net


def parts(net: Net) -> list[tuple[str, nn.Module]]:
    return [*net.features.named_children(), *net.classifier.named_children()]


@pytest.mark.parametrize(
    ("name", "order"),
    [
        *((name, THREE_LAYERS) for name in ("nin", "nin_cifar100", "nin_svhn", "nin_mnist")),
        (
            "nin_imagenet",
            "conv1 cccp1 cccp2 pool1 conv2 cccp3 cccp4 pool2 conv3 cccp5 cccp6 pool3 drop3 "
            "conv4 cccp7 cccp8 pool flatten",
        ),
    ],
)
def test_two_1x1_layers_follow_each_convolution_and_pooling_and_dropout_stand_between(name: str, order: str) -> None:
    net = build(name)
    assert [part for part, _ in parts(net) if not part.startswith("relu")] == order.split()
    assert {layer.kernel_size for part, layer in parts(net) if part.startswith("cccp")} == {(1, 1)}
    assert {layer.p for _, layer in parts(net) if isinstance(layer, nn.Dropout)} == {0.5}


@EVERY
def test_a_relu_follows_every_layer_the_last_too(name: str) -> None:
    layers = parts(build(name))
    for (part, layer), (after, relu) in pairwise(layers):
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            assert after == f"relu_{part}"
            assert isinstance(relu, nn.ReLU)
    assert layers[-3][0].startswith("relu_cccp")


def test_logits_are_never_negative() -> None:
    torch.manual_seed(0)
    net = archzoo.build("nin").eval()
    with torch.no_grad():
        logits = net(torch.randn(4, 3, 32, 32))
    assert logits.min() >= 0
    assert logits.max() > 0


def test_the_widths_are_those_of_the_authors_definitions() -> None:
    def widths(name: str) -> list[int]:
        return [layer.out_channels for layer in build(name).modules() if isinstance(layer, nn.Conv2d)]

    assert widths("nin") == [192, 160, 96, 192, 192, 192, 192, 192, 10]
    assert widths("nin_cifar100") == [192, 160, 96, 192, 192, 192, 192, 192, 100]
    assert widths("nin_svhn") == [128, 96, 64, 320, 256, 128, 384, 256, 10]
    assert widths("nin_mnist") == [96, 64, 48, 128, 96, 48, 128, 96, 10]
    assert widths("nin_imagenet") == [96, 96, 96, 256, 256, 256, 384, 384, 384, 1024, 1024, 1000]


def test_kernels_strides_and_padding_are_those_of_the_authors_definitions() -> None:
    def convolutions(name: str) -> list[tuple[int, int, int]]:
        layers = dict(parts(build(name)))
        convs: list[Any] = [layers[f"conv{i}"] for i in range(1, 5) if f"conv{i}" in layers]
        return [(conv.kernel_size[0], conv.stride[0], conv.padding[0]) for conv in convs]

    assert convolutions("nin") == convolutions("nin_cifar100") == [(5, 1, 2), (5, 1, 2), (3, 1, 1)]
    assert convolutions("nin_svhn") == convolutions("nin_mnist") == [(5, 1, 2), (5, 1, 2), (5, 1, 2)]
    assert convolutions("nin_imagenet") == [(11, 4, 0), (5, 1, 2), (3, 1, 1), (3, 1, 1)]


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("nin", (32, 16, 8)),
        ("nin_svhn", (32, 16, 8)),
        ("nin_mnist", (28, 14, 7)),
        ("nin_imagenet", (54, 27, 13, 6)),
    ],
)
def test_pooling_keeps_the_last_incomplete_window(name: str, sides: tuple[int, ...]) -> None:
    # 32 to 16 by 3x3/2 without padding: floor would give 15
    assert archzoo.profile(build(name), archzoo.find(name).input_size).sides() == sides
    pools = [layer for _, layer in parts(build(name)) if isinstance(layer, nn.MaxPool2d)]
    assert {(pool.kernel_size, pool.stride, pool.ceil_mode) for pool in pools} == {(3, 2, True)}


def test_a_class_is_the_average_of_a_map_of_its_own_and_that_takes_no_parameter() -> None:
    net = archzoo.build("nin").eval()
    classifier: Any = net.classifier
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        maps = classifier.relu_cccp6(classifier.cccp6(net.features(images)))
        assert maps.shape == (2, 10, 8, 8)
        torch.testing.assert_close(net(images), maps.mean(dim=(2, 3)))
    assert not list(classifier.pool.parameters())


@pytest.mark.skipif(not EVERY_NET, reason="with EVERY_NET=1: its layers are those of others, which are asked")
@EVERY
def test_it_compiles_and_exports_in_evaluation_mode(name: str) -> None:
    net = archzoo.build(name).eval()
    images = torch.randn(1, *archzoo.find(name).input_size)
    with torch.no_grad():
        expected = net(images)
        torch.testing.assert_close(torch.compile(net, backend="eager", fullgraph=True)(images), expected)
        torch.testing.assert_close(torch.export.export(net, (images,)).module()(images), expected)


@pytest.mark.parametrize(
    ("name", "narrow"),
    [
        ("nin", {}),
        ("nin_svhn", {}),
        ("nin_mnist", {}),
        # initW in the author's NIN/cifar-100_def.
        ("nin_cifar100", {"conv1": 0.001, "cccp1": 0.01, "cccp2": 0.01}),
        ("nin_imagenet", {"conv1": 0.01, "conv3": 0.01, "cccp8": 0.01}),
    ],
)
def test_weights_start_as_in_the_authors_definitions(name: str, narrow: dict[str, float]) -> None:
    for part, layer in parts(archzoo.build(name)):
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx(narrow.get(part, 0.05), rel=0.1), part
            assert layer.bias is not None
            assert not layer.bias.any()


def rate_and_decay(recipe: Recipe, parameter: str) -> tuple[float, float]:
    """The learning rate of a parameter, and the share of it that one step takes away."""
    groups = [group for group in recipe.groups if group.matches(parameter)]
    rate = recipe.lr * prod(group.lr_mult for group in groups)
    return rate, rate * recipe.weight_decay * prod(group.decay_mult for group in groups)


# epsW and epsB of most layers and of the last one, wc and coeff, from the author's NIN/*_params. cuda-convnet takes
# coeff x eps times the gradient, and wc x epsW times the weight; it never decays biases.
@pytest.mark.parametrize(
    ("name", "eps", "eps_last", "wc", "coeff"),
    [
        ("nin", (1, 2), (0.1, 0.2), 0.00001, 0.1),
        ("nin_svhn", (1, 2), (0.1, 0.2), 0.00001, 0.1),
        ("nin_mnist", (1, 2), (0.1, 0.2), 0.00001, 0.1),
        ("nin_cifar100", (0.01, 0.02), (0.01, 0.02), 0.001, 2),
    ],
)
def test_rates_and_decay_are_those_of_the_authors_parameters(
    name: str, eps: tuple[float, float], eps_last: tuple[float, float], wc: float, coeff: float
) -> None:
    recipe = find_recipe(name)
    for parameter, _ in build(name).named_parameters():
        weight, bias = eps_last if ".cccp6." in parameter else eps
        expected = (coeff * bias, 0) if parameter.endswith("bias") else (coeff * weight, wc * weight)
        assert rate_and_decay(recipe, parameter) == pytest.approx(expected), parameter


def test_the_rate_falls_after_200_and_230_of_260_epochs_of_cifar10() -> None:
    # The README of the author's code.
    for name in ("nin", "nin_svhn"):
        recipe = find_recipe(name)
        run = recipe.duration(TRAINING_IMAGES[recipe.data])
        steps = 50_000 // 128
        factors = [
            recipe.schedule.factor(epoch * steps + at, run)
            for epoch, at in ((0, 0), (200, -1), (200, 0), (230, -1), (230, 0), (260, -1))
        ]
        assert run.iterations == 260 * steps
        assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_result_is_of_the_network_that_the_author_released_for_its_data() -> None:
    errors = {(result.name, result.data): result.error for result in results("nin*")}
    assert errors == {
        ("nin", "cifar10"): 10.41,
        ("nin", "cifar10+"): 8.81,
        ("nin_cifar100", "cifar100"): 35.68,
        ("nin_svhn", "svhn"): 2.35,
        ("nin_mnist", "mnist"): 0.47,
        ("nin_imagenet", "imagenet top-1"): pytest.approx(100 - 59.36),
    }


def test_the_released_prototxt_doubles_the_rate_of_biases_and_does_not_decay_them() -> None:
    # blobs_lr 1 and 2, weight_decay 1 and 0 in every layer; base_lr 0.01, weight_decay 0.0005.
    recipe = find_recipe("nin_imagenet")
    for parameter, _ in build("nin_imagenet").named_parameters():
        expected = (0.02, 0) if parameter.endswith("bias") else (0.01, 0.01 * 0.0005)
        assert rate_and_decay(recipe, parameter) == pytest.approx(expected), parameter


def test_the_released_solver_lowers_the_rate_twice_in_450_000_iterations() -> None:
    recipe = find_recipe("nin_imagenet")
    run = recipe.duration(TRAINING_IMAGES["imagenet"])
    iterations = (0, 199_999, 200_000, 399_999, 400_000, run.iterations - 1)
    rates = [recipe.lr * recipe.schedule.factor(iteration, run) for iteration in iterations]
    assert (recipe.name, run.iterations) == ("nin_imagenet_release", 450_000)
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])
