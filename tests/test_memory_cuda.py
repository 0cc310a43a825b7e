"""Memory on CUDA: hand counts of the allocator, the libraries and autocast; benchmarks/gpu.py measures the rest."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import ProfileError
from archzoo.profiler import memory
from archzoo.profiler._cuda_allocator import MIB, CudaAllocator, rounded

KIB, WORKSPACE = 2**10, 128 * 2**10


@pytest.fixture(autouse=True)
def _workspace_of_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")


def linear_stack(width: int, layers: int = 3) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))


# The allocator


@pytest.mark.parametrize(
    ("requests", "allocated", "reserved"),
    [
        ([1], 512, 2 * MIB),
        ([513], 1024, 2 * MIB),
        ([512 * KIB] * 4, 2 * MIB, 2 * MIB),
        ([512 * KIB] * 5, 2.5 * MIB, 4 * MIB),
        ([MIB], MIB, 2 * MIB),
        ([MIB + 512], MIB + 512, 20 * MIB),
        ([9 * MIB] * 2, 18 * MIB, 20 * MIB),
        ([9 * MIB + 512 * KIB] * 2, 20 * MIB, 20 * MIB),  # 1 MiB is left of the segment, which is not split off
        ([10 * MIB], 10 * MIB, 10 * MIB),
        ([10 * MIB + 512 * KIB], 10 * MIB + 512 * KIB, 12 * MIB),  # 1.5 MiB are split off
        ([11 * MIB], 12 * MIB, 12 * MIB),  # 1 MiB is not
    ],
    ids=str,
)
def test_blocks_and_segments_are_those_of_the_caching_allocator(
    requests: list[int], allocated: float, reserved: int
) -> None:
    allocator = CudaAllocator()
    for size in requests:
        allocator.allocate(size)
    assert (allocator.allocated, allocator.reserved) == (allocated, reserved)


def test_neighbors_are_joined_and_the_smallest_block_that_fits_is_taken() -> None:
    allocator = CudaAllocator()
    blocks = [allocator.allocate(6 * MIB) for _ in range(3)]  # one segment of 20 MiB, 2 MiB of it free
    other = allocator.allocate(30 * MIB)
    allocator.release(other)
    allocator.release(blocks[0])
    allocator.release(blocks[1])
    assert allocator.allocate(12 * MIB).size == 12 * MIB  # the two that were joined, not the 30
    assert allocator.allocate(30 * MIB).size == 30 * MIB
    assert (allocator.reserved, allocator.peak_reserved) == (50 * MIB, 50 * MIB)
    assert allocator.peak_allocated == 48 * MIB == 18 * MIB + 30 * MIB


def test_everything_released_is_one_free_block_again() -> None:
    allocator = CudaAllocator(capacity=20 * MIB)
    blocks = [allocator.allocate(size * MIB) for size in (2, 7, 3, 5)]
    for index in (2, 0, 3, 1):
        allocator.release(blocks[index])
    assert allocator.allocated == 0
    assert allocator.allocate(19 * MIB).size == 20 * MIB
    with pytest.raises(MemoryError, match="exceed"):
        allocator.allocate(1)


# The libraries


def test_storages_are_rounded_and_the_workspace_of_matrix_products_stays() -> None:
    profile = memory(linear_stack(8), (8,), batch=16, device="cuda")  # weights of 256 bytes, maps of 512
    assert profile.workspace == WORKSPACE
    assert profile.inference == WORKSPACE + 3 * 512 + 3 * 512  # the input, what a layer reads, what it returns
    assert profile.reserved == 2 * MIB


@pytest.mark.parametrize(
    ("variable", "size"), [(":4096:2:16:8", 8 * MIB + 128 * KIB), ("", 32 * MIB)], ids=["before Hopper", "Hopper"]
)
def test_the_workspace_of_cublas_is_torchs_default(monkeypatch: pytest.MonkeyPatch, variable: str, size: int) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", variable)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert memory(linear_stack(8), (8,), batch=1, device="cuda").workspace == size


IMAGES, MAPS, WEIGHT = 64 * KIB, 128 * KIB, 9 * 8 * 16 * 4  # of a 3x3 convolution from 8 to 16 maps of 32x32, batch 2


@pytest.mark.parametrize(
    ("conv", "options", "copies"),
    [
        ({}, {}, IMAGES + WEIGHT + MAPS),
        ({}, {"channels_last": True}, 0),
        ({"kernel_size": 1, "padding": 0}, {}, 0),
        ({"groups": 8}, {}, 0),
        ({"dtype": torch.double}, {}, 0),
    ],
    ids=str,
)
def test_tensor_cores_copy_what_is_not_in_channels_last(
    conv: dict[str, Any], options: dict[str, Any], copies: int
) -> None:
    net = nn.Conv2d(**{"in_channels": 8, "out_channels": 16, "kernel_size": 3, "padding": 1, "bias": False, **conv})
    profile = memory(net, (8, 32, 32), batch=2, device="cuda", **options)
    itemsize = net.weight.itemsize // 4
    assert profile.inference == rounded(profile.parameters) + (IMAGES + MAPS) * itemsize + copies


@pytest.mark.parametrize("place", ["cudnn.allow_tf32", "cudnn.conv.fp32_precision"])
def test_without_tf32_and_for_images_nothing_is_copied(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32 is switched off in one of the two places that torch has. It refuses to read the first after the second."""
    images = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    assert memory(images, (3, 32, 32), batch=2, device="cuda").inference == 24 * KIB + 2 * KIB + MAPS
    monkeypatch.setattr(f"torch.backends.{place}", False if place.endswith("allow_tf32") else "ieee")
    net = nn.Conv2d(8, 16, 3, padding=1, bias=False)
    assert memory(net, (8, 32, 32), batch=2, device="cuda").inference == IMAGES + WEIGHT + MAPS


def test_a_gradient_copies_what_it_reads_and_writes() -> None:
    """The gradient of the input of the second convolution, where both gradients of maps are alive."""
    net = nn.Sequential(*(nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(2)))
    weight = 16 * 16 * 9 * 4
    profile = memory(net, (16, 32, 32), batch=2, device="cuda", optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    maps = 128 * KIB
    # input, maps between, their gradient, the expanded gradient of the sum (a number), weights, gradients of weights
    alive = 2 * maps + maps + 2 * weight + weight
    copies = maps + weight + maps
    assert alive + copies <= profile.training <= alive + copies + maps + 2 * KIB


def test_vgg_in_inference_takes_what_was_measured() -> None:
    """On an H200, at batch 16 in float32: the tensors alone are 0.70 of it."""
    net = archzoo.build("vgg_d", device="meta")
    profile = memory(net, (3, 224, 224), batch=16, device="cuda")
    first = 16 * 64 * 224 * 224 * 4  # bytes of the first maps: read and written at the peak, in both layouts
    tensors = profile.parameters + 2 * first + 16 * 3 * 224 * 224 * 4
    assert tensors / (profile.inference - profile.workspace) == pytest.approx(0.70, abs=0.005)


def test_dropout_keeps_a_byte_for_each_value() -> None:
    net = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Dropout(0.5))
    assert memory(net, (64,), batch=16, device="cuda").saved == 16 * 64


@pytest.mark.parametrize(("optimizer", "copies"), [("sgd", 3), ("adam", 5), ("rmsprop", 4), ("nesterov", 3)])
def test_optimizers_take_their_state_and_the_lists_that_they_compute_at_once(optimizer: str, copies: int) -> None:
    """Weights, gradients, momentum; Adam has two states, and like RMSprop computes all square roots at once."""
    net = linear_stack(1024, 2)
    profile = memory(net, (1024,), batch=1, device="cuda", optimizer=optimizer)
    assert profile.training - WORKSPACE == pytest.approx(copies * 8 * MIB, rel=0.01)


# Autocast and graphs


def test_autocast_casts_every_weight_once_and_keeps_it() -> None:
    """By hand: at the last layer, all weights in both dtypes, the input, and what that layer reads and returns."""
    weight, maps = 64 * 64, 16 * 64
    profile = memory(linear_stack(64), (64,), batch=16, device="cuda", autocast=torch.bfloat16)
    assert profile.inference == WORKSPACE + 3 * (4 + 2) * weight + 4 * maps + 2 * 2 * maps
    assert profile.parameters == 3 * 4 * weight
    assert profile.saved == 2 * 2 * weight + 3 * 2 * maps  # what each layer read; the first needs no gradient of it


def test_a_graph_keeps_its_input_and_no_casts() -> None:
    weight, maps = 64 * 64, 16 * 64
    profile = memory(linear_stack(64), (64,), batch=16, device="cuda", autocast=torch.bfloat16, cuda_graph=True)
    assert profile.inference == WORKSPACE + 3 * 4 * weight + 2 * 4 * maps + 2 * weight + 2 * 2 * maps


@pytest.mark.slow
def test_autocast_keeps_what_it_keeps_in_a_real_run() -> None:
    """The CPU's autocast is the witness: it lowers the same layers."""
    net = archzoo.build("resnet20")
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    images = torch.randn(4, 3, 32, 32)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        out = net(images)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers(), images)}
    assert out.dtype is torch.bfloat16
    saved = sum(size for key, size in held.items() if key not in own)
    profile = memory(net, (3, 32, 32), batch=4, device="cuda", autocast=torch.bfloat16)
    assert profile.saved == pytest.approx(saved, rel=0.002)  # autocast also keeps the casts of biases


# Random paths


class Drawn(nn.Module):
    """A layer that runs where a random number says so."""

    def __init__(self, runs: Callable[[], bool]) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 64)
        self.runs = runs

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).tanh() if not self.training or self.runs() else x


CONVENTIONS: dict[str, Callable[[], bool]] = {
    "below": lambda: bool(torch.rand(()) < 0.5),
    "above": lambda: bool(torch.rand(4).min() >= 0.2),
    "coin": lambda: bool(torch.bernoulli(torch.tensor(0.5))),
    "integer": lambda: int(torch.randint(3, ())) == 2,
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_worst_draw_runs_every_layer(convention: str) -> None:
    drawn, plain = (
        nn.Sequential(*(Drawn(runs) for _ in range(4)), nn.Linear(64, 10))
        for runs in (CONVENTIONS[convention], lambda: True)
    )
    worst, full = (memory(net, (64,), batch=256, device="cuda") for net in (drawn, plain))
    assert worst.training == full.training
    assert worst.inference == full.inference


@pytest.mark.slow
def test_the_expected_draw_is_the_mean_over_all_of_them() -> None:
    """By hand: an output of 256x64 floats, kept for tanh and for the next layer, for each of 4 layers, at rate 0.5."""
    drawn = nn.Sequential(*(Drawn(CONVENTIONS["below"]) for _ in range(4)), nn.Linear(64, 10))
    expected, worst = (memory(drawn, (64,), batch=256, device="cuda", draw=draw) for draw in ("expected", "worst"))
    output, error = 256 * 64 * 4, 4 * 0.5 / 32**0.5  # a standard error of the mean number of layers, times two
    assert worst.saved == 4 * output
    assert expected.saved == pytest.approx(2 * output, abs=error * output)
    assert expected.training < worst.training


def test_a_sample_is_drawn_from_the_current_state_and_leaves_it() -> None:
    net = nn.Sequential(*(Drawn(CONVENTIONS["below"]) for _ in range(8)), nn.Linear(64, 10))
    peaks = set()
    for seed in (0, 1, 2, 3, 1):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        peaks.add((seed, memory(net, (64,), batch=256, device="cuda", draw="sample").training))
        assert torch.equal(state, torch.get_rng_state())
    assert len(peaks) == 4
    assert len({peak for _, peak in peaks}) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "small", "everything"),
    [
        ("fractalnet", {"columns": 2, "widths": (8, 8, 8, 8, 8)}, {"drop_path": 0.0}),
        ("stochastic_depth", {"depth": 20}, {"survival": 1.0}),
    ],
)
def test_the_worst_draw_of_a_network_is_the_network_that_drops_nothing(
    name: str, small: dict[str, Any], everything: dict[str, Any]
) -> None:
    drawn, full = (
        memory(archzoo.build(name, device="meta", **small, **options), (3, 32, 32), batch=16, device="cuda")
        for options in (dict[str, Any](), everything)
    )
    assert drawn.training == full.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draw": "best"}, "draw must be one of 'worst', 'expected', 'sample', not 'best'"),
        ({"autocast": torch.float32}, "autocast must be torch.bfloat16, torch.float16 or None"),
        ({"autocast": torch.bfloat16, "device": "cpu"}, "autocast is modeled for device='cuda' alone"),
        ({"cuda_graph": True, "device": "cpu"}, "cuda_graph is modeled for device='cuda' alone"),
    ],
)
def test_bad_requests_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        memory(linear_stack(8), (8,), **{"device": "cuda", **options})
