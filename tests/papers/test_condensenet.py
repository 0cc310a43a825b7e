"""Learned groups, their conversion, and what no count shows of the networks."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import BadOption, RecipeError, WeightsError
from archzoo.inference import condense
from archzoo.layers import ChannelShuffle, LearnedGroupConv, Net, PrunableLinear, Select
from archzoo.recipes import TRAINING_IMAGES, GroupLasso
from archzoo.registry import find_recipe, recipes_of, results
from archzoo.training._condensing import stage_at
from archzoo.training._regularization import regularize

SMALL: dict[str, dict[str, Any]] = {
    "condensenet_cifar": {"depth": 8, "k0": 4},
    "condensenet_light": {"depth": 10, "k": 4},
}


def training_form(name: str = "condensenet_cifar", **options: Any) -> Net:
    """A small network in double precision, with weights and statistics of anything."""
    torch.manual_seed(0)
    net = archzoo.build(name, form="training", **SMALL[name], **options).double().eval()
    for norm in (module for module in net.modules() if isinstance(module, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return net


def learned(net: nn.Module) -> Iterator[LearnedGroupConv]:
    return (module for module in net.modules() if isinstance(module, LearnedGroupConv))


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 16, 16, dtype=torch.double)


def by_hand() -> LearnedGroupConv:
    """Two groups of two filters, interleaved, of six inputs in three shares."""
    layer = LearnedGroupConv(6, 4, g=2, c=3)
    rows = [[1, 2, 3, 4, 5, 6], [6, -5, 4, 3, -2, 1], [1, 1, -1, 1, 1, 1], [0, 0, 0, 0, 0, 9]]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows).view(4, 6, 1, 1))
    return layer


def test_each_stage_masks_the_inputs_with_the_smallest_sums_in_each_group() -> None:
    """Group 0 has filters 0 and 2, with the sums 2, 3, 4, 5, 6, 7; group 1 filters 1 and 3: 6, 5, 4, 3, 2, 10."""
    layer = by_hand()
    layer.prune(1)
    assert layer.mask.flatten(1).tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 1, 0, 0, 1]] * 2
    with torch.no_grad():
        layer.weight[:, 0] = 100  # masked for group 0, which does not read it again
        layer.weight[0, 5] = layer.weight[2, 5] = 0
    layer.prune(2)
    assert layer.inputs_of_groups().tolist() == [[3, 4], [0, 5]]
    assert layer.stage() == 2
    layer.prune(1)  # a stage that is past
    assert layer.inputs_of_groups().tolist() == [[3, 4], [0, 5]]


def test_a_stage_is_read_off_the_mask_that_is_loaded() -> None:
    first, second = by_hand(), by_hand()
    first.prune(2)
    assert second.stage() == 0
    second.load_state_dict(first.state_dict())
    assert second.stage() == 2
    maps = torch.randn(1, 6, 2, 2)
    assert torch.equal(first(maps), second(maps))


def test_masked_inputs_are_not_read_by_their_group() -> None:
    layer = by_hand()
    layer.prune(1)
    maps = torch.randn(1, 6, 1, 1)
    changed = maps.clone()
    changed[:, 0] += 1  # masked for group 0
    difference = (layer(changed) - layer(maps)).flatten().abs() > 1e-6
    assert difference.tolist() == [False, True, False, False]  # filter 3 has no weight for it


@pytest.mark.parametrize(
    ("c", "starts"),
    [(4, {0: 0, 99: 0, 100: 1, 199: 1, 200: 2, 299: 2, 300: 3, 599: 3}), (8, {0: 0, 42: 0, 43: 1, 299: 6, 300: 7})],
)
def test_stages_are_of_equal_length_in_the_first_half_of_the_run(c: int, starts: dict[int, int]) -> None:
    """600 iterations: C - 1 stages of 600 / (2 (C - 1))."""
    assert {iteration: stage_at(iteration, 600, c) for iteration in starts} == starts


def test_the_group_lasso_adds_the_gradient_of_the_sum_of_norms() -> None:
    """Sec. 3.1, as autograd has it. The released code leaves sums of squares below 1e-6, and ends at the last stage."""
    layer = by_hand()
    layer.lasso = 0.1
    layer.prune(1)
    with torch.no_grad():
        layer.weight[:, 5] = 1e-4
    weight = layer.weight.detach().clone().requires_grad_()
    norms = (weight * layer.mask).view(2, 2, 6).square().sum(0).clamp(min=1e-6).sqrt()
    (0.1 * norms.sum()).backward()
    layer.weight.grad = torch.ones_like(layer.weight)
    layer.add_lasso_gradient()
    torch.testing.assert_close(layer.weight.grad - 1, weight.grad)
    assert layer.weight.grad[0, 0] == layer.weight.grad[0, 5] == 1
    layer.prune(2)
    layer.weight.grad = torch.ones_like(layer.weight)
    layer.add_lasso_gradient()
    assert (layer.weight.grad == 1).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("condensenet_cifar", {}),
        ("condensenet_cifar", {"g": 2}),  # fewer groups than shares: some inputs are read by none
        ("condensenet_cifar", {"c": 2, "drop": 0.2}),
        ("condensenet_light", {}),
    ],
)
def test_the_converted_network_computes_what_the_trained_one_does(name: str, options: dict[str, Any]) -> None:
    net, batch = training_form(name, **options), images()
    for layer in learned(net):
        layer.prune(layer.c - 1)
    converted = condense(net)
    built = archzoo.build(converted.name, device="meta", **converted.options)
    with torch.no_grad():
        torch.testing.assert_close(converted(batch), net(batch), rtol=1e-9, atol=1e-9)
    expected = {part: tensor.shape for part, tensor in built.state_dict().items()}
    assert {part: tensor.shape for part, tensor in converted.state_dict().items()} == expected
    assert str(converted) == str(built.eval())
    assert len(list(learned(net))) > 2  # the network itself is as it was


def test_conversion_keeps_the_half_of_the_features_with_the_largest_weights() -> None:
    """Released code; the bias stays."""
    net, batch = training_form(classifier_share=0.5), images()
    fc = net.get_submodule("classifier.fc")
    assert isinstance(fc, PrunableLinear)
    sums = fc.weight.abs().sum(0)
    converted = condense(net, prune=True)
    kept = converted.get_buffer("classifier.select.index")
    assert len(kept) == fc.in_features // 2
    dropped = torch.ones(fc.in_features, dtype=torch.bool).index_fill(0, kept, False)
    assert sums[kept].min() >= sums[dropped].max()
    with torch.no_grad():
        for layer in learned(net):
            layer.prune(layer.c - 1)
        fc.weight[:, dropped] = 0
        torch.testing.assert_close(converted(batch), net(batch), rtol=1e-9, atol=1e-9)


def test_a_classifier_of_other_classes_reads_all_features_after_conversion() -> None:
    net = training_form(classifier_share=0.5)
    net.reset_classifier(3)
    converted = condense(net, prune=True)
    built = archzoo.build(converted.name, device="meta", **converted.options)
    expected = {part: tensor.shape for part, tensor in built.state_dict().items()}
    assert {part: tensor.shape for part, tensor in converted.state_dict().items()} == expected


def test_conversion_keeps_modes_and_refuses_what_it_cannot_convert() -> None:
    net = training_form()
    with pytest.raises(BadOption, match=r"read 4 of 4 shares of its inputs, and 1 in the end: .*prune=True"):
        condense(net)
    assert not any(part.training for part in condense(net, prune=True).modules())
    assert all(part.training for part in condense(net.train(), prune=True).modules())
    with pytest.raises(BadOption, match="no learned group convolutions: build it with form='training'"):
        condense(archzoo.build("condensenet_cifar", depth=8))


@pytest.mark.parametrize(
    "layers",
    [
        [nn.ReLU()],
        [nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)],  # as many maps, and not those of the batch norm
        [nn.BatchNorm2d(8), ChannelShuffle(2), nn.ReLU()],
    ],
    ids=["none", "maps mixed", "maps moved"],
)
def test_learned_groups_that_no_batch_norm_precedes_are_not_left_unconverted(layers: list[nn.Module]) -> None:
    net = Net(nn.Sequential(*layers, LearnedGroupConv(8, 8, 2, 2)), nn.Flatten())
    with pytest.raises(
        BadOption, match=rf"features\.{len(layers)} must stand behind a batch norm in an nn\.Sequential"
    ):
        condense(net, prune=True)


@pytest.mark.parametrize(
    "given", [None, "condensenet", nn.Linear(3, 4), Net, {}], ids=lambda given: type(given).__name__
)
def test_what_is_no_network_is_not_converted(given: Any) -> None:
    with pytest.raises(BadOption, match=f"a network such as archzoo.build returns, not {type(given).__name__}$"):
        condense(given)


def test_a_network_without_values_is_not_converted() -> None:
    net = archzoo.build("condensenet_cifar", depth=8, form="training", device="meta")
    with pytest.raises(BadOption, match="no values: it was built on the meta device"):
        condense(net, prune=True)


# By filters of a group, groups, and inputs: what a damaged or foreign file may hold in the place of a mask.
MASKS: dict[str, Callable[[Tensor], Any]] = {
    "halves": lambda mask: mask.mul_(0.5),
    "zeros": lambda mask: mask.zero_(),
    "no numbers": lambda mask: mask.fill_(float("nan")),
    "a filter that reads more than its group": lambda mask: mask[0, 0].fill_(1),
    "a group that reads more than others": lambda mask: mask[:, -1].fill_(1),
    "a part of a share": lambda mask: mask[:, :, mask[0].sum(0).argmax()].fill_(0),
}


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_that_no_training_leaves_is_not_converted(kind: str, prune: bool) -> None:
    """The converted layer could not compute what this one does."""
    net = training_form()
    for layer in learned(net):
        layer.prune(3)
    assert condense(net)
    layer = next(learned(net))
    MASKS[kind](layer.mask.view(-1, layer.g, layer.in_channels))
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(BadOption, match="the mask of conv1 is none that training leaves"):
        condense(net, prune=prune)


@pytest.mark.parametrize("place", [-1, 8, 2**40])
def test_an_index_layer_refuses_places_that_there_are_not(place: int) -> None:
    layer = Select(torch.arange(4), 8)
    layer.load_state_dict({"index": torch.tensor([7, 0, 0, 1])})
    with pytest.raises(RuntimeError, match="index has places outside of the 8 inputs"):
        layer.load_state_dict({"index": torch.tensor([0, 1, place, 3])})
    assert layer.index.tolist() == [7, 0, 0, 1]


def test_a_file_with_places_that_there_are_not_is_refused(tmp_path: Path) -> None:
    """Running it would end in an error of torch's, and on a GPU in one of the device."""
    net, file = archzoo.build("condensenet_cifar", depth=8, k0=4), tmp_path / "net.pth"
    state = net.state_dict()
    name = next(name for name in state if name.endswith("index"))
    torch.save({**state, name: state[name] + 7}, file)  # of the eight maps of the first layer, 0 to 7
    with pytest.raises(WeightsError, match=rf"1 with places out of range: {re.escape(name)}, of 8 inputs$"):
        archzoo.build("condensenet_cifar", depth=8, k0=4, weights=file)


def test_a_stage_is_exact_in_types_of_few_digits() -> None:
    layer = LearnedGroupConv(2060, 4, g=2, c=4)
    nn.init.normal_(layer.weight)
    layer.prune(1)
    reduced = layer.bfloat16()
    reduced.load_state_dict(layer.state_dict())
    assert reduced.stage() == 1


def test_the_untrained_test_form_reads_one_share_of_the_inputs_after_another() -> None:
    net: Any = archzoo.build("condensenet_cifar", depth=8, g=2, c=4)
    assert net.features.denseblock1.denselayer1.select.index.tolist() == [*range(4), *range(4, 8)]
    net = archzoo.build("condensenet_cifar", depth=8, g=4, c=2)
    assert net.features.denseblock1.denselayer1.select.index.tolist() == [*range(16), *range(16)]


def test_the_order_of_a_layer_is_that_of_figure_1() -> None:
    """Index, BN-ReLU, 1x1 in groups, shuffle, BN-ReLU, 3x3 in groups; input first, then the new maps."""
    layer: Any = archzoo.build("condensenet_cifar", depth=8, drop=0.1).features.get_submodule("denseblock1.denselayer1")
    assert [name for name, _ in layer.named_children()] == (
        ["select", "bn1", "relu1", "drop1", "conv1", "shuffle", "bn2", "relu2", "conv2"]
    )
    assert isinstance(layer.select, Select)
    assert isinstance(layer.shuffle, ChannelShuffle)
    assert (layer.conv1.groups, layer.conv2.groups, layer.conv1.out_channels) == (4, 4, 32)
    maps = torch.randn(1, 16, 4, 4)
    out = layer.eval()(maps)
    assert out.shape == (1, 24, 4, 4)
    assert torch.equal(out[:, :16], maps)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("condensenet86", (16, [128, 352, 800])),  # 16 + 14 x 8, then 14 x 16 and 14 x 32 more
        ("condensenet50", (16, [80, 208, 464])),
        ("condensenet74_c4", (16, [48, 144, 400, 1040, 2064])),
        ("condensenet_light94", (32, [272, 376, 428])),  # 272 / 2 = 136, + 240; 376 / 2 = 188, + 240
    ],
)
def test_growth_rates_double_and_transitions_keep_all_maps_but_those_of_light(
    name: str, widths: tuple[int, list[int]]
) -> None:
    net = archzoo.build(name, device="meta")
    first, after = widths
    assert net.get_submodule("features.conv1").out_channels == first
    side = archzoo.find(name).input_size[1]
    maps = torch.empty(1, 3, side, side, device="meta")
    widths_of_blocks = []
    for part, module in net.features.named_children():
        maps = module(maps)
        if part.startswith("denseblock"):
            widths_of_blocks.append(maps.shape[1])
    assert widths_of_blocks == after
    in_transitions = [part for part in net.state_dict() if part.startswith("features.transition")]
    assert bool(in_transitions) == ("light" in name)


def test_the_first_convolution_has_neither_batch_norm_nor_pooling_behind_it() -> None:
    """Released code."""
    for name, stride in (("condensenet86", 1), ("condensenet74_c8", 2)):
        features: Any = archzoo.build(name, device="meta").features
        assert [part for part, _ in features.named_children()][:2] == ["conv1", "denseblock1"]
        assert features.conv1.stride == (stride, stride)


def test_the_classifier_reads_half_of_the_features_for_imagenet_and_all_of_them_for_cifar() -> None:
    large: Any = archzoo.build("condensenet74_c4", device="meta").classifier
    small: Any = archzoo.build("condensenet86", device="meta").classifier
    assert (large.fc.in_features, small.fc.in_features) == (2064 // 2, 800)
    assert not any(isinstance(module, Select) for module in small)


def test_weights_start_by_the_fan_out_of_all_groups() -> None:
    """Released code: sqrt(2 / (k k maps)), with grouped convolutions too."""
    torch.manual_seed(0)
    layer: Any = archzoo.build("condensenet_cifar", depth=8, k0=32).features.get_submodule("denseblock3.denselayer1")
    assert layer.conv1.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.05)
    assert layer.conv2.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.05)


def test_the_recipes_are_those_of_the_script() -> None:
    """script.sh; the rate falls along one cosine to 0, and is not restarted."""
    for data in ("cifar10", "cifar100"):
        for name, epochs in (("condensenet86", 300), ("condensenet182", 600), ("condensenet_light160", 600)):
            recipe = find_recipe(name, data)
            assert (recipe.batch_size, recipe.epochs, recipe.lr, recipe.weight_decay) == (64, epochs, 0.1, 1e-4)
            rates = recipe.rates(TRAINING_IMAGES[data], 3)
            assert rates == pytest.approx([0.1, 0.05, 0], rel=1e-4, abs=1e-9)
    recipe = find_recipe("condensenet74_c8")
    assert (recipe.batch_size, recipe.epochs, recipe.lr) == (256, 120, 0.1)


@pytest.mark.parametrize("name", ["condensenet50", "condensenet_light94", "condensenet74_c4"])
def test_the_recipes_train_the_training_form(name: str) -> None:
    assert all(result.options["form"] == "training" for result in results(name))
    for recipe in recipes_of(name):
        assert recipe.regularizers == (GroupLasso(1e-5),)
    net = archzoo.build(name, device="meta", form="training")
    assert regularize(net, recipe.regularizers)
    assert {layer.lasso for layer in learned(net)} == {1e-5}
    with pytest.raises(RecipeError, match="this one does not: build it with form='training'"):
        regularize(archzoo.build(name, device="meta"), recipe.regularizers)


def test_the_training_form_is_copied_and_pickled_with_its_masks() -> None:
    net = training_form()
    for layer in learned(net):
        layer.prune(2)
    other = copy.deepcopy(net)
    assert {layer.stage() for layer in learned(other)} == {2}
    with torch.no_grad():
        assert torch.equal(other(images(1) * 0 + 1), net(images(1) * 0 + 1))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("condensenet_cifar", {"depth": 84}, r"depth must be 6n \+ 2, not 84: 80 or 86"),
        ("condensenet_light", {"depth": 92}, r"depth must be 6n \+ 4, not 92: 88 or 94"),
        ("condensenet_cifar", {"g": 3}, "g = 3 must divide the maps of every layer, and one has 32"),
        ("condensenet_cifar", {"c": 5}, "c = 5 must divide the maps of every layer, and one has 16"),
        ("condensenet_cifar", {"k0": 2, "c": 2}, "g = 4 must divide the growth rate of every block, and one has 2"),
        ("condensenet_cifar", {"c": 0}, "c must be at least 1, not 0"),
        ("condensenet", {"classifier_share": 0.0}, "classifier_share must be more than 0 and at most 1"),
        ("condensenet_light", {"theta": 0.0}, "theta must be more than 0 and at most 1, not 0.0"),
        ("condensenet", {"form": "test time"}, "form"),
    ],
)
def test_options_that_make_no_network_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        archzoo.build(name, device="meta", **options)
