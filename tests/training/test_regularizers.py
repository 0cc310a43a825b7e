"""Each regularizer's expectation, and that names in the state dict stay."""

from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import RecipeError
from archzoo.recipes import DropConnect, Dropout, DropPath, FractionalMaxPooling, Regularizer
from archzoo.recipes._regularizers import REGULARIZERS
from archzoo.training._regularization import APPLY, limit_filters, regularize
from archzoo.training._stochastic_layers import DropConnectLinear, FractionalMaxPool2d, PathDropout
from tests.networks import EVERY_NET, fewer_units

DRAWS = 4000


def test_drop_connect_expects_the_layer_itself() -> None:
    layer = nn.Linear(6, 3)
    plain = layer.weight @ torch.arange(6.0) + layer.bias
    layer.__class__ = DropConnectLinear
    layer.p = 0.25  # type: ignore[assignment]
    outputs = torch.stack([layer(torch.arange(6.0)) for _ in range(DRAWS)]).detach()
    torch.testing.assert_close(outputs.mean(0), plain.detach(), atol=6 * outputs.std().item() / DRAWS**0.5, rtol=0)
    assert outputs.std(0).min() > 0.1
    torch.testing.assert_close(layer.eval()(torch.arange(6.0)), plain)


def test_drop_path_expects_the_branch_and_drops_whole_images() -> None:
    part, maps = PathDropout(0.3), torch.ones(DRAWS, 2, 2, 2)
    outputs = part(maps)
    sums = outputs.flatten(1).sum(1)
    kept = sums > 0
    torch.testing.assert_close(sums[kept], torch.full((int(kept.sum()),), 8 / 0.7))
    assert 0 < kept.sum() < DRAWS
    assert outputs.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(part.eval()(maps), maps)


def test_fractional_pooling_expects_the_mean_of_its_regions_and_keeps_the_size() -> None:
    """Maps that grow evenly: the larger of two neighbors, at places that are uniform."""
    pool = nn.MaxPool2d(2)
    part = FractionalMaxPool2d(pool)
    maps = torch.arange(9.0).expand(1, 1, 9, 9)
    assert part(maps).shape == pool(maps).shape == (1, 1, 4, 4)
    outputs = torch.stack([part(maps) for _ in range(500)])
    assert outputs.std(0)[..., 1:3].min() > 0.1
    assert (outputs[..., 0] >= 1).all()
    assert (outputs[..., 3] == 8).all()  # the last region is at the edge
    fixed = part.eval()
    assert torch.equal(fixed(maps), fixed(maps))


def test_a_second_training_of_a_network_regularizes_it_once() -> None:
    """As after the epochs of the classifier alone: dropout is not drawn twice, and pooling is still fractional."""
    net = archzoo.build("lenet5_textbook")
    net.features = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2, stride=1))
    first = regularize(net, [Dropout(0.5), FractionalMaxPooling()])
    assert regularize(net, [Dropout(0.25), FractionalMaxPooling()]) == first
    layer: Any = net.get_submodule(first[0])
    torch.manual_seed(0)
    seen: list[torch.Tensor] = []
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer.train()(torch.ones(1000, layer.in_features))
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert seen[0].max().item() == pytest.approx(1 / 0.75)
    assert [type(part) for part in net.features] == [FractionalMaxPool2d, nn.MaxPool2d]
    assert type(net.features[0].pool) is nn.MaxPool2d


def test_dropout_stands_before_the_last_linear_layer() -> None:
    net = archzoo.build("resnet20")
    names = list(net.state_dict())
    assert regularize(net, [Dropout(0.5)]) == ["classifier.fc"]
    seen: list[torch.Tensor] = []
    net.classifier.get_submodule("fc").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.train()(torch.randn(64, 3, 32, 32))
    assert 0.4 < (seen[0] == 0).float().mean() < 0.6
    net.eval()(torch.randn(4, 3, 32, 32))
    assert (seen[1] == 0).float().mean() < 0.1
    assert list(net.state_dict()) == names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "regularizer", "changed"),
    [
        ("resnet20", DropPath(0.9), 9),
        ("preact_resnet110", DropPath(0.5), 54),
        ("wide_resnet_16_4", DropPath(0.5), 6),
        ("alexnet_one_tower", DropConnect(0.5), 2),
        ("resnet20", DropConnect(0.5), 1),
        *([("vgg_a", FractionalMaxPooling(), 5)] if EVERY_NET else []),
        ("squeezenet1_0", FractionalMaxPooling(), 3),
    ],
)
def test_a_regularizer_changes_parts_and_no_names(name: str, regularizer: Regularizer, changed: int) -> None:
    entry = archzoo.find(name)
    torch.manual_seed(0)  # two draws of few branches can be the same
    with fewer_units():
        net = archzoo.build(name, num_classes=10)
    names, size = list(net.state_dict()), entry.input_size
    images = torch.randn(2, *size)
    before = net.eval()(images)
    assert len(regularize(net, [regularizer])) == changed
    assert list(net.state_dict()) == names
    after = net.eval()(images)
    assert after.shape == before.shape
    assert torch.equal(after, before) == (not isinstance(regularizer, FractionalMaxPooling))
    assert not torch.equal(net.train()(images), net.train()(images))


def test_drop_path_grows_linearly_with_depth() -> None:
    net = archzoo.build("resnet20")
    regularize(net, [DropPath(0.9)])
    rates = [part.p for part in net.modules() if isinstance(part, PathDropout)]
    assert rates == pytest.approx([0.1 * block for block in range(1, 10)])


@pytest.mark.parametrize(
    ("name", "regularizer", "message"),
    [
        ("plain20", DropPath(0.5), "for residual networks"),
        ("stochastic_depth_110", DropPath(0.5), "no stochastic depth of their own"),
        ("nin", DropConnect(0.5), "the network has none"),
        ("nin", Dropout(0.5), "the network has none"),
        ("resnet20", FractionalMaxPooling(), "this one has none"),
        ("resnet20", Regularizer(), r"a regularizer must be one of DropConnect, .*, not Regularizer\(\)"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, regularizer: Regularizer, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        regularize(archzoo.build(name, device="meta"), [regularizer])


def test_a_probability_out_of_range_is_refused_when_it_is_made() -> None:
    with pytest.raises(RecipeError, match="p of Dropout must be more than 0 and less than 1, not 1.5"):
        Dropout(1.5)


def test_every_regularizer_of_a_recipe_can_be_applied() -> None:
    assert set(APPLY) == set(REGULARIZERS)


def test_filters_above_the_limit_are_scaled_back_to_it() -> None:
    """ZFNet, Sec. 3.1: a root mean square of 0.1."""
    layer = nn.Conv2d(2, 3, 3)
    with torch.no_grad():
        layer.weight[0], layer.weight[1], layer.weight[2] = 0.05, 1.0, -3.0
    limit_filters(layer, 0.1)
    assert layer.weight[:, 0, 0, 0].tolist() == pytest.approx([0.05, 0.1, -0.1])


def test_label_smoothing_expects_what_it_says() -> None:
    """The loss is 0.9 of that of the label and 0.1 of the mean over all classes."""
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    smoothed = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    by_hand = 0.9 * nn.functional.cross_entropy(logits, labels) - 0.1 * logits.log_softmax(1).mean()
    torch.testing.assert_close(smoothed, by_hand)
