import inspect
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.layers import Net, Padded, Residual
from archzoo.recipes import FB_RESNET_TORCH_AUGMENTATION, IMAGENET_NORMALIZATION
from archzoo.registry import all_claims, find_recipe


def build(name: str, **options: Any) -> Net:
    net: Net = archzoo.build(name, device="meta", **options)
    return net


def blocks(net: Net) -> list[Residual]:
    return [module for module in net.modules() if isinstance(module, Residual)]


def strides(block: Residual) -> list[int]:
    return [layer.stride[0] for layer in block.layers if isinstance(layer, nn.Conv2d)]


def test_a_bottleneck_strides_in_its_first_1x1_as_published() -> None:
    assert [strides(block) for block in blocks(build("resnet50")) if max(strides(block)) > 1] == [[2, 1, 1]] * 3


def test_v1_5_strides_in_the_3x3() -> None:
    assert [strides(block) for block in blocks(build("resnet50_v1_5")) if max(strides(block)) > 1] == [[1, 2, 1]] * 3


@pytest.mark.parametrize(("name", "halvings"), [("resnet34", 3), ("plain34", 3), ("resnet20", 2), ("plain20", 2)])
def test_a_basic_block_strides_in_its_first_3x3(name: str, halvings: int) -> None:
    assert [strides(block) for block in blocks(build(name)) if max(strides(block)) > 1] == [[2, 1]] * halvings


@pytest.mark.parametrize(
    ("name", "option", "padded", "projected"),
    [
        ("resnet18", None, 3, 0),  # Table 2: option A
        ("resnet34", None, 3, 0),
        ("resnet34", "B", 0, 3),
        ("resnet34", "C", 0, 16),
        ("resnet50", None, 0, 4),  # Sec. 4.1: option B; the first stage widens without a stride
        ("resnet50", "A", 4, 0),
        ("resnet110", None, 2, 0),  # Sec. 4.2: option A everywhere
        ("resnet110", "B", 0, 2),
    ],
)
def test_shortcuts_are_those_of_the_option(name: str, option: str | None, padded: int, projected: int) -> None:
    shortcuts = [block.shortcut for block in blocks(build(name, **({"option": option} if option else {})))]
    assert sum(isinstance(shortcut, Padded) for shortcut in shortcuts) == padded
    assert sum(isinstance(shortcut, nn.Sequential) for shortcut in shortcuts) == projected
    assert sum(isinstance(shortcut, nn.Identity) for shortcut in shortcuts) == len(shortcuts) - padded - projected


def test_option_b_has_2752_parameters_more_on_cifar() -> None:
    # Two projections, 16 to 32 and 32 to 64 maps, each with scale and shift of its batch normalization.
    more = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert more == 2_752
    params = [archzoo.profile(build("resnet20", option=option), (3, 32, 32)).params for option in ("A", "B")]
    assert params[1] - params[0] == more


def test_the_order_is_convolution_norm_relu_and_a_relu_after_the_addition() -> None:
    assert list(blocks(build("resnet18"))[0].layers._modules) == ["conv1", "bn1", "relu1", "conv2", "bn2"]
    bottleneck = list(blocks(build("resnet50"))[0].layers._modules)
    assert bottleneck == ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3"]
    block = Residual(nn.Sequential(nn.Identity()), nn.Identity())
    maps = torch.tensor([-1.0, 2.0])
    assert block(maps).tolist() == [0.0, 4.0]
    assert maps.tolist() == [-1.0, 2.0]  # the in-place ReLU writes on the sum


def test_a_plain_block_has_no_shortcut_and_the_same_layers() -> None:
    assert all(block.shortcut is None for block in blocks(build("plain34")))
    plain, residual = (build(name).state_dict() for name in ("plain34", "resnet34"))
    assert [(name, value.shape) for name, value in plain.items()] == [
        (name, value.shape) for name, value in residual.items()
    ]


@pytest.mark.parametrize("name", ["resnet50", "resnet20", "plain18"])
def test_no_convolution_has_a_bias(name: str) -> None:
    assert all(layer.bias is None for layer in build(name).modules() if isinstance(layer, nn.Conv2d))


def test_the_basic_block_and_the_bottleneck_of_fig_5_cost_about_the_same() -> None:
    basic = archzoo.profile(build("resnet34"), (3, 224, 224)).at("features.conv2_x.block2")
    bottleneck = archzoo.profile(build("resnet50"), (3, 224, 224)).at("features.conv2_x.block2")
    assert (basic.output, bottleneck.output) == ((64, 56, 56), (256, 56, 56))
    assert 0.9 < bottleneck.macs / basic.macs < 1.0


def test_weights_start_as_he_gaussian() -> None:
    net: Net = archzoo.build("resnet18")
    weight = blocks(net)[-1].get_parameter("layers.conv2.weight")
    assert weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert not layer.bias.any()
            assert (layer.eps, layer.momentum) == (1e-5, 0.1)


def test_claims_compare_the_networks_that_the_text_compares() -> None:
    """Abstract: 8x deeper than VGG. Sec. 4.1: a projection doubles time and model size. Sec. 4.2: plain nets."""
    claims = {(entry.name, claim.of, claim.printed, claim.where) for _, entry, claim in all_claims("*") if claim.of}
    assert ("resnet152", "depth", "8x", "Abstract") in claims
    assert {("resnet50", quantity, "doubled", "Sec. 4.1") for quantity in ("macs", "params")} <= claims
    assert ("plain20", "params", "exactly the same", "Sec. 4.2") in claims
    tabulated = {entry.name for _, entry, claim in all_claims("*") if claim.where == "Table 6"}
    assert not any(name.startswith("plain") for name in tabulated)


@pytest.mark.parametrize(("name", "printed"), [("plain34", "3.6"), ("resnet50", "3.8"), ("resnet152", "11.3")])
def test_the_billions_of_the_text_are_claims(name: str, printed: str) -> None:
    stated = [claim for _, _, claim in all_claims(name) if claim.printed == f"{printed} billion"]
    assert [claim.quantity for claim in stated] == ["macs"]


def test_the_first_pooling_differs_from_the_release_in_its_windows_alone() -> None:
    """prototxt/ResNet-50-deploy.prototxt: kernel_size 3, stride 2, no pad; Caffe keeps the last incomplete window."""
    pool = build("resnet50").features.get_submodule("pool1")
    released = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    assert isinstance(pool, nn.MaxPool2d)
    maps = torch.rand(1, 1, 112, 112)
    assert pool(maps).shape == released(maps).shape == (1, 1, 56, 56)
    assert not torch.equal(pool(maps), released(maps))
    assert "not padded" in str(inspect.getdoc(archzoo.find("resnet50").constructor))


def test_v1_5_is_trained_as_by_fb_resnet_torch() -> None:
    """opts.lua, train.lua and datasets/transforms.lua; the batch is TRAINING.md's."""
    for name in ("resnet_v1_5", "resnet50_v1_5", "resnet152_v1_5"):
        recipe = find_recipe(name)
        assert (recipe.lr, recipe.batch_size, recipe.epochs, recipe.weight_decay) == (0.1, 256, 90, 0.0001)
        assert recipe.optimizer.options == {"momentum": 0.9, "nesterov": True}
        assert recipe.decay_scope == "all"
        run = recipe.duration(1_281_167)
        rates = [recipe.lr * recipe.schedule.factor(epoch * run.per_epoch, run) for epoch in (29, 30, 60, 89)]
        assert rates == pytest.approx([0.1, 0.01, 0.001, 0.001])
        assert recipe.augmentation == FB_RESNET_TORCH_AUGMENTATION
        assert recipe.preprocessing == IMAGENET_NORMALIZATION


@pytest.mark.parametrize("name", ["resnet20", "resnet110", "resnet50", "plain18", "preact_resnet164"])
def test_weights_alone_decay(name: str) -> None:
    """README.md of fb.resnet.torch: in the paper, "just the weights" decay."""
    assert find_recipe(name).decay_scope == "weights"


def test_batch_norm_statistics_are_averages_after_training() -> None:
    """README.md of deep-residual-networks: "strictly computed using average ... after the training procedure"."""
    assert find_recipe("resnet50").batch_norm_images > 0


@pytest.mark.parametrize("name", ["resnet20", "resnet110", "resnet50", "preact_resnet164", "preact_resnet200", "vgg_d"])
def test_the_momentum_is_caffes(name: str) -> None:
    """README.md of deep-residual-networks: "v := momentum*v + lr*g"; the others ran in Caffe too."""
    assert find_recipe(name).optimizer.name == "caffe_sgd"
    assert find_recipe(name).optimizer.options == {"momentum": 0.9}
