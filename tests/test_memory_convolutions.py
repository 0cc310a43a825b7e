"""Convolutions on the CPU: what they take besides their operands, by hand and against PyTorch's allocator."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archzoo.profiler import OPTIMIZERS, memory
from archzoo.profiler._cpu_convolution import CpuConvolution
from archzoo.profiler._thread_sums import Shares, pointwise_sums, shares
from tests.allocations import recorded_peaks

FLOAT = 4
AVX2 = torch.backends.cpu.get_cpu_capability() == "AVX2"


@pytest.fixture
def avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with blocks of 8 channels."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


def convolution(layer: Any, *size: int) -> CpuConvolution:
    """A layer on maps (N, C, H, W), all on the meta device."""
    layer = layer.to("meta")
    x = torch.empty(size, device="meta")
    is_transposed = isinstance(layer, nn.ConvTranspose2d)
    geometry = layer.stride, layer.padding, layer.dilation, is_transposed, layer.output_padding, layer.groups
    return CpuConvolution(x, layer.weight, layer(x), *geometry)


def maps(channels: int, batch: int = 2, positions: int = 100) -> int:
    return batch * channels * positions * FLOAT


# On 10x10 maps, two images: channels become multiples of 8, and results are copied out of blocks. The peaks of the
# result, of the gradient of the maps, and of that of the weight.
BY_HAND: dict[str, tuple[nn.Module, tuple[int, ...], tuple[int, int, int]]] = {
    "channels that fit": (
        nn.Conv2d(16, 32, 3, padding=1),
        (2, 16, 10, 10),
        (maps(16) + maps(32) + 16 * 32 * 9 * FLOAT,) * 3,
    ),
    "channels that do not": (
        nn.Conv2d(12, 20, 3, padding=1),
        (2, 12, 10, 10),
        (maps(16) + maps(24) + 16 * 24 * 9 * FLOAT,) * 3,
    ),
    "images of three channels are read as they are": (
        nn.Conv2d(3, 16, 3, padding=1),
        (2, 3, 10, 10),
        (2 * maps(16), maps(16) + maps(8) + 16 * 8 * 9 * FLOAT, maps(16) + 16 * 3 * 9 * FLOAT),
    ),
    "a channel for each group": (
        nn.Conv2d(12, 12, 3, padding=1, groups=12),
        (2, 12, 10, 10),
        (2 * maps(16) + 16 * 9 * FLOAT,) * 3,
    ),
    "groups of six channels: columns of one image": (
        nn.Conv2d(24, 24, 3, padding=1, groups=4),
        (2, 24, 10, 10),
        (
            maps(24) + maps(6, batch=1) * 9,
            maps(24) + maps(6, batch=1) * 9,
            24 * 6 * 9 * FLOAT * 5 + maps(6, batch=1) * 9,  # four sums of the gradient, and the gradient
        ),
    ),
    "a small image: PyTorch's own kernel, columns of the batch": (
        nn.Conv2d(16, 16, 3, padding=1),
        (1, 16, 10, 10),
        (maps(16, 1) * 10, maps(16, 1), maps(16, 1) * 9 + 16 * 16 * 9 * FLOAT),
    ),
    "1x1 by PyTorch's own kernel": (nn.Conv2d(64, 16, 1), (2, 64, 10, 10), (maps(16), maps(64), 64 * 16 * FLOAT)),
    "stride: the gradient comes in channels_last and is copied twice": (
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        (2, 64, 28, 28),
        (
            maps(64, positions=784) + maps(64, positions=196) + 64 * 64 * 9 * FLOAT,
            3 * maps(64, positions=784),
            maps(64, positions=784) + maps(64, positions=196) + 64 * 64 * 9 * FLOAT,
        ),
    ),
    "transposed: the same for its result": (
        nn.ConvTranspose2d(64, 32, 2, stride=2),
        (2, 64, 14, 14),
        (
            3 * maps(32, positions=784),
            maps(64, positions=196) + maps(32, positions=784) + 64 * 32 * 4 * FLOAT,
            maps(64, positions=196) + maps(32, positions=784) + 64 * 32 * 4 * FLOAT,
        ),
    ),
}


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("what", BY_HAND)
def test_a_convolution_takes_what_a_hand_count_gives(what: str) -> None:
    layer, size, (out, maps_grad, weight_grad) = BY_HAND[what]
    conv = convolution(layer, *size)
    if isinstance(layer, nn.ConvTranspose2d):  # it is the gradient of the plain one
        out, maps_grad = maps_grad, out
    assert (conv.forward(), conv.gradient(), conv.weight_gradient()) == (out, maps_grad, weight_grad)


def test_blocks_are_twice_as_large_with_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    conv = convolution(nn.Conv2d(24, 40, 3, padding=1), 2, 24, 10, 10)
    assert conv.forward() == maps(32) + maps(48) + 32 * 48 * 9 * FLOAT


def test_two_threads_with_one_job_have_a_sum_each() -> None:
    """64 x 256 weights are 8 x 32 blocks, which are one job; with twice as many, each thread has one and no sum."""
    weight, block = 64 * 256 * FLOAT, 8 * 8 * FLOAT
    assert pointwise_sums((32, 8), block, 1000, 2, 0) == 2 * weight
    assert pointwise_sums((64, 8), block, 1000, 2, 0) == 0
    assert shares(3, 1000, 2, 8) == Shares(1, 2, 3)  # three jobs for two threads: both sum all of them


def stack(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, nn.Flatten())


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "equal convolutions": (lambda: stack(*(nn.Conv2d(16, 16, 3, padding=1) for _ in range(5))), (2, 16, 16, 16)),
    "equal convolutions of few channels": (
        lambda: stack(*(nn.Conv2d(6, 6, 3, padding=1) for _ in range(5))),
        (4, 6, 16, 16),
    ),
    "windows, strides, groups": (
        lambda: stack(
            nn.Conv2d(3, 12, 5, stride=2, padding=2),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 24, 3, padding=1, groups=3),
            nn.Conv2d(24, 24, 3, padding=2, dilation=2, groups=24),
            nn.Conv2d(24, 20, 1),
            nn.ConvTranspose2d(20, 8, 2, stride=2),
        ),
        (4, 3, 32, 32),
    ),
    "an image at a time": (lambda: stack(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))), (1, 8, 16, 16)),
    "one dimension": (lambda: stack(*(nn.Conv1d(16, 16, 3, padding=1) for _ in range(3))), (2, 16, 256)),
    "three dimensions": (lambda: stack(*(nn.Conv3d(8, 8, 3, padding=1) for _ in range(3))), (2, 8, 8, 8, 8)),
    "double precision": (
        lambda: stack(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))).double(),
        (2, 8, 12, 12),
    ),
    "channels_last": (
        lambda: stack(*(nn.Conv2d(16, 16, 3, padding=1) for _ in range(3))).to(
            memory_format=torch.channels_last  # type: ignore[call-overload]
        ),
        (2, 16, 16, 16),
    ),
    "channels_last of three dimensions": (
        lambda: stack(nn.Conv3d(8, 8, 3), nn.Conv3d(8, 8, 3)).to(
            memory_format=torch.channels_last_3d  # type: ignore[call-overload]
        ),
        (2, 8, 10, 10, 10),
    ),
}


@pytest.mark.skipif(not AVX2, reason="oneDNN's kernels for AVX2 are the witness")
@pytest.mark.parametrize("what", NETS)
def test_a_real_run_takes_what_is_computed(what: str) -> None:
    make, size = NETS[what]
    inputs: Tensor = torch.randn(size, dtype=next(make().parameters()).dtype)
    recorded = recorded_peaks(make, inputs, OPTIMIZERS["sgd"])
    computed = memory(make(), inputs)
    assert computed.inference == pytest.approx(recorded["inference"], rel=0.02)
    assert computed.training == pytest.approx(recorded["training"], rel=0.02)


@pytest.mark.parametrize(("kernel", "copied"), [("Slow2d", True), ("SlowDilated2d", False), (None, True)])
def test_a_gradient_in_another_order_than_the_maps_is_copied(
    kernel: str | None, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one thread, a 1x1 convolution is PyTorch's own, which computes in one order too."""
    monkeypatch.setattr("archzoo.profiler._cpu_convolution.slow_kernel", lambda *_: kernel)
    x = torch.empty(2, 16, 10, 10, device="meta").to(memory_format=torch.channels_last)
    weight, grad = torch.empty(16, 16, 1, 1, device="meta"), torch.empty(2, 16, 10, 10, device="meta")
    conv = CpuConvolution(x, weight, grad, (1, 1), (0, 0), (1, 1), False, (0, 0), 1)
    assert conv.copies(grad, x, weight) == copied * maps(16)
