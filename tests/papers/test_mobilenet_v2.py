from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.auditor import profiled
from archzoo.layers import SamePadding
from archzoo.models.mobilenet_v2 import TABLE_2, ConvNormActivation, make_divisible
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe
from archzoo.training._optimizer import build_optimizer


def build(name: str = "mobilenet_v2", **options: Any) -> Any:
    return archzoo.build(name, device="meta", **options)


def blocks(net: Any) -> list[Any]:
    return [net.features.get_submodule(f"block{number}") for number in range(1, 18)]


def drawn(block: Any) -> Any:
    """A block with weights of any value, in evaluation mode."""
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    return block.eval()


def test_relu6_follows_the_wide_convolutions_and_nothing_the_narrow_one() -> None:
    """Fig. 4d and Table 1: expansion and depthwise convolution with ReLU6, a linear projection."""
    for number, block in enumerate(blocks(build()), 1):
        names = ["depthwise", "project"] if number == 1 else ["expand", "depthwise", "project"]
        assert list(block.layers._modules) == names
        *wide, project = block.layers
        assert [type(part[-1]) for part in wide] == [nn.ReLU6] * len(wide)
        assert list(project._modules) == ["conv", "bn"]
    features = build().features
    assert (type(features.conv1.relu), type(features.conv2.relu)) == (nn.ReLU6, nn.ReLU6)


def test_a_bottleneck_returns_values_of_both_signs_beyond_six() -> None:
    block = drawn(ConvNormActivation("same", 1e-3).block(8, 8, 1, 6))
    nn.init.normal_(block.layers.project.conv.weight, std=10.0)
    out = block(torch.randn(2, 8, 9, 9))
    assert out.min() < 0
    assert out.max() > 6


def test_maps_are_added_where_their_number_and_size_stay() -> None:
    """Sec. 3.3: ten of the 17 blocks. No projection, and nothing after the sum."""
    adds = [block.shortcut for block in blocks(build())]
    assert [number for number, added in enumerate(adds, 1) if added] == [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]
    block = drawn(ConvNormActivation("same", 1e-3).block(8, 8, 1, 6))
    nn.init.zeros_(block.layers.project.bn.weight)
    nn.init.zeros_(block.layers.project.bn.bias)
    maps = -torch.rand(1, 8, 5, 5)
    assert torch.equal(block(maps), maps)


def test_table_2_has_17_bottlenecks_of_six_times_the_maps_that_they_read() -> None:
    """The text says 19. The first block does not expand."""
    net = build()
    assert sum(count for _, _, count, _ in TABLE_2) == len(blocks(net)) == 17
    assert len(net.features) == 1 + 17 + 1
    inputs = 32
    for number, block in enumerate(blocks(net), 1):
        depthwise, project = block.layers.depthwise.conv, block.layers.project.conv
        assert depthwise.groups == depthwise.in_channels == (inputs if number == 1 else 6 * inputs)
        inputs = project.out_channels
    strides = [block.layers.depthwise.conv.stride[0] for block in blocks(net)]
    assert [number for number, stride in enumerate(strides, 1) if stride == 2] == [2, 4, 7, 14]


@pytest.mark.parametrize(
    ("maps", "divisible"),
    [
        *((32 * 0.35, 16), (24 * 0.35, 8), (16 * 0.35, 8), (64 * 0.35, 24), (160 * 0.35, 56), (320 * 0.35, 112)),
        *((32 * 1.4, 48), (16 * 1.4, 24), (96 * 1.4, 136), (1280 * 1.4, 1792), (1280 * 1.3, 1664), (3, 8), (12, 16)),
    ],
)
def test_maps_are_the_nearest_multiple_of_eight_but_not_below_nine_tenths(maps: float, divisible: int) -> None:
    """By hand: 11.2 is nearest to 8, which is less than 10.08, so it is 16. 22.4 is 24, and 44.8 is 48."""
    assert make_divisible(maps) == divisible


@pytest.mark.parametrize(("width", "last"), [(0.35, 1280), (0.5, 1280), (1.0, 1280), (1.3, 1664), (1.4, 1792)])
def test_the_last_convolution_is_never_narrower_than_1280_maps(width: float, last: int) -> None:
    """Sec. 4."""
    net = build(width=width)
    assert net.features.conv2.conv.out_channels == net.classifier.fc.in_features == last


@pytest.mark.parametrize(("stride", "outputs"), [(1, 24), (1, 32), (2, 32)])
def test_a_block_costs_what_section_3_3_says(stride: int, outputs: int) -> None:
    """h w d t (d + k^2 + d') at a stride of 1; at one of 2, all but the expansion has a quarter of the positions."""
    block = ConvNormActivation("same", 1e-3).block(24, outputs, stride, 6)
    after = (14 // stride) ** 2
    expected = 14 * 14 * 24 * 6 * 24 + after * 24 * 6 * (3**2 + outputs)
    assert archzoo.profile(block, (24, 14, 14)).macs == expected
    if stride == 1:
        assert expected == 14 * 14 * 24 * 6 * (24 + 3**2 + outputs)


def test_tensorflows_padding_is_at_the_five_strides() -> None:
    padded = [name for name, module in build().named_modules() if isinstance(module, SamePadding)]
    inner = [f"features.block{number}.layers.depthwise.pad" for number in (2, 4, 7, 14)]
    assert padded == ["features.conv1.pad", *inner]
    assert profiled("mobilenet_v2").sides() == (112, 56, 28, 14, 7)


def test_a_feature_sees_491_pixels() -> None:
    """By hand: 3 + 4 + 4 + 8 + 8 + 2 x 16 + 16 + 6 x 32 + 32 + 3 x 64, two pixels a stride of the maps for each 3x3."""
    field = profiled("mobilenet_v2").at("features").receptive_field
    assert field is not None
    assert field.size == (491, 491)


def test_dropout_is_before_the_last_layer() -> None:
    """mobilenet.py: a share of 0.8 is kept."""
    assert [name for name, _ in build().classifier.named_children()] == ["pool", "flatten", "drop", "fc"]
    assert build().classifier.drop.p == 0.2
    assert build(drop=0.5).classifier.drop.p == 0.5


def test_the_recipe_of_the_release_is_its_readme_for_eight_gpus() -> None:
    """The decay is every 2.5 / 8 epochs of one clone's 96 images: int(1281167 / 96 x 2.5 / 8) iterations."""
    recipe = find_recipe("mobilenet_v2_slim")
    assert (recipe.batch_size, recipe.lr) == (8 * 96, 8 * 0.045)
    assert int(TRAINING_IMAGES["imagenet"] / 96 * 2.5 / 8) == 4_170
    run = recipe.duration(TRAINING_IMAGES["imagenet"])
    assert [recipe.schedule.factor(i, run) for i in (4_169, 4_170)] == pytest.approx([1, 0.98])
    assert (recipe.label_smoothing, recipe.ema, recipe.optimizer.options["eps"]) == (0.1, 0.9999, 1.0)
    net = build("mobilenet_v2_x0_35")
    decays = {
        id(p): group["weight_decay"] for group in build_optimizer(net, recipe).param_groups for p in group["params"]
    }
    for name, parameter in net.named_parameters():
        assert decays[id(parameter)] == (4e-5 if parameter.dim() > 1 and ".depthwise." not in name else 0), name
