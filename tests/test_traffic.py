"""Bytes that are read and written: by hand, and what follows for the time."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import ProfileError
from archzoo.profiler import Machine, measure, traffic
from tests.shell import Shell

FLOAT = 4


class Function(nn.Module):
    """A module that calls a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


N = 10  # elements of an input
# A function of two inputs of N numbers each, the elements that it reads, and those that it writes.
BY_HAND: dict[str, tuple[Any, int, int]] = {
    "addition": (lambda x, y: x + y, 2 * N, N),
    "twice the same": (lambda x, y: x + x, N, N),
    "in place": (lambda x, y: x.add_(y), 2 * N, N),
    "a view": (lambda x, y: x.view(-1).unsqueeze(0)[:, 2:5], 0, 0),
    "a view that is added": (lambda x, y: x[:, :4] + y[:, :4], 8, 4),
    "expanded": (lambda x, y: x[:, :1].expand(1, N) + y, 1 + N, N),
    "concatenated": (lambda x, y: torch.cat([x, y], 1), 2 * N, 2 * N),
    "copied": (lambda x, y: x.clone(), N, N),
    "transposed and made contiguous": (lambda x, y: x.view(2, 5).t().contiguous(), N, N),
    "zeros": (lambda x, y: torch.zeros(7, device=x.device), 0, 7),
    "reserved": (lambda x, y: torch.empty(7, device=x.device), 0, 0),
    "reduced": (lambda x, y: x.sum(), N, 1),
    "into a given tensor": (lambda x, y: torch.add(x, y, out=torch.empty(1, N, device=x.device)), 2 * N, N),
    "a matrix product": (lambda x, y: x @ y.t(), 2 * N, 1),
    "nothing": (lambda x, y: x, 0, 0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_an_operator_moves_what_a_hand_count_gives(name: str) -> None:
    function, read, written = BY_HAND[name]
    moved = traffic(Function(function), [(N,), (N,)])
    assert (moved.read, moved.written) == (FLOAT * read, FLOAT * written)


def test_a_convolution_reads_its_input_weight_and_bias_once() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten())
    moved = traffic(net, (3, 8, 8), batch=5)
    images, maps, weight = 5 * 3 * 64, 5 * 4 * 64, 4 * 27 + 4
    statistics = 4 * 4  # mean, variance, scale and shift
    expected = {
        "0": (images + weight, maps),
        "1": (maps + statistics, maps),
        "2": (maps, maps),
        "3": (0, 0),
        "": (images + weight + 2 * maps + statistics, 3 * maps),
    }
    assert {part.module: (part.read // FLOAT, part.written // FLOAT) for part in moved.modules} == expected
    assert [call.operator for call in moved.operators] == ["convolution", "native_batch_norm", "relu_"]
    first = moved.at("0")
    assert first.macs == 5 * 64 * 4 * 27
    assert first.intensity == pytest.approx(2 * first.macs / (FLOAT * (images + weight + maps)))


def test_an_embedding_reads_the_rows_that_it_returns() -> None:
    moved = traffic(nn.Embedding(1000, 8), torch.zeros(2, 3, dtype=torch.int64))
    assert (moved.read, moved.written) == (6 * 8 * FLOAT + 6 * 8, 6 * 8 * FLOAT)


def test_half_precision_moves_half() -> None:
    nets = [archzoo.build("resnet20", device="meta") for _ in range(2)]
    full, half = (traffic(net, (3, 32, 32)) for net in (nets[0], nets[1].to(torch.bfloat16)))
    assert (full.read, full.written) == (2 * half.read, 2 * half.written)
    assert full.macs == half.macs == archzoo.profile(nets[0], (3, 32, 32)).macs


def test_weights_are_read_once_for_a_batch() -> None:
    one, many = (traffic(nn.Linear(100, 50, bias=False), (100,), batch=batch) for batch in (1, 64))
    assert one.read == FLOAT * (100 + 5000)
    assert many.read == FLOAT * (64 * 100 + 5000)
    assert many.intensity > 10 * one.intensity


def test_the_roofline_is_the_slower_of_arithmetic_and_traffic_for_each_operator() -> None:
    net = nn.Sequential(nn.Linear(100, 50, bias=False), nn.ReLU())
    moved = traffic(net, (100,))
    flops, product, relu = 2 * 5000, FLOAT * (100 + 5000 + 50), FLOAT * 100
    fast_memory = Machine(peak=1e6, bandwidth=1e12)
    assert moved.seconds(fast_memory) == pytest.approx(flops / 1e6 + relu / 1e12)
    assert moved.seconds(fast_memory, "0") == pytest.approx(flops / 1e6)
    assert moved.memory_bound(fast_memory) == pytest.approx(relu / 1e12 / moved.seconds(fast_memory))
    slow_memory = Machine(peak=1e12, bandwidth=1e6)
    assert moved.seconds(slow_memory) == pytest.approx((product + relu) / 1e6)
    assert moved.memory_bound(slow_memory) == pytest.approx(1)


def test_the_utilization_is_the_share_of_the_peak() -> None:
    moved = traffic(nn.Linear(100, 50, bias=False), (100,), batch=10)
    machine = Machine(peak=1e9, bandwidth=1e9)
    assert moved.utilization(machine, seconds=1e-3) == pytest.approx(2 * 50_000 / 1e6)
    for seconds in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ProfileError, match="measured time must be a positive number"):
            moved.utilization(machine, seconds)


@pytest.mark.parametrize("values", [(0, 1), (1, -1), (float("inf"), 1), (float("nan"), 1), ("fast", 1), (True, 1)])
def test_a_machine_has_positive_numbers(values: Any) -> None:
    with pytest.raises(ProfileError, match="must be a positive number, not"):
        Machine(*values)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ProfileError, match="Linear has no part 'features'"):
        traffic(nn.Linear(2, 2), (2,)).seconds(Machine(1, 1), "features")


def test_a_pass_is_measured_without_a_change_of_the_model() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert 0 < measure(net, (3, 8, 8), batch=2, passes=2) < 10
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert 0 < measure(net.to("meta"), (3, 8, 8), passes=1) < 10
    assert 0 < measure(nn.Embedding(5, 2), torch.zeros(1, 3, dtype=torch.int64), passes=1) < 10
    for passes in (0, True, 1.5):
        with pytest.raises(ProfileError, match="passes must be a positive integer"):
            measure(net, (3, 8, 8), passes=passes)  # type: ignore[arg-type]
    with pytest.raises(ProfileError, match="a pass on cpu fails: RuntimeError"):
        measure(net, (4, 8, 8))


# The command


def test_the_command_prints_traffic_by_part_and_the_time_of_a_machine(shell: Shell) -> None:
    out = shell("profile", "lenet5_textbook", "--traffic", "--batch", "8", "--depth", "1", "--accelerator", "h100")[1]
    moved = traffic(archzoo.build("lenet5_textbook", device="meta"), (1, 32, 32), batch=8)
    head, whole, *_ = out.splitlines()
    assert head.split() == ["part", "kind", "macs", "read", "written", "flops_per_byte", "least_us"]
    assert whole.split()[2:5] == [f"{value:,}" for value in (moved.macs, moved.read, moved.written)]
    machine = Machine(494.7e12, 3.35e12)
    assert f"NVIDIA H100 SXM: {1e3 * moved.seconds(machine):,.3f} ms at least" in out


def test_the_command_measures_beside_it(shell: Shell) -> None:
    arguments = ("--traffic", "--peak", "1e11", "--bandwidth", "2e10", "--measure", "cpu", "--format", "json")
    values = json.loads(shell("profile", "lenet5_textbook", *arguments)[1])
    assert values["measured_seconds"] > values["roofline_seconds"] / 100 > 0
    out = shell("profile", "lenet5_textbook", *arguments[:-2])[1]
    assert "measured on cpu: " in out
    assert "of the peak (MFU)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--accelerator", "h100"), "go with --traffic"),
        (("--measure", "cpu"), "go with --traffic"),
        (("--traffic", "--peak", "1e12"), "add --bandwidth in bytes/s"),
        (("--traffic", "--bandwidth", "1e12"), "add --peak in FLOP/s"),
        (("--traffic", "--peak", "-1", "--bandwidth", "1"), "peak must be a positive number, not -1.0"),
        (("--traffic", "--accelerator", "h100", "--peak", "1"), "leave out --peak and --bandwidth"),
    ],
)
def test_the_command_refuses_half_of_a_machine(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = shell("profile", "lenet5_textbook", *arguments)
    assert (code, out) == (2, "")
    assert message in err
