"""Whether a model fits: by hand for stacks of linear layers, and laws for the rest."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.cli._fitting import _memory_efficient
from archzoo.errors import ProfileError
from archzoo.profiler import Fit, fits, memory
from archzoo.profiler._cuda_allocator import MIB, CudaAllocator
from archzoo.profiler._largest_batch import largest_batch
from tests.shell import Shell

FLOAT = 4
WIDTH = 64
WEIGHT, MAPS = WIDTH * WIDTH * FLOAT, WIDTH * FLOAT  # of one layer, of one input


def linear_stack(layers: int = 3) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(layers)))


def small_net() -> nn.Sequential:
    """Three blocks of two convolutions."""

    def block() -> nn.Sequential:
        layers = (nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        return nn.Sequential(*layers)

    return nn.Sequential(nn.Conv2d(3, 8, 1), block(), block(), block(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def inference_bytes(batch: int) -> int:
    """Three weights; the input, what a layer reads, what it returns."""
    return 3 * WEIGHT + 3 * MAPS * batch


@pytest.mark.parametrize("batch", [1, 7, 1000, 54_321])
@pytest.mark.parametrize("more", [0, 1, -1])
def test_the_largest_batch_of_inference_is_that_of_a_hand_count(batch: int, more: int) -> None:
    fit = fits(linear_stack(), (WIDTH,), inference_bytes(batch) + more, batch=1, device="cpu", savings=False)
    assert fit.inference.largest_batch == (batch if more >= 0 else batch - 1)


def test_the_margin_is_what_is_left_or_missing() -> None:
    need = inference_bytes(10)
    fit = fits(linear_stack(), (WIDTH,), need + 100, batch=10, device="cpu", savings=False)
    assert (fit.inference.fits, fit.inference.allocated, fit.inference.margin) == (True, need, 100)
    fit = fits(linear_stack(), (WIDTH,), need - 100, batch=10, device="cpu", savings=False)
    assert (fit.inference.fits, fit.inference.margin, fit.inference.largest_batch) == (False, -100, 9)
    assert "does not fit" in str(fit)


@pytest.mark.slow
@pytest.mark.parametrize(("device", "optimizer"), [("cpu", "adam"), ("cuda", "sgd")])
def test_the_largest_batch_was_tried_and_one_more_too(
    device: Any, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    net, room = linear_stack(2), 24 * MIB
    asked: dict[str, Any] = {"device": device, "optimizer": optimizer}
    fit = fits(net, (WIDTH,), room, context=0, savings=False, **asked)
    batch = fit.training.largest_batch
    assert fit.batch == batch > 1
    peaks = [memory(net, (WIDTH,), batch=size, **asked).training for size in (batch, batch + 1)]
    assert fit.training.allocated == peaks[0] <= room
    over = fits(net, (WIDTH,), room, batch=batch + 1, context=0, savings=False, **asked)
    assert not over.training.fits
    assert over.training.margin < 0 <= fit.training.margin
    assert device == "cuda" or peaks[1] > room


def test_the_peak_is_made_of_what_is_alive_then() -> None:
    layers, batch = 4, 1000  # maps are larger than weights: the peak is at the end of forward, or early in backward
    fit = fits(linear_stack(layers), (WIDTH,), MIB * 100, batch=batch, optimizer="adam", device="cpu", savings=False)
    peak = fit.training.peak
    assert peak.phase in ("forward", "backward")
    assert peak.parameters == layers * WEIGHT
    assert peak.optimizer_state - 2 * layers * WEIGHT in (0, layers * FLOAT)  # Adam also counts its steps
    parts = (peak.parameters, peak.gradients, peak.optimizer_state, peak.activations, peak.other)
    assert sum(parts) == fit.training.allocated
    assert min(parts) >= 0
    assert 3 * MAPS * batch <= peak.activations <= layers * MAPS * batch


def test_the_part_with_most_of_the_activations_is_named() -> None:
    wide = nn.Sequential(nn.Conv2d(4, 64, 1), nn.Conv2d(64, 64, 1), nn.Conv2d(64, 4, 1))
    net = nn.Sequential(nn.Conv2d(3, 4, 1), wide, nn.Conv2d(4, 4, 1), nn.Flatten())
    peak = fits(net, (3, 32, 32), "1GiB", batch=8, device="cpu", savings=False).training.peak
    assert peak.part.startswith("1")
    assert peak.part_activations > peak.activations / 2
    assert f"{peak.part} made" in str(peak)
    assert peak.module.startswith("1")


def saved(fit: Fit) -> dict[str, int]:
    return {saving.change.split(" ")[0]: saving.saved for saving in fit.savings}


@pytest.mark.slow
def test_what_would_save_is_tried() -> None:
    fit = fits(small_net(), (3, 32, 32), "1GiB", batch=32)
    assert saved(fit).keys() >= {"bfloat16", "accumulating", "checkpointing"}
    assert fit.savings == sorted(fit.savings, key=lambda saving: -saving.saved)
    assert all(saving.allocated + saving.saved == fit.training.allocated for saving in fit.savings)


@pytest.mark.slow
def test_accumulating_takes_what_half_of_the_batch_takes_and_gradients_that_stay() -> None:
    fit = fits(linear_stack(), (WIDTH,), "1GiB", batch=100, device="cpu")
    half = fits(linear_stack(), (WIDTH,), "1GiB", batch=50, device="cpu", savings=False)
    accumulating = next(saving for saving in fit.savings if saving.change.startswith("accumulating"))
    assert accumulating.change == "accumulating 2 micro-batches of 50"
    assert half.training.allocated <= accumulating.allocated <= half.training.allocated + 3 * WEIGHT


@pytest.mark.slow
def test_as_many_micro_batches_are_taken_as_it_takes() -> None:
    room = fits(linear_stack(), (WIDTH,), "1GiB", batch=1000, device="cpu", savings=False).training.allocated
    fit = fits(linear_stack(), (WIDTH,), room, batch=4001, device="cpu")
    accumulating = next(saving for saving in fit.savings if saving.change.startswith("accumulating"))
    assert accumulating.fits
    assert accumulating.change == "accumulating 8 micro-batches of 501"  # four of 1001 are too large


@pytest.mark.slow
def test_checkpointing_keeps_the_inputs_of_blocks() -> None:
    """What a real run keeps: the input of every block, and what is outside of them."""
    net, batch = small_net(), 64
    maps = batch * 8 * 32 * 32 * FLOAT
    fit = fits(net, (3, 32, 32), "1GiB", batch=batch, device="cpu")
    checkpointing = next(saving for saving in fit.savings if saving.change.startswith("checkpointing"))
    assert checkpointing.change in ("checkpointing 3 parts, such as 1", "checkpointing the model in 3 segments")
    plain = 3 * 3 + 1  # of each block what BatchNorm2d, the second convolution and ReLU keep; the first convolution's
    assert fit.training.allocated >= plain * maps
    assert checkpointing.saved >= 2 * maps  # the inner maps of one block at a time, of three


def test_a_variant_is_compared() -> None:
    fit = fits(linear_stack(3), (WIDTH,), "1GiB", batch=8, device="cpu", variants={"two layers": linear_stack(2)})
    saving = next(saving for saving in fit.savings if saving.change == "two layers")
    assert saving.allocated == memory(linear_stack(2), (WIDTH,), batch=8).training


def test_a_network_that_never_fits_is_reported_at_batch_one() -> None:
    fit = fits(linear_stack(), (WIDTH,), WEIGHT, device="cpu")
    assert (fit.batch, fit.training.fits, fit.training.largest_batch, fit.inference.largest_batch) == (1, False, 0, 0)
    assert fit.training.margin < 0
    fit = fits(linear_stack(), (WIDTH,), "513MiB", batch=2)  # CUDA: the workspace of cuBLAS alone is 32 MiB
    assert (fit.training.fits, fit.training.largest_batch) == (False, 0)


class TwoInputs(nn.Module):
    """Words and numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.linear = nn.Embedding(10, 8), nn.Linear(8, 2)

    def forward(self, words: Tensor, numbers: Tensor) -> Tensor:
        return self.linear(self.words(words).sum(1) + numbers)


@pytest.mark.parametrize("batch", [1, 5])
def test_example_tensors_stand_for_any_batch(batch: int) -> None:
    inputs = [torch.zeros(batch, 4, dtype=torch.int64), torch.zeros(batch, 8)]
    by_name = {"words": inputs[0], "numbers": (8,)}
    fit, named = (fits(TwoInputs(), given, "1MiB", device="cpu", savings=False) for given in (inputs, by_name))
    assert fit.training == named.training
    assert fit.training.largest_batch > 100


def test_examples_of_different_batches_are_refused() -> None:
    inputs = [torch.zeros(3, 4, dtype=torch.int64), torch.zeros(2, 8)]
    with pytest.raises(ProfileError, match="one batch along dimension 0"):
        fits(TwoInputs(), inputs, "1GiB")


def test_a_model_without_parameters_has_nothing_to_learn() -> None:
    fit = fits(nn.ReLU(), (100,), 10_000 * FLOAT, device="cpu")
    assert fit.optimizer == "no optimizer"
    assert fit.inference.largest_batch == 50  # the input and the output
    assert fit.training.largest_batch == 33  # and what the loss makes of it


@pytest.mark.slow
def test_a_model_that_needs_two_inputs_starts_there() -> None:
    """Statistics of one number for each channel are refused."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4), nn.Flatten())
    fit = fits(net, (3, 8, 8), "1MiB", device="cpu", savings=False)
    assert fit.training.largest_batch > 2
    assert fits(net, (3, 8, 8), 100, device="cpu", savings=False).batch == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory": "24 Gib/s"}, "memory must be a positive number of bytes, or a text with a unit such as '24GiB'"),
        ({"memory": "-3GiB"}, "not '-3GiB'"),
        ({"memory": -1}, "not -1"),
        ({"memory": 0}, "not 0"),
        ({"memory": "24G"}, "not '24G'"),
        ({"memory": float("nan")}, "not nan"),
        ({"memory": True}, "not True"),
        ({"memory": "1e999B"}, "not '1e999B'"),
        ({"batch": 0}, "batch must be a positive integer, not 0"),
        ({"batch": True}, "batch must be a positive integer, not True"),
        ({"precision": "int8"}, "precision must be one of 'float32', 'bfloat16', 'float16', not 'int8'"),
        ({"device": "cpu", "precision": "bfloat16"}, "modeled for device='cuda' alone"),
        ({"device": "tpu"}, "device must be 'cpu' or 'cuda', not 'tpu'"),
        ({"optimizer": "lion"}, "no optimizer is called 'lion'"),
        ({"context": -1}, "context must be a positive number of bytes"),
        ({"memory": "400MiB"}, "CUDA's context takes 512.00 MiB, all of the memory of 400.00 MiB"),
    ],
    ids=str,
)
def test_bad_requests_are_refused_before_any_pass(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError) as refused:
        fits(linear_stack(1), (WIDTH,), **{"memory": "24GiB", **arguments})
    assert message in str(refused.value)


def test_a_failure_names_the_part() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ProfileError, match="an input of 3x9x9 fails in 2: RuntimeError"):
        fits(net, (3, 9, 9), "1GiB")


def test_the_allocator_returns_free_segments_before_it_gives_up() -> None:
    allocator = CudaAllocator(capacity=40 * MIB)
    blocks = [allocator.allocate(19 * MIB) for _ in range(2)]
    assert (allocator.reserved, blocks[0].size) == (40 * MIB, 20 * MIB)
    with pytest.raises(MemoryError):
        allocator.allocate(30 * MIB)
    allocator.release(blocks[0])
    allocator.release(blocks[1])
    assert allocator.allocate(30 * MIB).size == 30 * MIB  # no free block is large enough, but both segments are free
    assert (allocator.reserved, allocator.peak_reserved) == (30 * MIB, 40 * MIB)


def test_the_law_leads_to_the_answer_in_a_few_tries() -> None:
    tried = []

    def attempt(batch: int) -> tuple[bool, int]:
        tried.append(batch)
        needed = max(1000 + 7 * batch, 13 * batch)  # two moments
        return needed <= 100_000, needed

    assert largest_batch(attempt, 100_000) == 100_000 // 13
    assert len(tried) < 10


def test_fragments_of_the_allocator_are_found_by_halving() -> None:
    """What is allocated would leave room for 1500."""
    tried = []

    def attempt(batch: int) -> tuple[bool, int]:
        tried.append(batch)
        return batch <= 1234, 100 * batch

    assert largest_batch(attempt, 150_000) == 1234
    assert len(tried) < 20


def test_a_batch_without_end_stops_at_the_limit() -> None:
    assert largest_batch(lambda batch: (True, 1), 10) == 2**20


# The command


LINEAR = ("torch.nn:Linear", "in_features=64", "out_features=64", "bias=False", "--input", "64")


@pytest.mark.slow
def test_the_command_tells_and_exits_for_a_pipeline(shell: Shell) -> None:
    code, out, _ = shell("fits", *LINEAR, "--memory", "1GiB", "--batch", "4", "--no-savings")
    assert code == 0
    assert "training  fits: " in out
    one, step = str(WEIGHT), str(4 * WEIGHT)  # bytes: of a weight; with gradient, momentum and a batch
    for limit, more, expected in ((step, (), 0), (one, (), 1), (str(2 * WEIGHT), ("--inference",), 0)):
        arguments = ("--max-memory", f"{limit}B", "--batch", "4", "--no-savings", "--device", "cpu", *more)
        assert shell("fits", *LINEAR, *arguments)[0] == expected


def test_the_command_prints_json(shell: Shell) -> None:
    arguments = ("--memory", "2GiB", "--batch", "8", "--precision", "bfloat16", "--optimizer", "adam", "--no-savings")
    values = json.loads(shell("fits", *LINEAR, *arguments, "--format", "json")[1])
    named = (values["model"], values["batch"], values["precision"], values["optimizer"])
    assert named == ("torch.nn:Linear", 8, "bfloat16", "Adam")
    assert values["training"]["fits"]
    assert values["training"]["margin"] == 2**31 - 2**29 - values["training"]["reserved"]


def test_the_command_compares_with_the_memory_efficient_form() -> None:
    variants = _memory_efficient("densenet_bc", ["depth=10", "k=4"])
    assert list(variants) == ["memory_efficient=True"]
    net = archzoo.build("densenet_bc", depth=10, k=4, memory_efficient=True, device="meta")
    assert str(variants["memory_efficient=True"]) == str(net)
    assert _memory_efficient("densenet_bc", ["memory_efficient=True"]) == {}
    assert _memory_efficient("resnet20", []) == _memory_efficient("torch.nn:Linear", []) == {}


def test_the_command_takes_a_class_in_a_file(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside.py").write_text("WIDTH = 5\n")
    path = tmp_path / "mine.py"
    path.write_text(
        "from torch import nn\nfrom beside import WIDTH\n"
        "class Net(nn.Sequential):\n    def __init__(self, n=1): super().__init__(nn.Linear(WIDTH, n))\n"
    )
    arguments = ("n=3", "--memory", "1MiB", "--input", "5", "--device", "cpu", "--no-savings", "--format", "json")
    code, out, _ = shell("fits", f"{path}:Net", *arguments)
    assert code == 0
    assert json.loads(out)["training"]["peak"]["parameters"] == (5 * 3 + 3) * FLOAT
    assert f"{path}:Other" in shell("fits", f"{path}:Other", *arguments)[2]
    assert "No such file" in shell("fits", f"{tmp_path}/none.py:Net", *arguments)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --memory of the device, such as 24GiB, or --max-memory"),
        (("--memory", "1GiB", "--max-memory", "1GiB", "--batch", "1"), "one of them"),
        (("--max-memory", "1GiB"), "--max-memory is about one batch: add --batch"),
        (("--memory", "24 Gib/s"), "memory must be a positive number of bytes"),
    ],
)
def test_the_command_refuses_what_is_unclear(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = shell("fits", "lenet5_textbook", *arguments)
    assert (code, out) == (2, "")
    assert message in err
