from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.layers import Net, ResponseNorm
from archzoo.models.alexnet import RoundUp
from archzoo.registry import find_recipe

TOWERS = ("alexnet_cuda_convnet2", "alexnet_one_tower")


def build(name: str) -> Net:
    net: Net = archzoo.build(name, device="meta")
    return net


def kernels(net: Net) -> list[tuple[int, ...]]:
    """(number, height, width, depth) of the kernels of each convolution, as Sec. 3.5 lists them."""
    convs = [layer for layer in net.features.children() if isinstance(layer, nn.Conv2d)]
    return [(conv.out_channels, *conv.kernel_size, conv.in_channels // conv.groups) for conv in convs]


def test_the_kernels_are_those_of_section_3_5() -> None:
    assert kernels(build("alexnet")) == [
        (96, 11, 11, 3),
        (256, 5, 5, 48),
        (384, 3, 3, 256),
        (384, 3, 3, 192),
        (256, 3, 3, 192),
    ]


@pytest.mark.parametrize("name", TOWERS)
def test_the_one_tower_has_256_kernels_in_conv4_and_no_groups(name: str) -> None:
    net = build(name)
    assert [kernel[0] for kernel in kernels(net)] == [64, 192, 384, 256, 256]
    assert {layer.groups for layer in net.modules() if isinstance(layer, nn.Conv2d)} == {1}


def test_conv2_conv4_and_conv5_read_one_tower_and_conv3_both() -> None:
    groups = {name: layer.groups for name, layer in build("alexnet").features.named_children() if name[:4] == "conv"}
    assert groups == {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2, "conv5": 2}


def test_the_order_is_convolution_relu_normalization_pooling() -> None:
    parts = list(build("alexnet").features._modules)
    assert parts[:9] == ["pad1", "conv1", "relu1", "lrn1", "pool1", "conv2", "relu2", "lrn2", "pool2"]
    assert parts[9:] == ["conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5"]


def test_normalization_follows_the_first_two_layers_with_the_printed_constants() -> None:
    norms = [layer for layer in build("alexnet").modules() if isinstance(layer, ResponseNorm)]
    assert [(norm.n, norm.alpha, norm.beta, norm.k) for norm in norms] == [(5, 1e-4, 0.75, 2)] * 2


def test_pooling_overlaps() -> None:
    pools = [layer for layer in build("alexnet").features.children() if isinstance(layer, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3


@pytest.mark.parametrize("side", [224, 227])
@pytest.mark.parametrize("name", ["alexnet", "alexnet_cuda_convnet2"])
def test_images_of_224_and_of_227_pixels_give_the_same_maps(name: str, side: int) -> None:
    assert archzoo.profile(build(name), (3, side, side)).sides() == (227, 55, 27, 13, 6)


def test_the_released_tower_normalizes_before_the_first_relu_and_after_the_second() -> None:
    # layers/layers-imagenet-1gpu.cfg of cuda-convnet2: conv1, rnorm1, pool1 with relu; conv2 with relu, rnorm2, pool2.
    parts = list(build("alexnet_cuda_convnet2").features._modules)
    assert parts[:9] == ["pad1", "conv1", "lrn1", "pool1", "relu1", "conv2", "relu2", "lrn2", "pool2"]
    assert parts[9:] == ["conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5"]


def test_the_released_tower_pads_no_image_and_normalizes_as_torch_does() -> None:
    # padding=0; size=5, scale=0.0001, pow=0.75, minDiv=2, and layer.py divides scale by size, as torch divides alpha.
    features = build("alexnet_cuda_convnet2").features
    assert features.get_submodule("conv1").padding == (0, 0)
    maps = 30 * torch.randn(2, 8, 3, 3)
    expected = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2)(maps)
    for name in ("lrn1", "lrn2"):
        torch.testing.assert_close(features.get_submodule(name)(maps), expected)


def test_caffes_replication_has_its_own_constants_and_rounds_up_at_the_end_alone() -> None:
    # models/bvlc_alexnet/deploy.prototxt: local_size 5, alpha 0.0001, beta 0.75; Caffe adds 1 and divides alpha by 5.
    net = build("alexnet_caffe")
    parts = [part for part in build("alexnet").features._modules if part != "pad1"]
    assert list(net.features._modules) == parts
    maps = 30 * torch.randn(2, 8, 3, 3)
    expected = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)(maps)
    for name in ("lrn1", "lrn2"):
        torch.testing.assert_close(net.features.get_submodule(name)(maps), expected)
    # Caffe's maps for 227 pixels; Caffe2's for 224, which its net rounds down until the last pooling.
    assert archzoo.profile(net, (3, 227, 227)).sides() == (55, 27, 13, 6)
    assert archzoo.profile(net, (3, 224, 224)).sides() == (54, 26, 12, 6)
    assert archzoo.profile(net, (3, 227, 227)).params == 60_965_224


@pytest.mark.slow
def test_caffes_replication_starts_with_biases_of_a_tenth_and_smaller_linear_weights() -> None:
    # models/bvlc_alexnet/train_val.prototxt.
    layers: dict[str, Any] = {
        name.split(".")[1]: layer
        for name, layer in archzoo.build("alexnet_caffe", num_classes=2).named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    tenths = [name for name, layer in layers.items() if torch.equal(layer.bias, torch.full_like(layer.bias, 0.1))]
    assert tenths == ["conv2", "conv4", "conv5", "fc6", "fc7"]
    assert all(not layer.bias.any() for name, layer in layers.items() if name not in tenths)
    deviations = {name: layer.weight.std().item() for name, layer in layers.items()}
    assert deviations == pytest.approx({name: 0.005 if name in ("fc6", "fc7") else 0.01 for name in layers}, rel=0.05)


def test_rounding_up_adds_zeros_to_the_right_and_below() -> None:
    maps = torch.ones(1, 1, 5, 7)
    padded = RoundUp(3, stride=2)(torch.ones(1, 1, 6, 8))
    assert padded.shape == (1, 1, 7, 9)
    assert not padded[..., -1, :].any()
    assert not padded[..., -1].any()
    assert padded[..., :6, :8].all()
    assert torch.equal(RoundUp(3, stride=2)(maps), maps)


@pytest.mark.slow
def test_biases_of_one_are_in_conv2_conv4_conv5_and_the_hidden_linear_layers() -> None:
    net = archzoo.build("alexnet", num_classes=2)
    biases = {name: value for name, value in net.named_parameters() if name.endswith("bias")}
    ones = [name.split(".")[1] for name, value in biases.items() if (value == 1).all()]
    zeros = [name.split(".")[1] for name, value in biases.items() if not value.any()]
    assert (ones, zeros) == (["conv2", "conv4", "conv5", "fc6", "fc7"], ["conv1", "conv3", "fc8"])
    weights = [value.std().item() for name, value in net.named_parameters() if name.endswith("weight")]
    assert weights == pytest.approx([0.01] * len(weights), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", TOWERS)
def test_the_one_tower_starts_wider_in_conv3_conv4_and_conv5(name: str) -> None:
    net = archzoo.build(name, num_classes=10)
    deviations = [layer.weight.std().item() for layer in net.features.children() if isinstance(layer, nn.Conv2d)]
    assert deviations == pytest.approx([0.01, 0.01, 0.03, 0.03, 0.03], rel=0.05)


def test_dropout_is_on_the_first_two_linear_layers_after_them_as_released_and_before_them_in_torchvision() -> None:
    for name in ("alexnet", "alexnet_cuda_convnet2"):
        parts = ["flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"]
        assert list(build(name).classifier._modules) == parts
    assert list(build("alexnet_one_tower").classifier._modules) == [
        *("pool", "flatten", "drop6", "fc6", "relu6", "drop7", "fc7", "relu7", "fc8")
    ]


@pytest.mark.parametrize("name", ["alexnet", *TOWERS])
def test_dropout_drops_a_half(name: str) -> None:
    assert [layer.p for layer in build(name).modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize("name", TOWERS)
def test_the_one_tower_has_the_parameters_of_the_public_weights(name: str) -> None:
    # The sheet of the public model prints this number.
    assert archzoo.profile(build(name), (3, 224, 224)).params == 61_100_840


@pytest.mark.parametrize(
    ("name", "bias_rate"),
    [
        ("alexnet", 0.01),  # "an equal learning rate for all layers" (Sec. 5)
        ("alexnet_cuda_convnet2", 0.02),  # epsB at the start
        ("alexnet_one_tower", 0.02),
    ],
)
def test_biases_are_never_decayed(name: str, bias_rate: float) -> None:
    # layer.cu of the released code passes a decay of 0 for biases, whatever the parameters say.
    recipe = find_recipe(name)
    assert [(group.pattern, group.decay_mult) for group in recipe.groups] == [("*.bias", 0)]
    assert [group.lr_mult * recipe.lr for group in recipe.groups] == pytest.approx([bias_rate])


def test_the_rate_falls_at_the_epochs_of_the_released_log() -> None:
    # The end of layers/layer-params-145.cfg, whose errors of 0.406640 and 0.182100 are those of Table 2.
    recipe = find_recipe("alexnet")
    run = recipe.duration(1_281_167)
    rates = {
        epoch: recipe.lr * recipe.schedule.factor(epoch * run.per_epoch, run) for epoch in (24, 25, 50, 51, 78, 79)
    }
    assert rates == pytest.approx({24: 0.01, 25: 1e-3, 50: 1e-3, 51: 1e-4, 78: 1e-4, 79: 1e-5})
