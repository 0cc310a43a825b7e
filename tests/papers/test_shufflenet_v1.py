from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import BadOption
from archzoo.layers import ChannelShuffle, ShuffleBranch, ShuffleDownUnit, ShuffleUnit
from archzoo.models.shufflenet_v1 import stage_width
from archzoo.recipes import RandomResizedCrop
from archzoo.registry import find_recipe, results


def build(name: str = "shufflenet_v1", **options: Any) -> Any:
    return archzoo.build(name, device="meta", **options)


def units(net: Any) -> list[Any]:
    return [unit for stage in (2, 3, 4) for unit in net.features.get_submodule(f"stage{stage}")]


def drawn(unit: Any) -> Any:
    """A unit with weights of any value, in evaluation mode."""
    for parameter in unit.parameters():
        nn.init.normal_(parameter)
    return unit.eval()


def test_a_shuffle_gives_each_group_maps_of_every_group() -> None:
    """Sec. 3.1: (g, n), transposed, flattened. Three groups of two maps."""
    maps = torch.arange(6.0).view(1, 6, 1, 1)
    assert ChannelShuffle(3)(maps).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_the_released_shuffle_is_the_inverse_one_behind_the_depthwise_convolution() -> None:
    """blocks.py: (n, g), swapped, which is a shuffle of n groups."""
    paper, released = (ShuffleBranch(3, shuffle)(24, 6, 24, stride=1) for shuffle in ("paper", "release"))
    assert list(paper._modules) == ["reduce", "shuffle", "depthwise", "expand"]
    assert list(released._modules) == ["reduce", "depthwise", "shuffle", "expand"]
    maps = torch.arange(6.0).view(1, 6, 1, 1)
    assert released.get_submodule("shuffle")(maps).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert torch.equal(released.get_submodule("shuffle")(paper.get_submodule("shuffle")(maps)), maps)


@pytest.mark.parametrize(("groups", "shuffle"), [(1, "paper"), (1, "release"), (3, "none")])
def test_one_group_has_no_shuffle_nor_have_the_rows_of_table_3(groups: int, shuffle: str) -> None:
    net = build(g=groups, shuffle=shuffle)
    assert not any(isinstance(module, ChannelShuffle) for module in net.modules())


def test_relu_follows_the_first_convolution_and_the_sum() -> None:
    """Fig. 2b: none after the depthwise convolution, and none before the sum."""
    unit = drawn(ShuffleUnit(24, ShuffleBranch(3, "paper")))
    branch = unit.branch
    assert list(branch.reduce._modules) == ["conv", "bn", "relu"]
    assert list(branch.depthwise._modules) == list(branch.expand._modules) == ["conv", "bn"]
    nn.init.zeros_(branch.expand.bn.weight)
    nn.init.zeros_(branch.expand.bn.bias)
    maps = torch.randn(1, 24, 5, 5)
    assert torch.equal(unit(maps.clone()), maps.relu())


def test_a_unit_of_stride_2_joins_the_pooled_maps_and_the_branch() -> None:
    """Fig. 2c: 3x3 average pooling of stride 2, with zeros of the border as in the release, and the missing maps."""
    unit = drawn(ShuffleDownUnit(12, 36, ShuffleBranch(3, "paper"), first=False))
    maps = torch.rand(1, 12, 6, 6)
    out = unit(maps.clone())
    assert out.shape == (1, 36, 3, 3)
    assert out[0, 5, 0, 0].item() == pytest.approx(maps[0, 5, :2, :2].sum().item() / 9)
    assert out[0, 5, 1, 1].item() == pytest.approx(maps[0, 5, 1:4, 1:4].mean().item())
    assert unit.branch.expand.conv.out_channels == 24
    assert out.min() >= 0


@pytest.mark.parametrize("groups", [2, 3, 4, 8])
def test_only_the_first_pointwise_convolution_of_stage_2_has_no_groups(groups: int) -> None:
    """Sec. 3.2: it reads 24 maps."""
    grouped = [(unit.branch.reduce.conv.groups, unit.branch.expand.conv.groups) for unit in units(build(g=groups))]
    assert grouped == [(1, groups), *[(groups, groups)] * 15]


def test_a_bottleneck_has_a_quarter_of_the_maps_and_the_depthwise_convolution_the_stride() -> None:
    net = build()
    widths = [240 // 4] * 4 + [480 // 4] * 8 + [960 // 4] * 4  # Table 1: 4, 8 and 4 units
    for unit, width in zip(units(net), widths, strict=True):
        depthwise = unit.branch.depthwise.conv
        assert depthwise.groups == depthwise.in_channels == width
        assert depthwise.stride == ((2, 2) if isinstance(unit, ShuffleDownUnit) else (1, 1))
        assert unit.branch.reduce.conv.stride == unit.branch.expand.conv.stride == (1, 1)
    assert [number for number, unit in enumerate(units(net)) if isinstance(unit, ShuffleDownUnit)] == [0, 4, 12]


RELEASED = {
    (3, 0.5): (12, 120),
    (3, 1.0): (24, 240),
    (3, 1.5): (24, 360),
    (3, 2.0): (48, 480),
    (8, 0.5): (16, 192),
    (8, 1.0): (24, 384),
    (8, 1.5): (24, 576),
    (8, 2.0): (48, 768),
}


@pytest.mark.parametrize(("groups", "width"), RELEASED)
def test_first_layer_and_stages_are_as_wide_as_in_the_released_code(groups: int, width: float) -> None:
    net = build(g=groups, width=width)
    stem, maps = RELEASED[groups, width]
    assert net.features.conv1.out_channels == stem
    assert [net.features.get_submodule(f"stage{n}.1.branch.expand.conv").out_channels for n in (2, 3, 4)] == [
        maps,
        2 * maps,
        4 * maps,
    ]
    assert net.classifier.fc.bias is None


@pytest.mark.parametrize(
    ("groups", "width", "maps"),
    [(4, 0.5, 144), (2, 0.5, 104), (4, 0.25, 80), (2, 0.25, 56), (8, 0.25, 96), (1, 0.25, 36)],
)
def test_half_of_table_1_is_rounded_up_to_what_bottlenecks_of_groups_divide(
    groups: int, width: float, maps: int
) -> None:
    """Sec. 4.2 prints 576 maps in stage 4 of 0.5x with 4 groups, four times 144; half of Table 1 is 136."""
    assert stage_width(groups, width) == maps
    assert maps % (4 * groups) == 0


def test_a_unit_costs_what_section_3_2_says() -> None:
    """h w (2 c m / g + 9 m)."""
    unit = ShuffleUnit(240, ShuffleBranch(3, "paper"))
    assert archzoo.profile(unit, (240, 14, 14)).macs == 14 * 14 * (2 * 240 * 60 // 3 + 9 * 60)


def test_layers_start_as_in_the_authors_code() -> None:
    features: Any = archzoo.build("shufflenet_v1_g3_x1_0").features
    assert features.conv1.weight.std().item() == pytest.approx(0.01, rel=0.1)
    branch = features.stage4[1].branch
    assert branch.reduce.conv.weight.std().item() == pytest.approx(1 / 320, rel=0.03)  # 960 maps in three groups
    assert branch.depthwise.conv.weight.std().item() == pytest.approx(1, rel=0.1)
    assert (branch.expand.bn.bias == 0.0001).all()


def test_the_recipes_are_the_papers_and_the_released_script() -> None:
    """Sec. 4: four GPUs, 1024 images, 300,000 iterations, from 0.5 to 0 in a line; train.py of ShuffleNetV1."""
    paper, released = find_recipe("shufflenet_v1_imagenet"), find_recipe("shufflenet_v1_release")
    for recipe in (paper, released):
        assert (recipe.batch_size, recipe.iterations, recipe.lr, recipe.weight_decay) == (1024, 300_000, 0.5, 4e-5)
        assert recipe.rates(1_281_167, 2) == pytest.approx([0.5, 0.5 / 300_000])
    assert (paper.label_smoothing, released.label_smoothing) == (0, 0.1)
    assert (paper.decay_scope, released.decay_scope) == ("all", "weights")
    assert released.augmentation[0] == RandomResizedCrop(scale=(0.08, 1.0))


def test_table_3_is_of_networks_without_a_shuffle_and_the_readme_of_the_released_one() -> None:
    by_shuffle: dict[str, list[str]] = {}
    for result in results("shufflenet_v1*"):
        by_shuffle.setdefault(result.options.get("shuffle", "paper"), []).append(result.where)
    assert set(by_shuffle["none"]) == {"Table 3"}
    assert set(by_shuffle["release"]) == {"README of the authors' code"}
    assert (len(by_shuffle["none"]), len(by_shuffle["release"])) == (6, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.75}, "width must be one of the paper's, not 0.75: 0.25, 0.5, 1.0, 1.5, 2.0"),
        ({"g": 5}, "g must"),
        ({"shuffle": "random"}, "shuffle"),
    ],
)
def test_options_that_make_no_network_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        build(**options)
