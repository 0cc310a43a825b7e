from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.layers import Net, ResponseNorm
from archzoo.models.vgg import FROM_A, init_from
from archzoo.recipes import Dense, Resize
from archzoo.registry import recipes_of
from tests.networks import build


def small(name: str, **options: Any) -> Net:
    """A net with a smaller last layer: the rest is what it is."""
    net: Net = archzoo.build(name, num_classes=2, device="meta", **options)
    return net


def kernels(name: str) -> list[tuple[int, int, int]]:
    """(maps, kernel, padding) of each convolution, in order."""
    convs = [layer for layer in small(name).features.children() if isinstance(layer, nn.Conv2d)]
    assert all(conv.stride == (1, 1) and conv.bias is not None for conv in convs)
    return [(conv.out_channels, conv.kernel_size[0], int(conv.padding[0])) for conv in convs]


def test_net_c_has_1x1_convolutions_third_in_the_last_three_stages() -> None:
    ones = [
        name for name, layer in small("vgg_c").features.named_children() if getattr(layer, "kernel_size", 0) == (1, 1)
    ]
    assert ones == ["conv3_3", "conv4_3", "conv5_3"]
    assert all(padding == kernel // 2 for _, kernel, padding in kernels("vgg_c"))


@pytest.mark.parametrize("name", ["vgg_a", "vgg_b", "vgg_d", "vgg_e"])
def test_the_other_nets_have_3x3_only(name: str) -> None:
    assert {(kernel, padding) for _, kernel, padding in kernels(name)} == {(3, 1)}


def test_net_d_is_two_two_three_three_three() -> None:
    assert [maps for maps, _, _ in kernels("vgg_d")] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6


@pytest.mark.parametrize("name", archzoo.names("vgg_?"))
def test_maps_are_halved_five_times_by_2x2_pooling(name: str) -> None:
    assert archzoo.profile(small(name), (3, 224, 224)).sides() == (224, 112, 56, 28, 14, 7)
    pools = [layer for layer in small(name).features.children() if isinstance(layer, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(2, 2)] * 5


def test_a_relu_follows_every_convolution_and_the_norm_of_a_lrn_comes_after_the_first() -> None:
    parts = list(small("vgg_a_lrn").features._modules)
    assert parts[:5] == ["conv1_1", "relu1_1", "lrn1", "pool1", "conv2_1"]
    norms = [layer for layer in small("vgg_a_lrn").features.children() if isinstance(layer, ResponseNorm)]
    assert [repr(norm) for norm in norms] == [repr(ResponseNorm())]
    assert not [layer for layer in small("vgg_a").modules() if isinstance(layer, ResponseNorm)]


def test_batch_norm_is_an_option_between_convolution_and_relu() -> None:
    assert list(small("vgg_a", batch_norm=True).features._modules)[:4] == ["conv1_1", "bn1_1", "relu1_1", "pool1"]


def test_dropout_follows_the_first_two_linear_layers() -> None:
    classifier: Any = small("vgg_d").classifier
    assert list(classifier._modules) == ["flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"]
    assert (classifier.drop6.p, classifier.drop7.p) == (0.5, 0.5)


def test_three_3x3_layers_have_81_percent_fewer_weights_than_one_7x7_and_see_as_much() -> None:
    c = 4
    three = nn.Sequential(*(nn.Conv2d(c, c, 3, bias=False) for _ in range(3)))
    wide = nn.Conv2d(c, c, 7, bias=False)
    weights = [sum(parameter.numel() for parameter in net.parameters()) for net in (three, wide)]
    assert weights == [27 * c * c, 49 * c * c]
    assert round(100 * (weights[1] / weights[0] - 1)) == 81
    for depth, side in ((2, 5), (3, 7)):
        image = torch.randn(1, c, 15, 15, requires_grad=True)
        maps = nn.Sequential(*list(three)[:depth])(image)
        maps[0, 0, maps.shape[2] // 2, maps.shape[3] // 2].backward()
        assert image.grad is not None
        touched = image.grad.abs().sum((0, 1)).nonzero()
        assert (touched.amax(0) - touched.amin(0) + 1).tolist() == [side, side]


@pytest.mark.slow
def test_a_deeper_net_starts_from_a() -> None:
    a, b = (build(name, num_classes=2, init="gaussian") for name in ("vgg_a", "vgg_b"))
    before = {name: value.clone() for name, value in b.state_dict().items()}
    assert init_from(b, a) == list(FROM_A)
    after, source = b.state_dict(), a.state_dict()
    for name in after:
        layer = name.rpartition(".")[0]
        assert torch.equal(after[name], source[name] if layer in FROM_A else before[name])
    assert not torch.equal(after["features.conv1_1.weight"], before["features.conv1_1.weight"])
    weight = source["features.conv3_2.weight"]
    assert weight.std().item() == pytest.approx(0.1, rel=0.02)  # variance 10^-2, Sec. 3.1


def test_a_net_that_does_not_fit_gives_nothing_to_a_deeper_one() -> None:
    with pytest.raises(ValueError, match=r"classifier.fc8.weight is \(3, 4096\) in the other network and \(2, 4096\)"):
        init_from(small("vgg_b"), archzoo.build("vgg_a", num_classes=3, device="meta"))
    with pytest.raises(ValueError, match="features.conv1_1.weight is missing in the other network"):
        init_from(small("vgg_b"), archzoo.build("resnet20", device="meta"))


def test_a_and_b_are_trained_at_256_and_the_deeper_nets_in_three_stages() -> None:
    """Sec. 3.1 and Table 3: S = 256; from it S = 384, at 0.001; from that S from 256 to 512."""
    stages = {name: [recipe.name for recipe in recipes_of(name)] for name in archzoo.names("vgg*")}
    shallow = {"vgg", "vgg_a", "vgg_a_lrn", "vgg_b"}
    assert {name for name, recipes in stages.items() if recipes == ["vgg_imagenet"]} == shallow
    for name in ("vgg_c", "vgg_d", "vgg_e"):
        recipes = recipes_of(name)
        assert [recipe.augmentation[0] for recipe in recipes] == [Resize(256), Resize(384), Resize(256, 512)]
        assert [recipe.lr for recipe in recipes[:2]] == [0.01, 0.001]
        assert [recipe.protocol for recipe in recipes] == [Dense((256,)), Dense((384,)), Dense((256, 384, 512))]
        assert all("--weights" in recipe.source for recipe in recipes[1:])
