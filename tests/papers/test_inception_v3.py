from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.auditor import profiled
from archzoo.comparison import compare
from archzoo.errors import BadOption, InputError
from archzoo.layers import Inception, InceptionLayers, InceptionLogits, variance_scaling, without_auxiliary
from archzoo.models.inception_v3 import MODULE_8
from archzoo.recipes import StepDecay
from archzoo.registry import find_recipe
from archzoo.training._losses import training_loss
from archzoo.training._optimizer import build_optimizer
from tests.networks import fewer_units

ALL = pytest.mark.parametrize("name", ["inception_v2", "inception_v3", "inception_v3_slim"])


def build(name: str = "inception_v3", **options: Any) -> Any:
    return archzoo.build(name, device="meta", **options)


def narrow(name: str = "inception_v3", **options: Any) -> Any:
    """With an eighth of the maps."""
    with fewer_units():
        return archzoo.build(name, **options)


def window(conv: nn.Conv2d) -> str:
    """Kernel and stride of a convolution, and V where it is not padded, as the authors write them."""
    height, width = conv.kernel_size
    stride = f"/{conv.stride[0]}" if conv.stride != (1, 1) else ""
    padded = conv.padding == (height // 2, width // 2)
    assert padded or conv.padding == (0, 0)
    return f"{height}x{width}{stride}{'' if padded else ' V'}"


def windows(part: nn.Module) -> str:
    return ", ".join(window(module) for module in part.modules() if isinstance(module, nn.Conv2d))


STEM = {
    "inception_v2": "3x3/2 V, 3x3 V, 3x3, 3x3 V, 3x3/2 V, 3x3",  # Table 1
    "inception_v3": "3x3/2 V, 3x3 V, 3x3, 1x1, 3x3 V",  # inception_v3.py of TF-slim
}


@pytest.mark.parametrize("name", STEM)
def test_the_first_layers_are_those_of_table_1_and_of_the_code(name: str) -> None:
    features = build(name).features
    stem = [part for part in features if isinstance(part, nn.Sequential) and not isinstance(part, Inception)]
    assert ", ".join(map(windows, stem)) == STEM[name]
    pools = {part: module for part, module in features.named_children() if isinstance(module, nn.MaxPool2d)}
    assert list(pools) == {"inception_v2": ["pool_3a"], "inception_v3": ["pool_3a", "pool_5a"]}[name]
    assert {(pool.kernel_size, pool.stride, pool.padding) for pool in pools.values()} == {(3, 2, 0)}


LONG = "1x1, 7x1, 1x7, 7x1, 1x7"
MODULES = {
    "35": {"1x1": "1x1", "5x5": "1x1, 5x5", "double_3x3": "1x1, 3x3, 3x3", "pool": "1x1"},  # inception_v3.py
    "6a": {"3x3": "3x3/2 V", "double_3x3": "1x1, 3x3, 3x3/2 V", "pool": ""},  # Fig. 10
    "17": {"1x1": "1x1", "7x7": "1x1, 1x7, 7x1", "double_7x7": LONG, "pool": "1x1"},  # Fig. 6
    "7a": {"3x3": "1x1, 3x3/2 V", "7x7": "1x1, 1x7, 7x1, 3x3/2 V", "pool": ""},
    "8": {"1x1": "1x1", "3x3": "1x1, 1x3, 3x1", "double_3x3": "1x1, 3x3, 1x3, 3x1", "pool": "1x1"},  # Fig. 7
}
KINDS = {"5": "35", "6": "17", "7": "8"}


@ALL
def test_the_modules_have_the_branches_of_the_figures(name: str) -> None:
    """Fig. 5 has two 3x3 where the released modules of 35x35 keep a 5x5, in another branch than the double 3x3."""
    modules = {n.removeprefix("mixed_"): m for n, m in build(name).features.named_children() if "mixed" in n}
    letters = "bcd abcdef abc" if name == "inception_v2" else "bcd abcde abc"
    stages = zip("567", letters.split(), strict=True)
    assert list(modules) == [f"{stage}{letter}" for stage, row in stages for letter in row]
    for place, module in modules.items():
        expected = dict(MODULES[place if place in ("6a", "7a") else KINDS[place[0]]])
        if name == "inception_v2" and "5x5" in expected:
            expected = {"1x1": "1x1", "3x3": "1x1, 3x3", "double_3x3": "1x1, 3x3, 3x3", "pool": "1x1"}
        assert {branch: windows(part) for branch, part in module.named_children()} == expected, place
        [pool] = [part for part in module.modules() if isinstance(part, nn.MaxPool2d | nn.AvgPool2d)]
        reduces = place in ("6a", "7a")
        assert isinstance(pool, nn.MaxPool2d) == reduces
        assert (pool.kernel_size, pool.stride, pool.padding) == ((3, 2, 0) if reduces else (3, 1, 1))


@ALL
def test_batch_normalization_and_a_relu_follow_every_convolution(name: str) -> None:
    net = build(name, auxiliary=True)
    layers = [module for module in net.modules() if not list(module.children())]
    convs = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    bare = [place for place in convs if isinstance(layers[place + 1], nn.ReLU)]
    assert len(bare) == (name == "inception_v2")  # the fully connected layer of its auxiliary classifier (Table 3)
    for place in convs:
        norm, relu = (nn.Identity(), layers[place + 1]) if place in bare else layers[place + 1 : place + 3]
        assert isinstance(relu, nn.ReLU)
        assert (layers[place].bias is not None) == (place in bare)
        if place not in bare:
            assert (type(norm), norm.eps, norm.weight is None) == (nn.BatchNorm2d, 0.001, name == "inception_v3_slim")


@torch.no_grad()
def test_two_convolutions_side_by_side_read_the_same_maps() -> None:
    """Fig. 7: outputs of 1x3 and 3x1, in this order."""
    module, maps = InceptionLayers().module(8, {"3x3": MODULE_8["3x3"]})
    assert maps == 768
    branch: Any = module.apply(variance_scaling).eval().get_submodule("3x3")
    first, pair = branch
    images = torch.rand(1, 8, 4, 4)
    left, right = module(images).split(384, dim=1)
    assert torch.equal(left, pair.get_submodule("1x3")(first(images)))
    assert torch.equal(right, pair.get_submodule("3x1")(first(images)))


@pytest.mark.parametrize("counted", [False, True])
def test_the_mean_of_a_pooling_counts_its_padding_where_torchvision_does(counted: bool) -> None:
    pools = [m for m in build(count_include_pad=counted).modules() if isinstance(m, nn.AvgPool2d)]
    assert len(pools) == 3 + 4 + 2
    corner = pools[0](torch.ones(1, 1, 5, 5))[0, 0, 0, 0].item()
    assert corner == pytest.approx(4 / 9 if counted else 1)


def test_the_released_features_have_as_many_numbers_as_the_test_of_their_authors_counts() -> None:
    """inception_v3_test.py of TF-slim: variables of the model, means and variances among them."""
    state = build("inception_v3_slim").features.state_dict()
    assert sum(tensor.numel() for tensor in state.values() if tensor.dim()) == 21_802_784


def test_42_layers_count_a_pair_of_1x7_and_7x1_once() -> None:
    """Sec. 6, without the classifier; a module of 17x17 has five layers one after another, and its twin one of four."""
    net = build("inception_v2")
    depth = {part: profiled("inception_v2").at(f"features.{part}").depth for part, _ in net.features.named_children()}
    pairs = dict.fromkeys((f"mixed_6{letter}" for letter in "bcdef"), 2) | {"mixed_7a": 1}
    assert sum(depth[part] - pairs.get(part, 0) for part in depth) == 42
    assert {depth[part] - pairs.get(part, 0) for part in depth if part.startswith("mixed")} == {3}


@pytest.mark.slow
def test_smaller_images_cost_as_much_where_the_first_layers_keep_their_size() -> None:
    """Sec. 9: 151 pixels with stride 1, 79 pixels without the first pooling too."""
    full = profiled("inception_v3").macs
    assert profiled("inception_v3", (3, 151, 151), resolution=151).macs == full
    assert profiled("inception_v3", (3, 79, 79), resolution=79).macs == pytest.approx(0.94 * full, rel=0.005)
    assert "pool_3a" not in build(resolution=79).features._modules


def macs(*layers: nn.Conv2d | nn.MaxPool2d) -> int:
    return archzoo.profile(nn.Sequential(*layers), (4, 18, 18)).macs


def test_factorized_convolutions_save_what_the_text_says() -> None:
    """Sec. 3, with as many maps behind as before, and maps that keep their size."""
    one, two, three, five = (nn.Conv2d(4, 4, side, padding="same") for side in (1, 2, 3, 5))
    pair = nn.Conv2d(4, 4, (3, 1), padding="same"), nn.Conv2d(4, 4, (1, 3), padding="same")
    assert macs(five) / macs(three) == pytest.approx(2.78, abs=0.005)
    assert 1 - macs(three, three) / macs(five) == pytest.approx(0.28)
    assert 1 - macs(*pair) / macs(three) == pytest.approx(0.33, abs=0.005)
    assert 1 - macs(two, two) / macs(three) == pytest.approx(0.11, abs=0.005)
    assert macs(one) * 9 == macs(three)


def test_a_convolution_behind_the_pooling_costs_a_quarter() -> None:
    """Sec. 5 says "by a quarter"."""
    conv, pool = nn.Conv2d(4, 8, 1), nn.MaxPool2d(2)
    assert macs(pool, conv) / macs(conv, pool) == 1 / 4


@pytest.mark.slow
def test_the_auxiliary_classifier_is_that_of_the_release() -> None:
    """5x5/3 average pooling, 128 maps, 768 of all 5x5, a linear layer: on the last maps of 17x17."""
    net = build(auxiliary=True)
    head = net.classifier.aux_6e
    assert (head.pool.kernel_size, head.pool.stride, head.pool.padding) == (5, 3, 0)
    assert windows(head) == "1x1, 5x5 V"
    params = sum(parameter.numel() for parameter in head.parameters())
    assert params == 768 * 128 + 2 * 128 + 25 * 128 * 768 + 2 * 768 + (768 + 1) * 1000
    seen: dict[str, Any] = {}
    net.features.mixed_6e.register_forward_hook(lambda _, __, out: seen.update(mixed=out))
    head.register_forward_hook(lambda _, maps, __: seen.update(read=maps[0]))
    net(torch.empty(2, 3, 299, 299, device="meta"))
    assert seen["read"] is seen["mixed"]
    assert head.pool(seen["read"]).shape == (2, 768, 5, 5)


@pytest.mark.slow
def test_the_auxiliary_classifier_runs_in_training_only() -> None:
    net, images = build(auxiliary=True, num_classes=7), torch.empty(2, 3, 299, 299, device="meta")
    logits = net(images)
    assert isinstance(logits, InceptionLogits)
    assert [tuple(output.shape) for output in logits] == [(2, 7)] * 2
    assert net.eval()(images).shape == (2, 7)
    plain = build(num_classes=7)
    cut = without_auxiliary(net)
    assert isinstance(cut.train()(images), Tensor)
    assert list(cut.state_dict()) == list(plain.state_dict())


@pytest.mark.slow
def test_images_that_are_too_small_for_it_are_refused_in_training() -> None:
    net, images = build(auxiliary=True), torch.empty(2, 3, 224, 224, device="meta")
    with pytest.raises(InputError, match="takes maps of 17x17 or more, not 12x12: train on larger images"):
        net(images)
    assert net.eval()(images).shape == (2, 1000)


@pytest.mark.slow
def test_one_step_of_training_reaches_every_parameter_and_the_auxiliary_loss_counts_two_fifths() -> None:
    net = narrow("inception_v2", auxiliary=True, num_classes=3)
    logits, labels = net(torch.randn(2, 3, 299, 299)), torch.tensor([0, 2])
    loss = training_loss(logits, labels, label_smoothing=0.1)
    main, auxiliary = (F.cross_entropy(output, labels, label_smoothing=0.1) for output in logits)
    torch.testing.assert_close(loss, main + 0.4 * auxiliary)
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())


def test_weights_start_as_in_the_released_code() -> None:
    """Truncated at two deviations, whose own deviation is 0.88 of theirs: 2 / fan-in, and less in the side head."""
    torch.manual_seed(0)
    net: Any = narrow(auxiliary=True)
    for name, std in {"conv2.conv": 0.01, "fc": 0.001}.items():
        weight: Tensor = net.classifier.aux_6e.get_submodule(name).weight
        assert weight.abs().max() <= 2 * std
        assert weight.std().item() == pytest.approx(0.8796 * std, rel=0.05)
    weight = net.features.conv_4a.conv.weight
    assert weight.std().item() == pytest.approx(0.8796 * (2.6 / (9 * 10)) ** 0.5, rel=0.05)


def test_a_field_of_the_released_network_by_hand() -> None:
    """After the first module: each 3x3 adds two positions, of 1, 2, 2 and 2 pixels, the poolings of 2 and 4, a 3x3 of
    4, and the 5x5 or both 3x3 of the module four of 8: 1 + 2 + 4 + 4 + 4 + 8 + 8 + 32."""
    field = profiled("inception_v3").at("features.mixed_5b").receptive_field
    assert field is not None
    assert field.size == (63, 63)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (("inception_v3", {}), ("inception_v3_slim", {}), "batch normalization"),
        (("inception_v3", {}), ("inception_v3", {"count_include_pad": True}), "count_include_pad"),
        (("inception_v2", {}), ("inception_v3", {}), "conv_3b"),
    ],
)
def test_a_comparison_names_what_differs(first: Any, second: Any, text: str) -> None:
    ours, other = (narrow(name, device="meta", **options) for name, options in (first, second))
    comparison = compare(ours, other, (3, 75, 75))
    assert not comparison.equal
    assert text in str(comparison.difference)


def test_the_recipe_is_that_of_section_8() -> None:
    recipe = find_recipe("inception_v3_imagenet")
    assert (recipe.lr, recipe.batch_size, recipe.epochs) == (0.045, 32, 100)
    assert (recipe.label_smoothing, recipe.grad_clip_norm) == (0.1, 2.0)
    assert recipe.schedule == StepDecay(2, gamma=0.94)
    assert (recipe.optimizer.options["alpha"], recipe.optimizer.options["eps"]) == (0.9, 1.0)
    assert recipe.ema > 0
    net = build("inception_v3_slim")
    decayed = {
        id(parameter)
        for group in build_optimizer(net, recipe).param_groups
        for parameter in group["params"]
        if group["weight_decay"]
    }
    assert decayed == {id(parameter) for parameter in net.parameters() if parameter.dim() > 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": -0.1}, "drop must be at least 0"),
        ({"resolution": 224}, "resolution"),
    ],
)
def test_options_that_make_no_network_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        build(**options)
