import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from archzoo.layers import (
    Conv2d,
    Linear,
    Net,
    ResponseNorm,
    gaussian,
    glorot_uniform,
    he_normal_fan_in,
    he_normal_fan_out,
    padded,
    pooled_classifier,
    projected,
    repeats,
    sequence,
)


@pytest.mark.parametrize("scale", [1, 100])
def test_response_norm_is_the_formula_that_alexnet_prints(scale: int) -> None:
    maps = scale * torch.randn(2, 9, 3, 3, dtype=torch.float64)
    expected = torch.empty_like(maps)
    for i in range(9):
        near = maps[:, max(0, i - 2) : i + 3]
        expected[:, i] = maps[:, i] / (2 + 1e-4 * near.square().sum(1)) ** 0.75
    torch.testing.assert_close(ResponseNorm()(maps), expected)


def test_option_a_keeps_every_second_position_and_adds_zero_maps() -> None:
    maps = torch.randn(2, 3, 4, 6)
    out = padded(3, 5, 2)(maps)
    assert torch.equal(out[:, :3], maps[:, :, ::2, ::2])
    assert not out[:, 3:].any()
    assert isinstance(padded(3, 3, 1), nn.Identity)


def test_option_b_projects_only_where_the_shape_changes() -> None:
    assert isinstance(projected(4, 4, 1), nn.Identity)
    assert projected(4, 8, 2)(torch.randn(2, 4, 6, 6)).shape == (2, 8, 3, 3)


def test_parts_keep_their_names_and_order() -> None:
    assert list(sequence(b=nn.ReLU(), a=nn.Tanh())._modules) == ["b", "a"]


@pytest.mark.parametrize(
    ("initialize", "deviation"),
    [
        (he_normal_fan_in, math.sqrt(2 / (64 * 9))),
        (he_normal_fan_out, math.sqrt(2 / (128 * 9))),
        (gaussian(0.01), 0.01),
        (glorot_uniform, math.sqrt(2 / ((64 + 128) * 9))),
    ],
)
def test_an_initialization_has_the_deviation_of_its_formula(
    initialize: Callable[[nn.Module], None], deviation: float
) -> None:
    conv = Conv2d(64, 128, 3)
    with torch.no_grad():
        initialize(conv)
    assert conv.weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert abs(conv.weight.mean().item()) < deviation / 50
    assert conv.bias is not None
    assert not conv.bias.any()


def test_every_layer_is_initialized_once() -> None:
    seen: list[nn.Module] = []
    net = Net(sequence(conv=Conv2d(3, 4, 1)), pooled_classifier(4, 10), seen.append)
    assert len(seen) == len(set(seen)) == len(list(net.modules()))


def test_nothing_is_initialized_on_meta() -> None:
    seen: list[nn.Module] = []
    with torch.device("meta"):
        Net(sequence(conv=Conv2d(3, 4, 1)), pooled_classifier(4, 10), seen.append)
    assert not seen


def test_making_a_layer_draws_nothing() -> None:
    before = torch.get_rng_state()
    Conv2d(3, 4, 3)
    Linear(3, 4)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("depth", "n"), [(20, 3), (110, 18), (1202, 200)])
def test_a_depth_of_6n_plus_2_is_n_repeats(depth: int, n: int) -> None:
    assert repeats(depth, 6, 2) == n


@pytest.mark.parametrize(("depth", "nearest"), [(21, "20 or 26"), (7, "8"), (2, "8"), (-10, "8"), (25, "20 or 26")])
def test_another_depth_is_refused_with_the_nearest(depth: int, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"depth must be 6n [+] 2, not {depth}: {nearest}$"):
        repeats(depth, 6, 2)
