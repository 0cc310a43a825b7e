from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import BadOption
from archzoo.layers import Aggregated
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe


def block(net: nn.Module, stage: int, number: int) -> Any:
    return net.get_submodule(f"features.conv{stage}_x.block{number}")


@pytest.mark.slow
def test_one_group_of_64_maps_is_resnet_with_the_stride_in_the_3x3() -> None:
    """Table 2: cardinality 1 is ResNet. Same names, same shapes, same function."""
    ours, resnet = archzoo.build("resnext50_1x64d").eval(), archzoo.build("resnet50_v1_5").eval()
    ours.load_state_dict(resnet.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), resnet(images))


@pytest.mark.parametrize(("cardinality", "base_width"), [(2, 40), (32, 4)])
def test_a_grouped_convolution_adds_up_separate_paths(cardinality: int, base_width: int) -> None:
    """Fig. 3: the sum over C paths of 1x1, 3x3 and 1x1 convolutions, each d maps wide, is the grouped form."""
    layers = Aggregated(cardinality, base_width)(256, 64, 1).double().layers
    convs: list[Any] = [layers.get_submodule(f"conv{i}") for i in (1, 2, 3)]
    conv1, conv2, conv3 = convs
    for conv in convs:
        nn.init.normal_(conv.weight, std=0.1)
    maps = torch.randn(1, 256, 5, 5, dtype=torch.float64)
    paths = torch.zeros_like(maps)
    for path in range(cardinality):
        part = slice(path * base_width, (path + 1) * base_width)
        inner = torch.relu(nn.functional.conv2d(maps, conv1.weight[part]))
        inner = torch.relu(nn.functional.conv2d(inner, conv2.weight[part], padding=1))
        paths += nn.functional.conv2d(inner, conv3.weight[:, part])
    torch.testing.assert_close(conv3(torch.relu(conv2(torch.relu(conv1(maps))))), paths)


def test_the_stride_is_in_the_3x3_and_on_the_projection() -> None:
    net = archzoo.build("resnext50_32x4d", device="meta")
    for stage, stride in ((2, 1), (3, 2), (4, 2), (5, 2)):
        first = block(net, stage, 1)
        strides = [first.layers.get_submodule(f"conv{i}").stride[0] for i in (1, 2, 3)]
        assert strides == [1, stride, 1]
        assert first.shortcut.conv.stride == (stride, stride)
        assert isinstance(block(net, stage, 2).shortcut, nn.Identity)


@pytest.mark.parametrize(
    ("name", "groups", "widths"),
    [
        ("resnext50_32x4d", 32, (128, 256, 512, 1024)),  # Table 1
        ("resnext101_64x4d", 64, (256, 512, 1024, 2048)),
        ("resnext50_8x14d", 8, (112, 224, 448, 896)),
        ("resnext101_1x100d", 1, (100, 200, 400, 800)),
    ],
)
def test_all_stages_have_as_many_groups_each_twice_as_wide(name: str, groups: int, widths: tuple[int, ...]) -> None:
    net = archzoo.build(name, device="meta")
    grouped = [block(net, stage, 2).layers.conv2 for stage in (2, 3, 4, 5)]
    assert [conv.out_channels for conv in grouped] == list(widths)
    assert {conv.groups for conv in grouped} == {groups}


def test_the_networks_for_cifar_have_stages_of_64_128_and_256_maps_a_group() -> None:
    """Sec. 5.3; the released code projects in the first block of each stage."""
    net = archzoo.build("resnext29_8x64d", device="meta")
    assert [block(net, stage, 2).layers.conv2.weight.shape[:2] for stage in (2, 3, 4)] == [
        (512, 64),
        (1024, 128),
        (2048, 256),
    ]
    assert archzoo.profile(net, (3, 32, 32)).sides() == (32, 16, 8)
    assert all(not isinstance(block(net, stage, 1).shortcut, nn.Identity) for stage in (2, 3, 4))


def test_grouped_weights_start_as_if_they_had_one_group() -> None:
    """The released code: a deviation of sqrt(2 / (k k n)) with all n output maps."""
    net = archzoo.build("resnext50_32x4d")
    layers = block(net, 3, 2).layers
    assert layers.conv2.weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.05)
    assert layers.conv1.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("name", "epochs", "steps"), [("resnext", 100, (30, 60, 90)), ("resnext_cifar", 300, (150, 225))]
)
def test_the_rate_is_divided_by_10_at_the_epochs_of_the_released_code(
    name: str, epochs: int, steps: tuple[int, ...]
) -> None:
    recipe = find_recipe(name)
    run = recipe.duration(TRAINING_IMAGES[recipe.data])
    an_epoch = run.iterations // epochs
    for count, step in enumerate(steps):
        assert recipe.schedule.factor(step * an_epoch - 1, run) == pytest.approx(0.1**count)
        assert recipe.schedule.factor(step * an_epoch, run) == pytest.approx(0.1 ** (count + 1))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnext", {"cardinality": 0}, "cardinality must be at least 1, not 0"),
        ("resnext", {"base_width": 0}, "base_width must be at least 1, not 0"),
        ("resnext_cifar", {"depth": 30}, "depth must be 9n \\+ 2, not 30: 29 or 38"),
    ],
)
def test_options_that_make_no_network_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        archzoo.build(name, device="meta", **options)
