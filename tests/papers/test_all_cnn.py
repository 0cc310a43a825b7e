import pytest
import torch
from torch import nn

import archzoo
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe, recipes_of

# Table 1: the convolutions before a pooling, as kernel and maps; then the layers that all models end in.
BEFORE_POOLING = {
    "a": ([(5, 96)], [(5, 192)]),
    "b": ([(5, 96), (1, 96)], [(5, 192), (1, 192)]),
    "c": ([(3, 96), (3, 96)], [(3, 192), (3, 192)]),
}
END = [(3, 192), (1, 192), (1, 10)]
FORMS = ("all_cnn_base", "strided_cnn", "conv_pool_cnn", "all_cnn")


def layers(name: str) -> list[nn.Module]:
    net = archzoo.build(name, device="meta")
    return [module for module in net.modules() if not list(module.children())]


@pytest.mark.parametrize("config", "abc")
@pytest.mark.parametrize("form", FORMS)
def test_convolutions_are_those_of_tables_1_and_2(form: str, config: str) -> None:
    """A convolution of as many maps is put before a pooling, or takes its place; a stride adds none."""
    first, second = BEFORE_POOLING[config]
    added = form in ("conv_pool_cnn", "all_cnn")
    expected = [*first, *([(3, 96)] * added), *second, *([(3, 192)] * added), *END]
    convs = [layer for layer in layers(f"{form}_{config}") if isinstance(layer, nn.Conv2d)]
    assert [(conv.kernel_size[0], conv.out_channels) for conv in convs] == expected
    assert all(conv.bias is not None for conv in convs)


@pytest.mark.parametrize("config", "abc")
def test_maps_are_halved_by_the_layer_that_the_form_says(config: str) -> None:
    def halving(form: str) -> list[tuple[type, int]]:
        return [
            (nn.MaxPool2d if isinstance(layer, nn.MaxPool2d) else nn.Conv2d, int(torch.tensor(layer.kernel_size).max()))
            for layer in layers(f"{form}_{config}")
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d) and torch.tensor(layer.stride).max() == 2
        ]

    last = {"a": 5, "b": 1, "c": 3}[config]
    assert halving("all_cnn_base") == halving("conv_pool_cnn") == [(nn.MaxPool2d, 3)] * 2
    assert halving("strided_cnn") == [(nn.Conv2d, last)] * 2
    assert halving("all_cnn") == [(nn.Conv2d, 3)] * 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("config", "abc")
def test_the_maps_that_are_averaged_are_6x6_since_one_layer_is_not_padded(form: str, config: str) -> None:
    net = archzoo.build(f"{form}_{config}", device="meta")
    assert archzoo.profile(net, (3, 32, 32)).sides() == (32, 16, 8, 6)


@pytest.mark.parametrize("form", FORMS)
def test_dropout_is_on_the_image_and_after_what_halves_the_maps(form: str) -> None:
    """20% and 50% (Sec. 3.2.1)."""
    kinds = [type(layer) if isinstance(layer, nn.Dropout) else layer for layer in layers(f"{form}_c")]
    places = [place for place, kind in enumerate(kinds) if kind is nn.Dropout]
    rates = [layer.p for layer in layers(f"{form}_c") if isinstance(layer, nn.Dropout)]
    assert (places[0], rates) == (0, [0.2, 0.5, 0.5])
    for place in places[1:]:
        assert isinstance(kinds[place - 1], nn.MaxPool2d if "base" in form or "pool" in form else nn.ReLU)


def test_a_relu_follows_every_convolution_the_last_too() -> None:
    for form in FORMS:
        sequence = layers(f"{form}_b")
        for place, layer in enumerate(sequence):
            if isinstance(layer, nn.Conv2d):
                assert isinstance(sequence[place + 1], nn.ReLU)


def test_multiply_adds_of_all_cnn_c_by_hand() -> None:
    """Positions, kernel, maps read, maps written: layer by layer of Table 2."""
    by_hand = (
        32**2 * 9 * (3 * 96 + 96 * 96)
        + 16**2 * 9 * (96 * 96 + 96 * 192 + 192 * 192)
        + 8**2 * 9 * 192 * 192
        + 6**2 * (9 * 192 * 192 + 192 * 192 + 192 * 10)
    )
    assert archzoo.profile(archzoo.build("all_cnn_c", device="meta"), (3, 32, 32)).macs == by_hand


def test_the_network_for_imagenet_averages_6x6_maps_of_227x227_images() -> None:
    net = archzoo.build("all_cnn_imagenet", device="meta")
    assert archzoo.profile(net, (3, 227, 227)).sides() == (55, 27, 13, 6)
    convs = [layer for layer in layers("all_cnn_imagenet") if isinstance(layer, nn.Conv2d)]
    assert [(conv.kernel_size[0], conv.stride[0], conv.out_channels) for conv in convs] == [
        *((11, 4, 96), (1, 1, 96), (3, 2, 96)),
        *((5, 1, 256), (1, 1, 256), (3, 2, 256)),
        *((3, 1, 384), (1, 1, 384), (3, 2, 384)),
        *((3, 1, 1024), (1, 1, 1024), (1, 1, 1000)),
    ]


def test_the_rate_falls_after_200_250_and_300_of_350_epochs() -> None:
    recipe = find_recipe("all_cnn_c")
    run = recipe.duration(TRAINING_IMAGES["cifar10"])
    steps = run.iterations // 350
    epochs = (0, 199, 200, 249, 250, 299, 300, 349)
    factors = [recipe.schedule.factor(epoch * steps, run) for epoch in epochs]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_each_form_of_each_model_has_the_recipes_for_cifar() -> None:
    for form in FORMS:
        for config in "abc":
            names = [recipe.name for recipe in recipes_of(f"{form}_{config}")]
            assert names == ["all_cnn_cifar", "all_cnn_cifar_augmented"]
    assert [recipe.name for recipe in recipes_of("all_cnn_imagenet")] == ["all_cnn_imagenet"]
