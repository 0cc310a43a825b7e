"""Multiply-adds by padding: by hand, by counting every position, and by what a convolution of ones sums up."""

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.profiler import CONVENTIONS


class Function(nn.Module):
    """A module that calls a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


# A layer, its input, its multiply-adds, and those by padding, counted by hand.
BY_HAND: dict[str, tuple[nn.Module, tuple[int, ...], int, int]] = {
    # Each side: 2 of the 3 x 4 pairs of a position of the kernel and an output are outside, so 10 x 10 of 12 x 12 stay.
    "3x3 on 4x4": (nn.Conv2d(1, 1, 3, padding=1), (1, 4, 4), 144, 44),
    "channels": (nn.Conv2d(3, 5, 3, padding=1), (3, 4, 4), 144 * 15, 44 * 15),
    "no padding": (nn.Conv2d(3, 5, 3), (3, 4, 4), 36 * 15, 0),
    "a pixel": (nn.Conv2d(1, 1, 3, padding=1), (1, 1, 1), 9, 8),
    # Outputs at -1, 1, 3 of 5: the first position of the kernel is outside once, the last one at 3 + 2 = 5 once.
    "stride 2 on 5": (nn.Conv1d(1, 1, 3, stride=2, padding=1), (1, 5), 9, 2),
    # Outputs at -1, 1 of 4: outside once in front, and never behind, where the padding is not reached.
    "stride 2 on 4": (nn.Conv1d(1, 1, 3, stride=2, padding=1), (1, 4), 6, 1),
    # Taps 2 apart, padding 2, 5 outputs: two outputs lose the first tap, two the last one.
    "dilation 2": (nn.Conv1d(1, 1, 3, padding=2, dilation=2), (1, 5), 15, 4),
    "a kernel larger than its input": (nn.Conv1d(1, 1, 5, padding=2), (1, 2), 10, 6),
    "groups": (nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 4, 4), 144 * 4, 44 * 4),
    "three axes": (nn.Conv3d(1, 1, 3, padding=1), (1, 4, 4, 4), 12**3, 12**3 - 10**3),
    "padding of one axis": (nn.Conv2d(1, 1, (3, 1), padding=(1, 0)), (1, 4, 4), 48, 8),
    # Inputs at 0, 2, 4 write to -1..1, 1..3, 3..5 of 5 outputs: the first and the last of 9 writes are cut off.
    "transposed": (nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1), (1, 3), 9, 2),
    "transposed, one output more": (nn.ConvTranspose1d(1, 1, 3, 2, 1, output_padding=1), (1, 3), 9, 1),
    "transposed, no padding": (nn.ConvTranspose2d(2, 3, 3), (2, 4, 4), 16 * 6 * 9, 0),
    "same, on both sides": (nn.Conv1d(1, 1, 3, padding="same"), (1, 4), 12, 2),
    # An even kernel: one zero behind and none in front. Two positions, the second one outside once.
    "same, on one side": (nn.Conv1d(1, 1, 2, padding="same"), (1, 4), 8, 1),
    "reflected": (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), (1, 4, 4), 144, 0),
    "circular": (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), (1, 4, 4), 144, 0),
    "replicated": (nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate"), (1, 4, 4), 144, 0),
    "ZeroPad2d": (nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(1, 1, 3)), (1, 4, 4), 144, 44),
    "padded with ones": (nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.Conv2d(1, 1, 3)), (1, 4, 4), 144, 0),
    # Outputs start at 0, 2 of 4 pixels and one zero behind them: one pair of 6 is outside.
    "on one side": (nn.Sequential(nn.ZeroPad2d((0, 1, 0, 0)), nn.Conv2d(1, 1, (1, 3), (1, 2))), (1, 1, 4), 6, 1),
    "padded twice": (nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(1, 1, 5, padding=1)), (1, 4, 4), 400, 400 - 14 * 14),
    "cropped again": (nn.Sequential(nn.ZeroPad2d(1), nn.ZeroPad2d(-1), nn.Conv2d(1, 1, 3)), (1, 4, 4), 36, 0),
    "overwritten": (
        nn.Sequential(Function(lambda x: F.pad(x, (1, 1)).add_(1)), nn.Conv1d(1, 1, 3)),
        (1, 4),
        12,
        0,
    ),
    "conv_tbc": (
        Function(lambda x: torch.conv_tbc(x.permute(2, 0, 1).contiguous(), x.new_zeros(3, 2, 5), x.new_zeros(5), 1)),
        (2, 4),
        12 * 10,
        2 * 10,
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_multiply_adds_by_padding_are_those_of_a_hand_count(name: str) -> None:
    net, size, macs, padding = BY_HAND[name]
    counted = archzoo.profile(net, size, batch=3)
    assert (counted.macs, counted.padding_macs) == (macs, padding)


def settings() -> list[dict[str, Any]]:
    """Convolutions of every kind: those that torch takes."""
    values = product((1, 2, 3), (1, 2, 3), (0, 1, 2, 4), (1, 2, 3), (False, True), (1, 2))
    names = ("kernel_size", "stride", "padding", "dilation", "transposed", "groups")
    return [dict(zip(names, combination, strict=True)) for combination in values]


@pytest.mark.slow
def test_ones_sum_up_to_what_is_not_padding() -> None:
    """All inputs and weights are one: the sum of a convolution is the number of products that are not with a zero."""
    wrong = []
    for setting in settings():
        transposed = setting.pop("transposed")
        kind = nn.ConvTranspose1d if transposed else nn.Conv1d
        net = kind(2, 4, bias=False, dtype=torch.double, **setting)
        nn.init.ones_(net.weight)
        try:
            summed = int(net(torch.ones(1, 2, 7, dtype=torch.double)).sum())
        except RuntimeError:  # the kernel is larger than the padded input, or the result is empty
            continue
        counted = archzoo.profile(net, (2, 7))
        if counted.macs - counted.padding_macs != summed:
            wrong.append((transposed, setting, counted.macs - counted.padding_macs, summed))
    assert not wrong


def test_sides_and_axes_are_told_apart() -> None:
    net = nn.Conv2d(2, 4, (3, 5), (2, 1), (1, 3), (1, 2), bias=False, dtype=torch.double)
    nn.init.ones_(net.weight)
    counted = archzoo.profile(net, (2, 7, 9))
    assert counted.macs - counted.padding_macs == int(net(torch.ones(1, 2, 7, 9, dtype=torch.double)).sum())


def test_padding_is_counted_part_by_part() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, padding=1))
    counted = archzoo.profile(net, (1, 4, 4), batch=2)
    # 44 on 4x4; on 2x2, each side has 4 of 6 pairs inside: 36 - 16.
    assert [part.padding_macs for part in counted.modules] == [44 + 20, 44, 0, 20]


def test_gradients_inside_of_forward_have_padding_too() -> None:
    def gradient(x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            out = F.conv2d(x, torch.ones(1, 1, 3, 3, device=x.device), padding=1)
            return torch.autograd.grad(out.sum(), x)[0]

    counted = archzoo.profile(Function(gradient), (1, 4, 4))
    assert (counted.macs, counted.padding_macs) == (2 * 144, 2 * 44)


# What jax 0.10.2 reports as "flops" of these convolutions on a CPU, compiled or not: XLA counts two for
# each position of the kernel that is inside.
BY_XLA = {
    "3x3 on 4x4": 2 * 100,
    "stride 2 on 5": 2 * 7,
    "dilation 2": 2 * 11,
    "transposed": 2 * 7,
    "a kernel larger than its input": 2 * 4,
    "groups": 2 * 400,
}


@pytest.mark.parametrize("name", BY_XLA)
def test_the_convention_xla_leaves_padding_out(name: str) -> None:
    net, size, macs, padding = BY_HAND[name]
    counted = archzoo.profile(net, size)
    assert counted.under("xla") == BY_XLA[name] == 2 * (macs - padding)


def test_the_convention_xla_explains_both_terms() -> None:
    counted = archzoo.profile(nn.Conv2d(1, 1, 3, padding=1), (1, 4, 4))
    assert counted.explain("xla").startswith(
        "xla: 200 flops = 2 x 144 multiply-adds of convolutions and matrix products - 2 x 44 multiply-adds by padding"
    )
    assert "xla" in CONVENTIONS
