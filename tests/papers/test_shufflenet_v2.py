from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo import registry
from archzoo.layers import Net
from archzoo.models.shufflenet_v2 import DownUnit, Unit, shuffle


def build(name: str, **options: Any) -> Net:
    net: Net = archzoo.build(name, device="meta", **options)
    return net


def test_a_shuffle_takes_from_both_halves_in_turn() -> None:
    maps = torch.arange(6.0).view(1, 6, 1, 1)
    assert shuffle(maps).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_half_of_the_maps_pass_a_unit_untouched() -> None:
    unit = Unit(8)
    for parameter in unit.parameters():
        nn.init.normal_(parameter)
    maps = torch.randn(2, 8, 5, 5)
    out = unit.eval()(maps)
    assert torch.equal(out[:, 0::2], maps[:, :4])
    torch.testing.assert_close(out[:, 1::2], unit.branch(maps[:, 4:]))


@pytest.mark.parametrize(("down", "left"), [("asymmetric", 24), ("symmetric", 58)])
def test_the_left_branch_going_down_keeps_its_maps_as_the_authors_have_it(down: str, left: int) -> None:
    unit = build("shufflenet_v2_x1_0", down=down).get_submodule("features.stage2.0")
    assert isinstance(unit, DownUnit)
    left_branch: Any = unit.left
    branch: Any = unit.branch
    assert left_branch.expand.conv.out_channels == left
    assert branch.reduce.conv.out_channels == 58
    assert branch.expand.conv.out_channels == 116 - left
    assert unit(torch.empty(1, 24, 8, 8, device="meta")).shape == (1, 116, 4, 4)


def test_a_depthwise_convolution_reads_one_map_each_and_has_no_relu() -> None:
    depthwise: Any = Unit(8).branch.depthwise
    assert list(depthwise._modules) == ["conv", "bn"]
    assert depthwise.conv.groups == depthwise.conv.in_channels == 4


def test_the_stages_have_four_eight_and_four_units() -> None:
    features: Any = build("shufflenet_v2_x1_0").features
    assert [len(features.get_submodule(f"stage{n}")) for n in (2, 3, 4)] == [4, 8, 4]
    assert (features.conv1.out_channels, features.conv1.stride) == (24, (2, 2))


def test_only_the_widest_net_has_dropout() -> None:
    for width, drops in (("x0_5", 0), ("x1_0", 0), ("x1_5", 0), ("x2_0", 1)):
        net = build(f"shufflenet_v2_{width}")
        assert sum(isinstance(layer, nn.Dropout) for layer in net.modules()) == drops


@pytest.mark.parametrize("pair", [(90, 180), (52, 312), (36, 432)])
def test_the_channel_pairs_of_table_1_cost_what_128_and_128_do(pair: tuple[int, int]) -> None:
    # A 1x1 convolution costs the product for each position; equal within the rounding to whole channels.
    assert pair[0] * pair[1] == pytest.approx(128 * 128, rel=0.06)


@pytest.mark.parametrize(("groups", "channels"), [(2, 180), (4, 256), (8, 360)])
def test_the_groups_of_table_2_cost_what_128_channels_do(groups: int, channels: int) -> None:
    layer = nn.Conv2d(channels, channels, 1, groups=groups, bias=False, device="meta")
    assert archzoo.profile(layer, (channels, 1, 1)).macs == pytest.approx(128 * 128, rel=0.02)


def test_layers_start_as_in_the_authors_code() -> None:
    features: Any = archzoo.build("shufflenet_v2_x1_0").features
    assert features.conv1.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert features.conv5.conv.weight.std().item() == pytest.approx(1 / 464, rel=0.02)
    assert features.stage4[1].branch.depthwise.conv.weight.std().item() == pytest.approx(1, rel=0.1)
    assert (features.conv5.bn.bias == 0.0001).all()


def test_every_row_of_table_5_is_a_claim() -> None:
    """Eight layers, the FLOPs and the weights of each column."""
    for width in ("x0_5", "x1_0", "x1_5", "x2_0"):
        claims = [claim for _, _, claim in registry.all_claims(f"shufflenet_v2_{width}")]
        sizes = {claim.at.split(".")[1]: claim.printed.split("x")[0] for claim in claims if claim.quantity == "size"}
        assert sizes == {
            "conv1": "112",
            "maxpool": "56",
            "stage2": "28",
            "stage3": "14",
            "stage4": "7",
            "conv5": "7",
            "pool": "1",
            "fc": "1000",
        }
        assert [claim.quantity for claim in claims if claim.quantity != "size"] == ["macs", "params"]


def test_the_released_weights_have_their_own_errors() -> None:
    """README of the release; Table 8 prints 39.7 and 25.1 for the narrowest and the widest."""
    released = {
        (result.name, result.data): result.error
        for result in registry.results("shufflenet_v2*")
        if result.where == "the authors' release"
    }
    assert [error for (_, data), error in released.items() if data == "imagenet top-1"] == [38.9, 30.6, 27.4, 25.0]
    assert [error for (_, data), error in released.items() if data == "imagenet top-5"] == [17.4, 11.1, 9.4, 7.6]
