from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.auditor import profiled
from archzoo.comparison import compare
from archzoo.errors import BadOption
from archzoo.layers import SamePadding, variance_scaling
from archzoo.models.bn_inception import FIG_5, TENSORFLOW, Columns, ConvNormActivation
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe
from tests.networks import fewer_units

VARIANTS = pytest.mark.parametrize("name", ["bn_inception", "bn_inception_slim", "bn_inception_caffe"])


def build(name: str = "bn_inception", **options: Any) -> Any:
    return archzoo.build(name, device="meta", **options)


def numbers(module: nn.Module) -> int:
    """Parameters and statistics, without the counters of batches."""
    return sum(tensor.numel() for tensor in module.state_dict().values() if tensor.dim())


@VARIANTS
def test_batch_normalization_stands_before_each_activation(name: str) -> None:
    """Sec. 3.2 and 4.2. The release has none after its separable convolution, and Caffe's network has biases too."""
    net = build(name)
    layers = [module for module in net.features.modules() if not list(module.children())]
    convs = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    bare = [place for place in convs if not isinstance(layers[place + 1], nn.BatchNorm2d)]
    last = {"bn_inception": [1], "bn_inception_slim": [1, 2], "bn_inception_caffe": []}[name]  # depthwise, pointwise
    assert bare == last
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == {"bn_inception": 69, "bn_inception_slim": 68, "bn_inception_caffe": 69}[name]
    assert {norm.eps for norm in norms} == {1e-5 if name == "bn_inception_caffe" else 0.001}
    assert all((norm.weight is None) == (name == "bn_inception_slim") and norm.bias is not None for norm in norms)
    biased = {place for place in convs if layers[place].bias is not None}
    assert biased == {"bn_inception": set(), "bn_inception_slim": {2}, "bn_inception_caffe": set(convs)}[name]
    assert all(isinstance(relu, nn.ReLU) for norm, relu in pairwise(layers) if isinstance(norm, nn.BatchNorm2d))
    assert sum(isinstance(layer, nn.ReLU) for layer in layers) == 69


@pytest.fixture(scope="module")
def net() -> Any:
    return build()


def test_the_last_layers_of_3c_and_4e_have_stride_2_and_their_pooled_maps_pass_through(net: Any) -> None:
    strided = [name for name, layer in net.features.named_modules() if getattr(layer, "stride", 1) in (2, (2, 2))]
    modules = [f"inception_{m}.{b}" for m in ("3c", "4e") for b in ("3x3.conv", "double_3x3.conv2", "pool")]
    stem = ["conv1.pad", "conv1.depthwise", "pool1.pad", "pool1.max", "pool2.pad", "pool2.max"]
    inside = [f"{name}.{part}" for name in modules for part in ("pad", "max" if name.endswith("pool") else "conv")]
    assert strided == [*stem, *inside]
    for module in ("3c", "4e"):
        branches = net.features.get_submodule(f"inception_{module}")
        assert list(branches._modules) == ["3x3", "double_3x3", "pool"]


def test_all_other_modules_pool_by_average_but_the_last(net: Any) -> None:
    """The entries "avg" and "max" of Fig. 5."""
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "5a", "5b"):
        pool, proj = net.features.get_submodule(f"inception_{module}.pool")
        assert type(pool) is (nn.MaxPool2d if module == "5b" else nn.AvgPool2d)
        assert (pool.kernel_size, pool.stride, pool.padding) == (3, 1, 1)
        assert proj.conv.kernel_size == (1, 1)


def test_three_modules_read_maps_of_28x28() -> None:
    """Appendix: three where GoogLeNet has two. The others read 14x14, five of them, and 7x7."""
    profile = profiled("bn_inception")
    parts = [part for part in profile.modules if part.name.count(".") == 1 and part.name.startswith("features.")]
    sides = [before.output[-1] for before, part in pairwise(parts) if part.kind == "Inception" and before.output]
    assert sides == [28] * 3 + [14] * 5 + [7] * 2


def test_a_module_concatenates_its_branches_in_the_order_of_fig_5() -> None:
    module = ConvNormActivation(TENSORFLOW, nn.BatchNorm2d).module(4, Columns(1, 2, 3, 2, 5, "average", 7))
    module.apply(variance_scaling).eval()
    maps = torch.rand(2, 4, 6, 6)
    parts = module(maps).split([1, 3, 5, 7], dim=1)
    for part, name in zip(parts, ("1x1", "3x3", "double_3x3", "pool"), strict=True):
        assert torch.equal(part, module.get_submodule(name)(maps))


def test_convolutions_and_poolings_of_stride_2_pad_as_tensorflow_does(net: Any) -> None:
    """Of 224 pixels, a 7x7/2 window lacks 111 x 2 + 7 - 224 = 5: two before and three after. A 3x3/2 one lacks one."""
    pads = [module for module in net.modules() if isinstance(module, SamePadding)]
    assert [pad.before_and_after(side) for pad, side in zip(pads, (224, 112, 56, 28), strict=False)] == [
        (2, 3),
        *((0, 1),) * 3,
    ]
    assert len(pads) == 3 + 2 * 3
    assert [pad.value for pad in pads] == [0, *(float("-inf"),) * 2, *(0, 0, float("-inf")) * 2]


def test_tensorflows_mean_leaves_the_padding_out_and_caffes_counts_it(net: Any) -> None:
    ones = torch.ones(1, 1, 5, 5)
    caffe = build("bn_inception_caffe").features.inception_3a.pool.average
    assert torch.equal(net.features.inception_3a.pool.average(ones), ones)
    assert caffe(ones)[0, 0, 0, :2].tolist() == pytest.approx([4 / 9, 6 / 9])


def test_caffes_poolings_keep_incomplete_windows() -> None:
    features = build("bn_inception_caffe").features
    for pool in (features.pool1, features.pool2, features.inception_3c.pool, features.inception_4e.pool):
        assert (pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode) == (3, 2, 0, True)


def test_the_first_convolution_has_eight_maps_of_each_channel(net: Any) -> None:
    depthwise, pointwise = net.features.conv1.depthwise, net.features.conv1.pointwise
    assert (depthwise.in_channels, depthwise.out_channels, depthwise.groups) == (3, 24, 3)
    assert (depthwise.kernel_size, depthwise.stride, pointwise.kernel_size) == ((7, 7), (2, 2), (1, 1))
    assert build(in_channels=1).features.conv1.depthwise.out_channels == 8
    full = build(stem="full").features.conv1.conv
    assert (full.kernel_size, full.stride, full.groups, full.bias) == ((7, 7), (2, 2), 1, None)


def test_the_released_features_have_as_many_numbers_as_the_test_of_their_authors_counts() -> None:
    """inception_v2_test.py of TF-slim: variables of the model, means and variances among them."""
    assert numbers(build("bn_inception_slim").features) == 10_173_112


def test_the_projections_of_the_release_restore_the_printed_numbers_of_maps() -> None:
    maps = [profiled("bn_inception_slim").at(f"features.inception_{m}").output for m in ("4c", "4d", "4e")]
    assert maps == [(576, 14, 14), (576, 14, 14), (1024, 7, 7)]


def test_30_percent_is_of_networks_whose_first_layer_is_separable() -> None:
    """GoogLeNet's Table 1 counts 34 million for its first layer: 112^2 x 24 x (49 + 64)."""
    separable, full = 112**2 * 24 * (49 + 64), 112**2 * 64 * 147
    assert round(separable / 1e6) == 34
    googlenet = profiled("googlenet").macs
    assert profiled("bn_inception").macs / (googlenet - full + separable) == pytest.approx(1.300, abs=5e-4)
    assert profiled("bn_inception", stem="full").macs / googlenet == pytest.approx(1.284, abs=5e-4)


def test_the_quotients_of_steps_are_those_of_the_text() -> None:
    """Sec. 4.2.2: 31.0 million steps without normalization, and 2.1 and 6 million."""
    assert int(31.0 / 2.1) == 14
    assert round(31 / 6) == 5


def test_every_activation_of_the_sigmoid_variant_is_a_sigmoid() -> None:
    net = build(activation="sigmoid")
    assert sum(isinstance(module, nn.Sigmoid) for module in net.modules()) == 69
    assert not any(isinstance(module, nn.ReLU) for module in net.modules())


@pytest.mark.slow
def test_weights_start_as_in_the_released_code() -> None:
    """inception_v2.py: truncated at two deviations, whose own deviation is 0.88 of theirs."""
    torch.manual_seed(0)
    net: Any = archzoo.build("bn_inception_slim")
    stds = {
        "features.conv1.depthwise": 1.0,
        "features.conv2_reduce.conv": 0.1,
        "features.inception_5b.3x3.reduce.conv": 0.09,
        "features.inception_5b.double_3x3.reduce.conv": 0.09,
        "features.inception_5b.pool.proj.conv": 0.1,
        "features.inception_5b.1x1.conv": (1.3 * 2 / 1024) ** 0.5,
        "features.inception_5b.3x3.conv.conv": (1.3 * 2 / (9 * 192)) ** 0.5,
        "classifier.fc": (1.3 * 2 / 1024) ** 0.5,
    }
    for name, std in stds.items():
        weight: Tensor = net.get_submodule(name).weight
        assert weight.abs().max() <= 2 * std
        assert weight.std().item() == pytest.approx(0.8796 * std, rel=0.05), name
    assert not net.features.conv1.pointwise.bias.any()


@pytest.mark.parametrize(
    ("released", "text"),
    [
        ("bn_inception_slim", "features.conv1.pointwise: a convolution has no bias against one"),
        (
            "bn_inception_caffe",
            "padded by (2, 3, 2, 3) (left, right, top, bottom) before it against a padding of 3 of its own",
        ),
    ],
)
def test_a_comparison_names_what_others_have_otherwise(released: str, text: str) -> None:
    with fewer_units():
        comparison = compare(build(), build(released), (3, 32, 32))
    assert not comparison.equal
    assert text in str(comparison.difference)


def test_the_faster_variants_are_trained_as_the_paper_says() -> None:
    """Sec. 4.2: 5 and 30 times the rate, a sixth of the time between drops, a fifth of the weight decay."""
    base, x5, x30 = (find_recipe(f"bn_inception_{variant}") for variant in ("baseline", "x5", "x30"))
    assert (base.lr, x5.lr / base.lr, x30.lr / base.lr) == pytest.approx((0.0015, 5, 30))
    run = base.duration(TRAINING_IMAGES["imagenet"])
    for recipe, drop in ((base, 8 * run.per_epoch), (x5, 8 * run.per_epoch / 6), (x30, 8 * run.per_epoch / 6)):
        assert recipe.schedule.factor(int(drop) - 1, run) == 1
        assert recipe.schedule.factor(int(drop) + 1, run) == pytest.approx(0.96)
        assert (recipe.batch_size, recipe.optimizer.name) == (32, "sgd")
    assert base.weight_decay / x5.weight_decay == base.weight_decay / x30.weight_decay == pytest.approx(5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": 1.0}, "drop must be at least 0 and less than 1"),
        ({"stem": "half"}, "stem"),
        ({"activation": ""}, "act"),
    ],
)
def test_options_that_make_no_network_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        build(**options)


def test_the_table_is_fig_5() -> None:
    """The columns add up to what a module returns, with the pooled maps of the two that have no projection."""
    assert [columns.outputs(inputs) for columns, inputs in zip(FIG_5.values(), (192, 256, 320), strict=False)] == [
        256,
        320,
        576,
    ]
