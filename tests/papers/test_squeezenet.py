from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.layers import Net
from archzoo.models.squeezenet import Bypassed, Fire, Metaparameters
from archzoo.recipes import RandomHorizontalFlip
from archzoo.registry import all_claims, find_recipe


def build(name: str, **options: Any) -> Net:
    net: Net = archzoo.build(name, device="meta", **options)
    return net


def test_the_widths_of_table_1_follow_from_the_metaparameters() -> None:
    table = [(16, 64, 64)] * 2 + [(32, 128, 128)] * 2 + [(48, 192, 192)] * 2 + [(64, 256, 256)] * 2
    assert [Metaparameters().widths(number) for number in range(2, 10)] == table


def test_a_fire_module_squeezes_then_expands_with_relus_after_both() -> None:
    fire = Fire(3, 2, 4, 5)
    for parameter in fire.parameters():
        nn.init.normal_(parameter)
    maps = torch.randn(2, 3, 6, 6)
    squeezed = fire.squeeze(maps).relu()
    expected = torch.cat([fire.expand1x1(squeezed), fire.expand3x3(squeezed)], 1).relu()
    torch.testing.assert_close(fire(maps), expected)
    assert (fire.squeeze.kernel_size, fire.expand1x1.kernel_size) == ((1, 1), (1, 1))
    assert (fire.expand3x3.kernel_size, fire.expand3x3.padding) == ((3, 3), (1, 1))


@pytest.mark.parametrize(
    ("name", "after"),
    [("squeezenet1_0", ["relu1", "fire4", "fire8"]), ("squeezenet1_1", ["relu1", "fire3", "fire5"])],
)
def test_pooling_is_3x3_by_2_rounded_up_where_the_paper_has_it(name: str, after: list[str]) -> None:
    parts = list(build(name).features.named_children())
    pools = [(before[0], pool) for before, (_, pool) in pairwise(parts) if isinstance(pool, nn.MaxPool2d)]
    assert [before for before, _ in pools] == after
    assert all((pool.kernel_size, pool.stride, pool.ceil_mode) == (3, 2, True) for _, pool in pools)


@pytest.mark.parametrize(
    ("bypass", "identities", "projections"),
    [("none", [], []), ("simple", [3, 5, 7, 9], []), ("complex", [3, 5, 7, 9], [2, 4, 6, 8])],
)
def test_bypasses_are_around_the_fire_modules_of_fig_2(
    bypass: str, identities: list[int], projections: list[int]
) -> None:
    features = build("squeezenet1_0", bypass=bypass).features
    fires = {int(name[4:]): part for name, part in features.named_children() if name.startswith("fire")}
    shortcuts = {n: part.shortcut for n, part in fires.items() if isinstance(part, Bypassed)}
    assert [n for n, shortcut in shortcuts.items() if isinstance(shortcut, nn.Identity)] == identities
    assert [n for n, shortcut in shortcuts.items() if isinstance(shortcut, nn.Conv2d)] == projections


def test_a_bypass_adds_what_the_module_read() -> None:
    fire = Fire(4, 1, 2, 2)
    for parameter in fire.parameters():
        nn.init.zeros_(parameter)
    maps = torch.randn(1, 4, 3, 3)
    assert torch.equal(Bypassed(fire, nn.Identity())(maps), maps)


def test_dropout_comes_after_fire9_and_no_linear_layer_follows() -> None:
    net = build("squeezenet1_0")
    classifier: Any = net.classifier
    assert list(classifier._modules) == ["drop9", "conv10", "relu10", "avgpool10", "flatten"]
    assert classifier.drop9.p == 0.5
    assert not [layer for layer in net.modules() if isinstance(layer, nn.Linear)]


def test_the_last_convolution_starts_smaller_than_the_others() -> None:
    net = archzoo.build("squeezenet1_1")
    assert net.get_parameter("classifier.conv10.weight").std().item() == pytest.approx(0.01, rel=0.02)
    # Uniform of variance 1 / fan-in.
    weight = net.get_parameter("features.fire9.expand3x3.weight")
    assert weight.std().item() == pytest.approx((1 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("name", "sides", "macs"),
    [
        # 227x227 is crop_size and the input of both released definitions. By hand: conv1, the fire modules, conv10.
        ("squeezenet1_0", (111, 55, 27, 13), 832_667_936),
        ("squeezenet1_1", (113, 56, 28, 14), 387_747_520),
    ],
)
def test_images_have_227_pixels_as_released(name: str, sides: tuple[int, ...], macs: int) -> None:
    assert archzoo.find(name).input_size == (3, 227, 227)
    profile = archzoo.profile(build(name), (3, 227, 227))
    assert (profile.sides(), profile.macs) == (sides, macs)


def test_every_size_in_megabytes_is_read_by_one_rule() -> None:
    sizes = [
        claim
        for paper, _, claim in all_claims()
        if claim.counted.name == "bytes" and not claim.of and "SqueezeNet" in paper.title
    ]
    assert {claim.printed for claim in sizes} == {"4.8MB", "13MB", "19MB", "5.7MB", "21MB", "7.7MB", "240MB"}
    assert {claim.counting for claim in sizes} == {"MB = 2^20"}


def test_the_released_training_has_no_mirror_images() -> None:
    # train_val.prototxt of v1.0 and v1.1: crop_size and mean_value, no mirror.
    for name in ("squeezenet1_0", "squeezenet1_1"):
        assert RandomHorizontalFlip() not in find_recipe(name).augmentation


@pytest.mark.parametrize("options", [{"share_3x3": 0.0}, {"share_3x3": 1.0}, {"squeeze_ratio": 0.0}])
def test_a_fire_module_without_a_part_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(archzoo.BadOption, match=f"squeezenet1_0: {next(iter(options))}"):
        archzoo.build("squeezenet1_0", **options)
