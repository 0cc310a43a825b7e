from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.layers import Net, Padded
from archzoo.models.preact_resnet import Unit
from archzoo.recipes import PCALighting, SubtractMean
from archzoo.registry import find_recipe, results


def build(name: str, **options: Any) -> Net:
    net: Net = archzoo.build(name, device="meta", **options)
    return net


def units(net: Net) -> list[Unit]:
    return [module for module in net.modules() if isinstance(module, Unit)]


def strides(unit: Unit) -> list[int]:
    return [layer.stride[0] for layer in unit.layers if isinstance(layer, nn.Conv2d)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"), [("preact_resnet1001", 333), ("preact_resnet110", 54), ("preact_resnet164", 54)]
)
def test_there_are_as_many_units_as_the_paper_says(name: str, number: int) -> None:
    assert len(units(build(name))) == number


def test_batch_norm_and_relu_come_before_each_convolution() -> None:
    unit = units(build("preact_resnet164"))[1]
    assert list(unit.activation._modules) == ["bn", "relu"]
    assert list(unit.layers._modules) == ["conv1", "bn2", "relu2", "conv2", "bn3", "relu3", "conv3"]
    assert list(units(build("preact_resnet110"))[1].layers._modules) == ["conv1", "bn2", "relu2", "conv2"]


@pytest.mark.parametrize("name", ["preact_resnet110", "preact_resnet164", "preact_resnet200"])
def test_the_first_unit_reads_the_activated_stem_and_the_last_is_activated_again(name: str) -> None:
    net = build(name)
    first, *others = units(net)
    assert isinstance(first.activation, nn.Identity)
    assert not [unit for unit in others if isinstance(unit.activation, nn.Identity)]
    parts = list(net.features._modules)
    assert parts[:3] == ["conv1", "bn1", "relu1"]
    assert parts[-2:] == ["bn", "relu"]


def test_nothing_is_activated_after_the_addition_and_the_identity_is_clean() -> None:
    unit = Unit(4, nn.Sequential(nn.Conv2d(4, 4, 1, bias=False)), None, None)
    nn.init.zeros_(unit.get_parameter("layers.0.weight"))
    maps = torch.randn(2, 4, 3, 3)
    before = maps.clone()
    assert torch.equal(unit(maps), before)
    assert torch.equal(maps, before)


def test_a_projection_reads_the_activation_without_a_batch_norm_of_its_own() -> None:
    projecting = [unit for unit in units(build("preact_resnet164")) if unit.project is not None]
    assert len(projecting) == 3
    assert all(isinstance(unit.project, nn.Conv2d) and unit.project.kernel_size == (1, 1) for unit in projecting)
    project = nn.Conv2d(4, 6, 1, bias=False)
    unit = Unit(4, nn.Sequential(nn.Conv2d(4, 6, 1, bias=False)), None, project)
    nn.init.zeros_(unit.get_parameter("layers.0.weight"))
    maps = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(unit(maps), project(unit.activation(maps)))


def test_resnet_110_has_the_shortcuts_of_option_a() -> None:
    shortcuts = [unit.identity for unit in units(build("preact_resnet110"))]
    assert sum(isinstance(shortcut, Padded) for shortcut in shortcuts) == 2
    assert all(unit.project is None for unit in units(build("preact_resnet110")))


def test_the_stride_is_in_the_first_1x1_on_cifar_and_in_the_3x3_on_imagenet() -> None:
    cifar, imagenet = (
        [strides(unit) for unit in units(build(name)) if max(strides(unit)) > 1]
        for name in ("preact_resnet164", "preact_resnet200")
    )
    assert cifar == [[2, 1, 1]] * 2
    assert imagenet == [[1, 2, 1]] * 3


def test_a_depth_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(archzoo.BadOption, match="depth must be 9n [+] 2, not 110: 110 or 119|not 100: 92 or 101"):
        build("preact_resnet", depth=100)
    with pytest.raises(archzoo.BadOption, match="depth must be 6n [+] 2, not 111: 110 or 116"):
        build("preact_resnet", depth=111, block="basic")


def test_an_option_a_shortcut_reads_the_input_as_the_docstring_says() -> None:
    """fb.resnet.torch's preresnet would give it the activation; Eq. 4 has x itself."""
    net: Net = archzoo.build("preact_resnet", depth=8, block="basic")
    unit = next(unit for unit in units(net) if isinstance(unit.identity, Padded))
    nn.init.zeros_(unit.get_parameter("layers.conv2.weight"))
    maps = torch.randn(2, 16, 4, 4)
    out = unit.eval()(maps)
    assert torch.equal(out[:, :16], maps[:, :, ::2, ::2])
    assert not out[:, 16:].any()
    assert "option A" in str(archzoo.find("preact_resnet110").constructor.__doc__)


def test_recipes_are_those_of_resnet_but_for_what_the_appendix_says() -> None:
    cifar, imagenet = find_recipe("preact_resnet164"), find_recipe("preact_resnet200")
    assert cifar.preprocessing == SubtractMean("pixel")  # "the same as those in [1]"
    run = cifar.duration(50_000)
    rates = [cifar.lr * cifar.schedule.factor(at, run) for at in (399, 400, 32_000, 48_000)]
    assert rates == pytest.approx([0.01, 0.1, 0.01, 0.001])
    assert PCALighting() in imagenet.augmentation  # "the same data augmentation as in [1]"
    assert imagenet.schedule.factor(0, imagenet.duration(1_281_167)) == 1  # "no warming up"


def test_the_release_is_trained_as_its_readme_says() -> None:
    """README of resnet-1k-layers, and train.lua of fb.resnet.torch, which counts epochs from 1."""
    recipe = find_recipe("preact_resnet_cifar_release")
    assert (recipe.batch_size, recipe.epochs, recipe.weight_decay) == (64, 200, 0.0001)
    run = recipe.duration(50_000)
    rates = [recipe.lr * recipe.schedule.factor((epoch - 1) * run.per_epoch, run) for epoch in (80, 81, 121, 122)]
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001])
    assert find_recipe("preact_resnet1001").batch_size == 128  # the paper's comes first


@pytest.mark.parametrize(
    ("name", "where", "errors"),
    [
        ("preact_resnet1001", "Table 3", {4.92, 22.71}),
        ("preact_resnet1001", "Table 4, batches of 64", {4.62}),
        ("preact_resnet200", "Table 5", {20.7, 5.3}),
        ("preact_resnet200", "Table 5, scale and aspect ratio augmentation", {20.1, 4.8}),
    ],
)
def test_each_error_stands_where_it_is_printed(name: str, where: str, errors: set[float]) -> None:
    assert {result.error for result in results(name) if result.where == where} == errors
