from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo import registry
from archzoo.layers import Residual
from archzoo.models.wide_resnet import PreActivated
from archzoo.recipes import MultiStep, Rescale


def build(name: str, **options: Any) -> Any:
    return archzoo.build(name, device="meta", **options)


def blocks(net: nn.Module) -> list[Any]:
    return [module for module in net.modules() if isinstance(module, PreActivated)]


def convolutions(net: nn.Module) -> list[nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("name", ["wide_resnet_16_8", "wide_resnet_40_4", "wide_resnet_28_10"])
def test_the_depth_counts_the_first_convolution_and_three_projections(name: str) -> None:
    assert len(convolutions(build(name))) == archzoo.find(name).options["depth"]


@pytest.mark.parametrize(
    ("block", "depth", "group", "layers"),
    [
        ("B(1,3,1)", 40, 6, 58),  # Table 2: 40 and 22 are nominal for blocks of three
        ("B(3,1,1)", 40, 6, 58),
        ("B(3,1,3)", 22, 3, 31),
        ("B(3,1)", 40, 6, 40),
        ("B(1,3)", 40, 6, 40),
        ("B(3,3)", 28, 4, 28),
        ("B(3)", 40, 12, 40),  # Table 3: the same number of 3x3 convolutions for any l
        ("B(3,3)", 40, 6, 40),
        ("B(3,3,3)", 40, 4, 40),
        ("B(3,3,3,3)", 40, 3, 40),
    ],
)
def test_a_group_has_as_many_blocks_as_the_paper_says(block: str, depth: int, group: int, layers: int) -> None:
    net = build("wide_resnet", depth=depth, k=2, block=block)
    assert len(blocks(net)) == 3 * group
    assert len(convolutions(net)) == layers
    kernels = ",".join(str(layer.kernel_size[0]) for layer in convolutions(blocks(net)[-1].layers))
    assert f"B({kernels})" == block
    assert [layer.padding[0] for layer in convolutions(net)] == [
        layer.kernel_size[0] // 2 for layer in convolutions(net)
    ]


@pytest.mark.parametrize(
    ("block", "depth", "message"),
    [
        ("B(3,3)", 30, r"depth must be 6n \+ 4, not 30: 28 or 34"),
        ("B(1,3,1)", 57, r"depth must be 6n \+ 4, not 57: 52 or 58"),
        ("B(3)", 41, r"depth must be 3n \+ 4, not 41: 40 or 43"),
        ("B(3,3,3)", 28, r"depth must be 9n \+ 4, not 28: 22 or 31"),
        ("B(3,3,3,3)", 30, r"depth must be 12n \+ 4, not 30: 28 or 40"),
    ],
)
def test_another_depth_is_refused_with_the_nearest(block: str, depth: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("wide_resnet", depth=depth, block=block)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("wide_resnet", {"block": "B(3, 3)"}, r"block must be 'B\(3,3\)' or .*, not 'B\(3, 3\)'"),
        ("wide_resnet", {"k": 0}, "k must be at least 1, not 0"),
        ("wide_resnet", {"drop": 1.0}, "drop must be at least 0 and less than 1, not 1.0"),
        ("wide_resnet", {"block": "B(3)", "drop": 0.3}, r"drop must be 0 in B\(3\), not 0.3"),
        ("wide_resnet18", {"width": 0.5}, "width must be at least 1, not 0.5"),
    ],
)
def test_what_makes_no_wide_resnet_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, **options)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("WRN-28-10", "wide_resnet_28_10"),
        ("WRN-40-2-B(1,3,1)", "wide_resnet_40_2_b131"),
        ("WRN-40-2-B(3,3)", "wide_resnet_40_2"),
        ("WRN-50-2-bottleneck", "wide_resnet50_2"),
    ],
)
def test_the_papers_spellings_find_the_nets(spelling: str, name: str) -> None:
    assert archzoo.find(spelling).name == name


def test_the_order_is_norm_relu_convolution_with_dropout_between_convolutions() -> None:
    plain, dropped = (blocks(build("wide_resnet_16_4", drop=drop))[0] for drop in (0.0, 0.3))
    assert list(plain.bn_relu._modules) == ["bn1", "relu1"]
    assert list(plain.layers._modules) == ["conv1", "bn2", "relu2", "conv2"]
    assert list(dropped.layers._modules) == ["conv1", "bn2", "relu2", "drop2", "conv2"]


def test_every_two_convolutions_of_a_longer_block_have_dropout_between_them() -> None:
    net = build("wide_resnet_40_2_b333", drop=0.4)
    kinds = [type(layer).__name__ for layer in blocks(net)[0].layers]
    between = ["BatchNorm2d", "ReLU", "Dropout", "Conv2d"]
    assert kinds == ["Conv2d", *between, *between]
    assert {layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)} == {0.4}


def test_the_first_convolution_is_never_widened_and_the_last_maps_are_normalized_and_rectified() -> None:
    net = build("wide_resnet_28_10")
    assert list(net.features._modules) == ["conv1", "conv2", "conv3", "conv4", "bn", "relu"]
    assert [group.block1.layers.conv1.in_channels for group in list(net.features)[1:4]] == [16, 160, 320]
    assert list(net.classifier._modules) == ["pool", "flatten", "fc"]


def test_the_first_convolution_of_conv3_and_conv4_strides_and_its_projection_too() -> None:
    for name in ("wide_resnet_40_2", "wide_resnet_40_2_b131"):
        strides = [[layer.stride[0] for layer in convolutions(block)] for block in blocks(build(name))]
        within = len(strides[0]) - 1
        assert strides[0] == [1] * (within + 1)
        assert strides[6] == strides[12] == [2, *[1] * (within - 1), 2]
        assert sum(max(stride) > 1 for stride in strides) == 2


@pytest.mark.parametrize(("k", "projections"), [(1, [6, 12]), (2, [0, 6, 12])])
def test_a_projection_is_a_bare_convolution_where_channels_change(k: int, projections: list[int]) -> None:
    shortcuts = [block.projection for block in blocks(build("wide_resnet", depth=40, k=k))]
    assert [i for i, shortcut in enumerate(shortcuts) if shortcut is not None] == projections
    for i in projections:
        shortcut = shortcuts[i]
        assert isinstance(shortcut, nn.Conv2d)
        assert (shortcut.kernel_size, shortcut.bias) == ((1, 1), None)


def test_a_projection_reads_the_shared_norm_and_relu_and_the_identity_does_not() -> None:
    first, second = blocks(archzoo.build("wide_resnet", depth=16, k=2).eval())[:2]
    for block in (first, second):
        nn.init.zeros_(block.layers.conv2.weight)
        nn.init.ones_(block.bn_relu.bn1.weight)
        nn.init.constant_(block.bn_relu.bn1.bias, -0.5)
    maps = torch.randn(2, 16, 8, 8)
    scaled = maps / (1 + 1e-5) ** 0.5
    expected = torch.einsum("oi,nihw->nohw", first.projection.weight[:, :, 0, 0], (scaled - 0.5).relu())
    torch.testing.assert_close(first(maps), expected)
    wide = torch.randn(2, 32, 8, 8)
    kept = wide.clone()
    assert torch.equal(second(wide), kept)
    assert torch.equal(wide, kept)  # the in-place ReLU writes on the norm's output


def test_dropout_acts_in_training_alone() -> None:
    block = blocks(archzoo.build("wide_resnet_16_4", drop=0.5))[-1]
    seen: list[torch.Tensor] = []
    block.layers.conv2.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    maps = torch.randn(4, 256, 4, 4)
    block.train()(maps)
    block.eval()(maps)
    trained, evaluated = ((maps == 0).float().mean().item() for maps in seen)
    # After BN-ReLU half of the maps are zero; dropout at 0.5 leaves half of the rest.
    assert trained == pytest.approx(0.75, abs=0.02)
    assert evaluated == pytest.approx(0.5, abs=0.1)


def test_weights_start_as_gaussians_over_the_fan_in() -> None:
    net: Any = archzoo.build("wide_resnet_16_4")
    last_group = blocks(net)[4]
    for layer, fan_in in ((last_group.layers.conv1, 9 * 128), (last_group.projection, 128)):
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
    fc = net.classifier.fc
    assert fc.weight.abs().max().item() <= 1 / 256**0.5
    assert not fc.bias.any()


def residuals(net: nn.Module) -> list[Any]:
    return [module for module in net.modules() if isinstance(module, Residual)]


def test_the_imagenet_nets_widen_every_stage_but_not_the_stem() -> None:
    net = build("wide_resnet18", width=1.5)
    assert net.features.conv1.out_channels == 64
    assert [block.layers.conv2.out_channels for block in residuals(net)[::2]] == [96, 192, 384, 768]


@pytest.mark.parametrize(("width", "projections"), [(1.0, [3, 7, 13]), (2.0, [0, 3, 7, 13])])
def test_the_imagenet_nets_project_where_the_shape_changes(width: float, projections: list[int]) -> None:
    shortcuts = [block.shortcut for block in residuals(build("wide_resnet34", width=width))]
    assert [i for i, shortcut in enumerate(shortcuts) if not isinstance(shortcut, nn.Identity)] == projections
    assert all(list(shortcuts[i]._modules) == ["conv", "bn"] for i in projections)


def test_the_imagenet_blocks_are_not_pre_activated() -> None:
    assert list(residuals(build("wide_resnet18"))[0].layers._modules) == ["conv1", "bn1", "relu1", "conv2", "bn2"]
    bottleneck = list(residuals(build("wide_resnet50_2"))[0].layers._modules)
    assert bottleneck == ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3"]
    block = Residual(nn.Sequential(nn.Identity()), nn.Identity())
    assert block(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 4.0]


def test_the_bottleneck_is_doubled_inside_and_strides_in_its_3x3() -> None:
    heads = [residuals(build("wide_resnet50_2"))[i].layers for i in (0, 3, 7, 13)]
    assert [[layer.out_channels for layer in convolutions(head)] for head in heads] == [
        [128, 128, 256],
        [256, 256, 512],
        [512, 512, 1024],
        [1024, 1024, 2048],
    ]
    assert [[layer.stride[0] for layer in convolutions(head)] for head in heads] == [[1, 1, 1], *[[1, 2, 1]] * 3]


def test_the_basic_block_strides_in_its_first_3x3() -> None:
    strides = [[layer.stride[0] for layer in convolutions(b.layers)] for b in residuals(build("wide_resnet18"))]
    assert strides == [[1, 1], [1, 1], *[[2, 1], [1, 1]] * 3]


@pytest.mark.parametrize("name", ["wide_resnet_16_8", "wide_resnet18", "wide_resnet50_2"])
def test_no_convolution_has_a_bias(name: str) -> None:
    assert all(layer.bias is None for layer in convolutions(build(name)))


def scales(net: nn.Module) -> torch.Tensor:
    return torch.cat([layer.weight for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]).detach()


def test_batch_norm_scales_start_as_torch7_draws_them_on_cifar_and_at_one_on_imagenet() -> None:
    """``uniform()`` in torch/nn; models/wide-resnet.lua leaves that, pretrained/wide-resnet.lua fills in 1."""
    drawn = scales(archzoo.build("wide_resnet_16_4"))
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.05)
    assert drawn.std().item() == pytest.approx(12**-0.5, abs=0.03)
    assert (scales(archzoo.build("wide_resnet18")) == 1).all()


def errors(data: str, **options: Any) -> dict[str, set[float]]:
    """Printed errors on a dataset by network, of those with these options."""
    by_network: dict[str, set[float]] = {}
    for result in registry.results("wide_resnet*", data):
        if result.options == options:
            by_network.setdefault(result.name, set()).add(result.error)
    return by_network


def test_dropout_is_04_on_svhn_and_03_on_cifar() -> None:
    """Sec. 3: 0.3 on CIFAR and 0.4 on SVHN; Tables 6 and 9, and the text for 1.81."""
    assert errors("svhn") == {"wide_resnet_16_4": {1.85}, "wide_resnet_52_1": {2.08}, "wide_resnet_16_8": {1.81}}
    dropped = {"wide_resnet_16_4": {1.64}, "wide_resnet_52_1": {1.70}, "wide_resnet_16_8": {1.54}}
    assert errors("svhn", drop=0.4) == dropped
    assert errors("svhn", drop=0.3) == {}
    assert errors("cifar10+", drop=0.3)["wide_resnet_28_10"] == {3.89}
    assert errors("cifar10+", drop=0.4) == {}


def test_errors_on_imagenet_are_those_of_table_7() -> None:
    assert errors("imagenet top-1", width=3.0) == {"wide_resnet18": {24.06}}
    assert errors("imagenet top-5", width=2.0) == {"wide_resnet18": {8.06}, "wide_resnet34": {7.00}}
    assert errors("imagenet top-1") == {"wide_resnet18": {30.4}, "wide_resnet34": {26.77}, "wide_resnet50_2": {21.9}}


def test_svhn_is_trained_as_by_the_released_script() -> None:
    """scripts/train_svhn.sh, and train.lua for what it leaves at its default."""
    recipe = registry.find_recipe("wide_resnet_svhn")
    assert (recipe.data, recipe.lr, recipe.epochs, recipe.batch_size) == ("svhn", 0.01, 160, 128)
    assert (recipe.schedule, recipe.weight_decay) == (MultiStep((80, 120), gamma=0.1), 0.0005)
    assert recipe.optimizer.options == {"momentum": 0.9, "nesterov": True}
    assert (recipe.augmentation, recipe.preprocessing) == ((), Rescale(0.0, 1.0))


def test_the_thin_net_of_52_convolutions_is_the_50_layer_net_of_the_text() -> None:
    """Sec. 3 and Fig. 3 call WRN-52-1 50 layers deep: without the three projections, and with the linear layer."""
    assert archzoo.profile(build("wide_resnet_52_1"), (3, 32, 32)).depth == 50 == 52 - 3 + 1
