from functools import cache
from math import inf
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.auditor import profiled
from archzoo.errors import BadOption
from archzoo.inference import fold_batch_norms
from archzoo.layers import Padding, SamePadding, glorot_uniform, sequence
from archzoo.models.xception import ConvNorm
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe
from archzoo.training._optimizer import build_optimizer
from archzoo.weights._libraries import names_in

MODULES = [f"block{number}" for number in range(2, 14)]


@cache
def build(**options: Any) -> Any:
    return archzoo.build("xception", device="meta", **options)


def drawn(module: nn.Module) -> Any:
    """A module with weights of any value, in evaluation mode and double precision."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


def test_all_modules_but_the_first_and_the_last_have_a_shortcut() -> None:
    """Sec. 3: 14 modules. The first has two convolutions, the last two separable ones."""
    parts = dict(build().features.named_children())
    assert list(parts) == ["conv1", "conv2", *MODULES, "sep1", "sep2"]
    assert 1 + len(MODULES) + 1 == 14
    identities = [name for name in MODULES if isinstance(parts[name].shortcut, nn.Identity)]
    assert identities == [f"block{number}" for number in range(5, 13)]


def test_every_separable_convolution_follows_a_relu_but_the_first_of_all_and_the_first_of_the_last_module() -> None:
    """Fig. 5. The maps that the first one reads are rectified; those that block 14 reads are a sum."""
    features = build().features
    orders = {name: " ".join(features.get_submodule(f"{name}.layers")._modules) for name in MODULES}
    pooled = "pad pool"
    assert orders["block2"] == f"sep1 relu2 sep2 {pooled}"
    assert {orders[name] for name in ("block3", "block4", "block13")} == {f"relu1 sep1 relu2 sep2 {pooled}"}
    assert {orders[f"block{number}"] for number in range(5, 13)} == {"relu1 sep1 relu2 sep2 relu3 sep3"}
    assert list(features.sep1._modules) == ["depthwise", "pointwise", "bn", "relu"]


def test_nothing_is_between_the_two_steps_of_a_separable_convolution() -> None:
    """Sec. 4.7: an activation there hurts. The batch normalization is behind both."""
    depthwise = [(name, part) for name, part in build().named_modules() if name.endswith(".depthwise")]
    assert len(depthwise) == 34
    for name, conv in depthwise:
        parent = list(build().get_submodule(name.removesuffix(".depthwise"))._modules)
        assert parent[:3] == ["depthwise", "pointwise", "bn"]
        assert conv.groups == conv.in_channels == conv.out_channels
        assert conv.bias is None


def test_a_shortcut_reads_the_maps_before_the_relu_and_nothing_follows_the_sum() -> None:
    conv_norm = ConvNorm("same", 1e-3)
    module = drawn(conv_norm.residual(6, conv_norm.relu_separable(6, (6, 6, 6)), 6))
    maps = torch.randn(2, 6, 7, 7, dtype=torch.double)
    before = maps.clone()
    out = module(maps)
    assert torch.equal(maps, before)
    assert torch.equal(out, module.layers(maps) + maps)
    assert torch.equal(module.layers(maps), module.layers(maps.relu()))
    assert out.min() < 0
    halving = drawn(conv_norm.residual(6, conv_norm.relu_separable(6, (8, 8)), 8))
    assert torch.equal(halving(maps), halving.layers(maps) + halving.shortcut(maps))
    assert not torch.allclose(halving.shortcut(maps), halving.shortcut(maps.relu()))


@pytest.mark.parametrize(
    ("padding", "side", "windows"),
    [
        ("same", 6, [(0, 3), (2, 5), (4, 6)]),
        ("symmetric", 6, [(0, 2), (1, 4), (3, 6)]),
        *((padding, 7, [(0, 2), (1, 4), (3, 6), (5, 7)]) for padding in ("same", "symmetric")),
    ],
)
def test_max_pooling_is_padded_as_tensorflow_does(padding: Padding, side: int, windows: list[tuple[int, int]]) -> None:
    """By hand: an even side needs one row more, which is behind the last; an odd one needs two, on both sides."""
    maps = -torch.rand(1, 2, side, side)  # zeros in the padding would be the largest
    expected = torch.empty(1, 2, len(windows), len(windows))
    for row, (top, bottom) in enumerate(windows):
        for column, (left, right) in enumerate(windows):
            expected[:, :, row, column] = maps[:, :, top:bottom, left:right].amax((2, 3))
    assert torch.equal(sequence(**ConvNorm(padding, 1e-3).pool())(maps), expected)


def test_only_the_pooling_of_block_3_meets_an_even_side() -> None:
    """147, 37 and 19 are odd, where both paddings are the same; 74 is even."""
    assert profiled("xception").sides() == (149, 147, 74, 37, 19, 10)
    padded = {name: part for name, part in build().named_modules() if isinstance(part, SamePadding)}
    assert list(padded) == [f"features.block{number}.layers.pad" for number in (2, 3, 4, 13)]
    assert {part.value for part in padded.values()} == {-inf}
    assert [padded[name].before_and_after(side) for name, side in zip(padded, (147, 74, 37, 19), strict=True)] == [
        (1, 1),
        (0, 1),
        (1, 1),
        (1, 1),
    ]
    assert not any(isinstance(part, SamePadding) for part in build(padding="symmetric").modules())


def test_batch_norms_have_the_epsilon_of_keras_and_convolutions_no_bias() -> None:
    net = build()
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {0.001}
    assert len(norms) == 2 + 34 + 4
    assert sum(parameter.dim() == 1 for parameter in net.parameters()) == 2 * len(norms) + 1
    assert {norm.eps for norm in build(bn_eps=1e-5).modules() if isinstance(norm, nn.BatchNorm2d)} == {1e-5}


def test_dropout_of_a_half_is_before_the_last_layer() -> None:
    """Sec. 4.3."""
    assert list(build().classifier._modules) == ["pool", "flatten", "drop", "fc"]
    assert build().classifier.drop.p == 0.5
    with pytest.raises(BadOption, match="drop must be at least 0 and less than 1, not 1"):
        build(drop=1.0)
    with pytest.raises(BadOption, match="bn_eps must be at least 0, not -1"):
        build(bn_eps=-1.0)


def test_depthwise_filters_start_in_the_bounds_of_keras() -> None:
    """Keras reads (3, 3, C, 1) as 9C inputs and 9 outputs of a kernel: sqrt(6 / (9C + 9))."""
    separable = sequence(**ConvNorm("same", 1e-3).separable(255, 8))
    glorot_uniform(separable.get_submodule("depthwise"))
    weight = separable.get_submodule("depthwise").weight
    assert isinstance(weight, Tensor)
    bound = (6 / (9 * 256)) ** 0.5
    assert 0.95 * bound < weight.abs().max() <= bound


def test_a_separable_convolution_folds_into_two_convolutions() -> None:
    module = drawn(sequence(**ConvNorm("same", 1e-3).separable(4, 6)))
    folded = fold_batch_norms(module)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    maps = torch.randn(1, 4, 5, 5, dtype=torch.double)
    torch.testing.assert_close(folded(maps), module(maps))


def test_cadenes_names_are_timms_but_for_the_classifier() -> None:
    """Its files of 2017 call it fc, and its network last_linear: pretrainedmodels/models/xception.py."""
    net = build(padding="symmetric", bn_eps=1e-5)
    cadene, timm = (names_in(source, "xception").of(net) for source in ("cadene", "timm"))
    assert cadene["classifier.fc.weight"] == "last_linear.weight"
    assert names_in("cadene", "xception").current("fc.bias") == "last_linear.bias"
    assert all(cadene[part] == timm[part] for part in cadene if not part.startswith("classifier."))


def test_the_rate_loses_six_percent_every_two_epochs_and_weights_decay_by_a_hundred_thousandth() -> None:
    """Sec. 4.2 and 4.3."""
    recipe = find_recipe("xception_imagenet")
    run = recipe.duration(TRAINING_IMAGES["imagenet"])
    epochs = [recipe.schedule.factor(epoch * run.per_epoch, run) for epoch in (0, 1, 2, 4)]
    assert epochs == pytest.approx([1, 1, 0.94, 0.94**2])
    assert (recipe.lr, recipe.weight_decay, recipe.optimizer.options["momentum"]) == (0.045, 1e-5, 0.9)
    net = build()
    decays = {
        id(p): group["weight_decay"] for group in build_optimizer(net, recipe).param_groups for p in group["params"]
    }
    assert all(decays[id(p)] == (1e-5 if p.dim() > 1 else 0) for p in net.parameters())
