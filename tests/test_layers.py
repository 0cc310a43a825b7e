import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from archzoo.errors import BadOption, InputError
from archzoo.layers import (
    Conv2d,
    Linear,
    Net,
    Padding,
    ResponseNorm,
    SamePadding,
    at_least,
    evaluation_mode,
    gaussian,
    glorot_uniform,
    he_normal_fan_in,
    he_normal_fan_out,
    padded,
    padded_conv3x3,
    pooled_classifier,
    probability,
    projected,
    repeats,
    sequence,
    truncated_gaussian,
)


@pytest.mark.parametrize("scale", [1, 100])
def test_response_norm_is_the_formula_that_alexnet_prints(scale: int) -> None:
    maps = scale * torch.randn(2, 9, 3, 3, dtype=torch.float64)
    expected = torch.empty_like(maps)
    for i in range(9):
        adjacent = maps[:, max(0, i - 2) : i + 3]
        expected[:, i] = maps[:, i] / (2 + 1e-4 * adjacent.square().sum(1)) ** 0.75
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


@pytest.mark.parametrize(
    ("kernel_size", "stride", "side", "before", "after"),
    [
        (3, 2, 224, 0, 1),  # 112 windows reach to 2 x 111 + 3 = 225
        (3, 2, 7, 1, 1),  # 4 windows reach to 9
        (3, 1, 5, 1, 1),
        (2, 2, 5, 0, 1),  # 3 windows reach to 6
        (7, 2, 10, 2, 3),  # 5 windows reach to 15
        (5, 3, 9, 1, 1),  # 3 windows reach to 11
        (1, 2, 6, 0, 0),  # 3 windows reach to 5
        (3, 2, 1, 1, 1),
        (2, 2, 4, 0, 0),
    ],
)
def test_tensorflows_padding_reaches_the_end_of_the_last_window(
    kernel_size: int, stride: int, side: int, before: int, after: int
) -> None:
    """ceil(side / stride) windows; of an odd number of zeros, the end gets one more (tf.nn, notes on padding)."""
    padding = SamePadding(kernel_size, stride)
    assert padding.before_and_after(side) == (before, after)
    padded = padding(torch.ones(2, 3, side, 4))
    assert padded.shape[2] == side + before + after
    assert nn.functional.max_pool2d(padded, kernel_size, stride).shape[2] == math.ceil(side / stride)
    assert not padded[:, :, :before].any()
    assert not padded[:, :, side + before :].any()


def test_a_window_of_stride_2_starts_on_the_first_pixel_where_tensorflow_pads() -> None:
    """1 + 2 + 3 and 3 + 4 + 0 in the place of 0 + 1 + 2 and 2 + 3 + 4, in the first row alone."""
    sums: dict[str, list[float]] = {}
    paddings: tuple[Padding, ...] = ("same", "symmetric")
    for padding in paddings:
        layers = sequence(**padded_conv3x3(padding, 1, 1, stride=2))
        weight = torch.zeros(1, 1, 3, 3)
        weight[0, 0, 0 if padding == "same" else 1] = 1
        layers.get_submodule("conv").load_state_dict({"weight": weight})
        rows = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
        sums[padding] = layers(rows.view(1, 1, 4, 4))[0, 0, 0].tolist()
    assert sums == {"same": [6, 7], "symmetric": [3, 9]}


def test_max_pooling_is_padded_with_what_is_never_the_largest() -> None:
    padded = SamePadding(3, 2, value=-math.inf)(torch.full((1, 1, 4, 4), -2.0))
    assert nn.functional.max_pool2d(padded, 3, 2).unique().tolist() == [-2]


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


def test_a_truncated_distribution_ends_at_two_deviations() -> None:
    """What is left of a normal distribution between -2 and 2 deviations has a deviation of 0.8796."""
    conv = Conv2d(64, 128, 3)
    with torch.no_grad():
        truncated_gaussian(0.09)(conv)
    assert conv.weight.abs().max() <= 0.18
    assert conv.weight.std().item() == pytest.approx(0.8796 * 0.09, rel=0.02)
    assert conv.bias is not None
    assert not conv.bias.any()


def test_every_layer_is_initialized_once() -> None:
    initialized: list[nn.Module] = []
    net = Net(sequence(conv=Conv2d(3, 4, 1)), pooled_classifier(4, 10), initialized.append)
    assert len(initialized) == len(set(initialized)) == len(list(net.modules()))


def test_nothing_is_initialized_on_meta() -> None:
    initialized: list[nn.Module] = []
    with torch.device("meta"):
        Net(sequence(conv=Conv2d(3, 4, 1)), pooled_classifier(4, 10), initialized.append)
    assert not initialized


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
    with pytest.raises(BadOption, match=f"depth must be 6n [+] 2, not {depth}: {nearest}$"):
        repeats(depth, 6, 2)


def test_an_option_out_of_its_range_is_refused_with_the_range() -> None:
    at_least("k", 1, 1)
    probability("drop", 0)
    with pytest.raises(BadOption, match="k must be at least 1, not 0"):
        at_least("k", 0, 1)
    with pytest.raises(BadOption, match="drop must be at least 0 and less than 1, not 1"):
        probability("drop", 1)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 8, 8), r"expected images \(N, C, H, W\), not a tensor of shape \(3, 8, 8\)"),
        ((2, 1, 8, 8), "expected images of 3 channels, not 1"),
        ((2, 3, 6, 8), "images of 6x8 do not fit: the smallest are 7x7"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_those_that_do(shape: tuple[int, ...], message: str) -> None:
    net = Net(sequence(conv=nn.Conv2d(3, 4, 7)), pooled_classifier(4, 10))
    with pytest.raises(InputError, match=message):
        net(torch.zeros(shape))
    assert issubclass(InputError, ValueError)


def test_a_network_without_convolutions_keeps_torchs_own_error() -> None:
    net = Net(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        net(torch.zeros(1, 3, 1, 1))


def test_evaluation_mode_restores_the_mode_of_every_submodule_even_after_an_error() -> None:
    first = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3)).train()
    first[1].eval()
    second = nn.Dropout().train()

    def fail_in_evaluation_mode() -> None:
        with evaluation_mode(first, second):
            assert not any(module.training for module in (first, *first, second))
            raise KeyError

    with pytest.raises(KeyError):
        fail_in_evaluation_mode()
    assert [module.training for module in (first, *first, second)] == [True, True, False, True]
