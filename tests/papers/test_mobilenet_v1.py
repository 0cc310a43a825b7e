from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.auditor import profiled
from archzoo.comparison import compare
from archzoo.errors import BadOption
from archzoo.layers import SamePadding
from archzoo.models.mobilenet_v1 import TABLE_1
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe, results
from archzoo.training._optimizer import build_optimizer


def build(name: str = "mobilenet_v1", **options: Any) -> Any:
    return archzoo.build(name, device="meta", **options)


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_batch_norm_and_an_activation_follow_both_convolutions(activation: str) -> None:
    """Fig. 3, right; the released code's arg scope has tf.nn.relu6, epsilon 0.001 and a scale."""
    kind = {"relu": nn.ReLU, "relu6": nn.ReLU6}[activation]
    net = build(activation=activation)
    for number in range(1, 14):
        block = net.features.get_submodule(f"block{number}")
        assert list(block._modules) == ["depthwise", "pointwise"]
        for part in block:
            *_, conv, bn, relu = part
            assert isinstance(conv, nn.Conv2d)
            assert (type(bn), type(relu)) == (nn.BatchNorm2d, kind)
            assert (conv.bias, bn.eps, bn.affine) == (None, 0.001, True)
        depthwise, pointwise = block.depthwise.conv, block.pointwise.conv
        assert depthwise.groups == depthwise.in_channels == depthwise.out_channels == pointwise.in_channels
        assert (depthwise.kernel_size, pointwise.kernel_size, pointwise.groups) == ((3, 3), (1, 1), 1)
    assert net.classifier.fc.bias is not None


def test_the_depthwise_convolution_has_the_stride_and_the_last_one_has_none() -> None:
    """Table 1 by its sizes, and the released code; the printed "s2" of the last row would end at 4x4."""
    net = build()
    blocks = [net.features.get_submodule(f"block{number}") for number in range(1, 14)]
    assert [block.depthwise.conv.stride[0] for block in blocks] == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    assert {block.pointwise.conv.stride for block in blocks} == {(1, 1)}
    assert profiled("mobilenet_v1").sides() == (112, 56, 28, 14, 7)
    assert profiled("mobilenet_v1", (3, 160, 160)).sides() == (80, 40, 20, 10, 5)


def test_only_convolutions_of_stride_2_pad_as_tensorflow_does() -> None:
    """At a stride of 1, its padding is one on every side too."""
    padded = [name for name, module in build().named_modules() if isinstance(module, SamePadding)]
    assert padded == [f"features.{name}.pad" for name in ("conv1", *(f"block{n}.depthwise" for n in (2, 4, 6, 12)))]
    assert not any(isinstance(module, SamePadding) for module in build(padding="symmetric").modules())


def test_a_feature_sees_315_pixels() -> None:
    """By hand: two pixels a stride of the maps for each 3x3: 3 + 4 + 4 + 8 + 8 + 16 + 16 + 5 x 32 + 32 + 64."""
    field = profiled("mobilenet_v1").at("features").receptive_field
    assert field is not None
    assert field.size == (315, 315)


@torch.no_grad()
def test_both_paddings_are_the_same_where_sides_are_odd() -> None:
    """65, 33, 17, 9, 5 and 3 pixels: two rows are missing at each stride, one above and one below."""
    same = archzoo.build("mobilenet_v1_x0_25").eval()
    symmetric = archzoo.build("mobilenet_v1_x0_25", padding="symmetric").eval()
    symmetric.load_state_dict(same.state_dict())
    odd, even = torch.randn(1, 3, 65, 65), torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(same(odd), symmetric(odd))
    assert (same(even) - symmetric(even)).norm() > 1e-3 * same(even).norm()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"padding": "symmetric"},
            "padded by (0, 1, 0, 1) (left, right, top, bottom) before it against a padding of 1 of its own",
        ),
        ({"activation": "relu6"}, "ReLU against ReLU6"),
        ({"bn_eps": 1e-5}, "eps 0.001 against 1e-05"),
    ],
)
def test_a_comparison_names_what_differs_from_the_paper(options: dict[str, Any], text: str) -> None:
    small: dict[str, Any] = {"width": 0.25, "shallow": True}
    comparison = compare(build(**small), build(**small, **options), (3, 32, 32))
    assert not comparison.equal
    assert text in str(comparison.difference)


@pytest.mark.parametrize(
    ("width", "first", "last"),
    [(1.0, 32, 1024), (0.75, 24, 768), (0.5, 16, 512), (0.25, 8, 256), (0.3, 9, 307), (0.1, 8, 102)],
)
def test_a_width_is_rounded_down_and_at_least_eight(width: float, first: int, last: int) -> None:
    """The released code: max(int(depth x multiplier), 8). 32 x 0.3 is 9.6, and 1024 x 0.3 is 307.2."""
    net = build(width=width)
    assert net.features.conv1.conv.out_channels == first
    assert net.classifier.fc.in_features == last


def test_the_shallow_network_lacks_the_five_blocks_of_14x14x512() -> None:
    net = build("mobilenet_v1_shallow")
    assert len(net.features) == 1 + 13 - 5
    widths = [block.pointwise.conv.out_channels for block in list(net.features)[1:]]
    assert widths == [64, 128, 128, 256, 256, 512, 1024, 1024]
    assert profiled("mobilenet_v1_shallow").sides() == (112, 56, 28, 14, 7)


def test_conv_mobilenet_has_one_convolution_of_all_maps_for_two() -> None:
    """Table 4: with the stride of the depthwise one."""
    net = build("conv_mobilenet")
    convs = [block.conv for block in net.features]
    assert [conv.stride[0] for conv in convs] == [2, *(stride for _, stride in TABLE_1)]
    assert [conv.out_channels for conv in convs] == [32, *(maps for maps, _ in TABLE_1)]
    assert {(conv.groups, conv.kernel_size) for conv in convs} == {(1, (3, 3))}


def test_a_separable_convolution_costs_between_8_and_9_times_less() -> None:
    """Sec. 3.1: 1 / (1 / N + 1 / 9). For the 64 maps of the first block it is 7.9, for 1024 it is 8.9."""
    separable, full = profiled("mobilenet_v1"), profiled("conv_mobilenet")
    for number, (maps, _) in enumerate(TABLE_1, 1):
        ratio = full.at(f"features.block{number}").macs / separable.at(f"features.block{number}").macs
        assert ratio == pytest.approx(1 / (1 / maps + 1 / 9))
        assert 7.8 < ratio < 9


def test_the_quotients_of_section_4_2_are_of_the_printed_numbers() -> None:
    """Table 9: 76 is cut off, and SqueezeNet's 1700 counts two operations for each multiply-add."""
    small = profiled("mobilenet_v1_x0_5", (3, 160, 160)).macs
    squeezenet, alexnet = profiled("squeezenet1_0").macs, profiled("alexnet").macs
    assert round(1700 / 76) == 22
    assert round(squeezenet / small) == 11
    assert int(10 * 720 / 76) / 10 == 9.4
    assert alexnet / small == pytest.approx(9.4, abs=0.1)


def test_weights_start_as_in_the_released_code() -> None:
    """A normal distribution of deviation 0.09, cut at two: its own deviation is 0.88 of that."""
    net: Any = archzoo.build("mobilenet_v1_x0_5")
    for name in ("features.block7.pointwise.conv", "features.block7.depthwise.conv", "classifier.fc"):
        weight: Tensor = net.get_submodule(name).weight
        assert weight.abs().max() <= 0.18
        assert weight.std().item() == pytest.approx(0.09 * 0.8796, rel=0.05)
    assert not net.classifier.fc.bias.any()


def test_the_recipe_of_the_release_is_its_script() -> None:
    """mobilenet_v1_train.py: int(1271167 / 64 x 2.5) iterations between drops; no weight decay of depthwise filters."""
    recipe = find_recipe("mobilenet_v1_slim")
    run = recipe.duration(TRAINING_IMAGES[recipe.data])
    assert int(1_271_167 / 64 * 2.5) == 49_654
    assert [recipe.schedule.factor(i, run) for i in (0, 49_653, 49_654, 2 * 49_654)] == pytest.approx(
        [1, 1, 0.94, 0.94**2]
    )
    assert recipe.optimizer.options["momentum"] == 0
    net = build("mobilenet_v1_x0_25")
    decays = {
        parameter: group["weight_decay"]
        for group in build_optimizer(net, recipe).param_groups
        for parameter in group["params"]
    }
    for name, parameter in net.named_parameters():
        decayed = parameter.dim() > 1 and ".depthwise." not in name
        assert decays[parameter] == (4e-5 if decayed else 0), name


def test_the_released_networks_have_errors_of_their_own_at_every_width_and_resolution() -> None:
    released = [result for result in results("mobilenet_v1_x*") if "mobilenet_v1.md" in result.where]
    assert len(released) == 2 * 4 * 4
    assert {result.options["activation"] for result in released} == {"relu6"}
    [error] = [
        r.error for r in released if r.name.endswith("0_25") and "128" in r.protocol and r.data.endswith("top-5")
    ]
    assert error == pytest.approx(100 - 66.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be more than 0, not 0"),
        ({"width": -1.0}, "width must be more than 0, not -1.0"),
        ({"bn_eps": -1e-3}, "bn_eps must be at least 0, not -0.001"),
        ({"drop": 1.0}, "drop must be at least 0 and less than 1, not 1.0"),
        ({"padding": "valid"}, "padding"),
    ],
)
@pytest.mark.parametrize("name", ["mobilenet_v1", "conv_mobilenet", "mobilenet_v2"])
def test_options_that_make_no_network_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        build(name, **options)
