"""What training costs on paper, against hand-written arithmetic, published speeds, and what PyTorch really sends."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity
from torch.profiler import profile as record

import archzoo
from archzoo.accelerators import ACCELERATORS
from archzoo.cli._costs import Accelerator
from archzoo.errors import EstimateError
from archzoo.estimate import estimate, largest_batch, sent_by_ddp, sent_by_fsdp
from archzoo.models.fractalnet import plain_column
from archzoo.profiler import memory
from archzoo.registry import find_recipe
from archzoo.report.tables import markdown_row
from archzoo.training import Distributed, RunConfig
from archzoo.training._parallel import parallelize
from tests.networks import CLASSES, EVERY_NET
from tests.processes import run_two
from tests.shell import Shell
from tools.estimate_page import PUBLISHED, Measured, memory_row, parts

IMAGENET = 1_281_167
ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_images_and_operations_follow_from_the_recipe() -> None:
    resnet = estimate("resnet50")
    assert (resnet.batch, resnet.iterations) == (256, 600_000)
    densenet = estimate("densenet121")
    assert densenet.images == 90 * (IMAGENET // 256) * 256
    assert densenet.active_share == 1
    net = archzoo.profile(archzoo.build("densenet121", device="meta"), (3, 224, 224))
    # Three times the forward pass, but that nobody asks for a gradient of the image: 7x7x3 to 64 maps of 112x112.
    assert densenet.macs == 3 * net.macs - 7 * 7 * 3 * 64 * 112 * 112
    assert densenet.flops == 2 * densenet.macs * densenet.images
    short = estimate("densenet121", find_recipe("densenet_imagenet").with_changes(epochs=45))
    assert short.flops * 2 == densenet.flops


def test_dropped_blocks_count_by_their_survival() -> None:
    """With p_l = 1 - l / L (1 - p_L), blocks of one size run for 1 - (L + 1) / 2L (1 - p_L) of their time."""
    assert estimate("stochastic_depth_110").active_share == pytest.approx(1 - 55 / 108 * 0.5, abs=0.005)
    assert estimate("stochastic_depth", depth=110, survival=1.0).active_share == 1


@pytest.mark.slow
def test_with_global_drop_path_a_step_costs_one_column_on_average() -> None:
    options: dict[str, Any] = {"columns": 4, "widths": (16, 32, 64, 128, 128)}
    net = archzoo.build("fractalnet", device="meta", **options)
    columns = [archzoo.profile(plain_column(net, column), (3, 32, 32)).macs for column in (1, 2, 3, 4)]
    whole = archzoo.profile(net, (3, 32, 32)).macs
    share = estimate("fractalnet", global_share=1.0, **options).active_share
    assert share == pytest.approx(sum(columns) / 4 / whole, rel=0.08)  # 400 draws
    assert estimate("fractalnet", drop_path=0.0, **options).active_share == 1


@pytest.mark.parametrize(("machine", "precision", "images"), PUBLISHED)
def test_the_bound_is_above_what_was_published_but_not_far(machine: str, precision: Any, images: int) -> None:
    share = images * estimate("resnet50_v1_5").seconds(ACCELERATORS[machine], precision)
    assert 0.4 < share < 1


@pytest.mark.slow
def test_hours_fall_with_devices_until_there_is_one_image_for_each() -> None:
    cost, h200 = estimate("fractalnet34"), ACCELERATORS["h200"]  # a batch of 32
    assert cost.hours(h200, 8) == pytest.approx(cost.hours(h200) / 8)
    assert cost.hours(h200, 64) == cost.hours(h200, 32)
    assert cost.hours(h200, utilization=0.5) == pytest.approx(2 * cost.hours(h200))
    for utilization, devices, message in (
        (0.0, 1, "above 0 and at most 1, not 0.0"),
        (1.5, 1, "above 0 and at most 1, not 1.5"),
        (0.5, 0, "devices must be at least 1, not 0"),
    ):
        with pytest.raises(EstimateError, match=message):
            cost.hours(h200, devices, utilization=utilization)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "capacity"), [("resnet20", 2**30), ("vgg_d", 4 * 2**30), ("vgg_d", 2**20)])
def test_the_largest_batch_fits_and_one_more_does_not(name: str, capacity: int) -> None:
    net, size = archzoo.build(name, device="meta"), archzoo.find(name).input_size
    batch = largest_batch(net, size, capacity)
    assert batch == 0 or memory(net, size, batch=batch, device="cuda").training <= capacity
    assert memory(net, size, batch=batch + 1, device="cuda").training > capacity


def test_the_command_prints_what_the_library_counts(shell: Shell) -> None:
    code, out, _ = shell("estimate", "densenet_bc", "depth=40", "batch_size=128", "--devices", "8")
    recipe = find_recipe("densenet_bc").with_changes(batch_size=128)
    cost = estimate("densenet_bc", recipe, depth=40)
    assert code == 0
    assert f"batch 128, {cost.iterations:,} iterations" in out
    assert f"{cost.flops:.3e}" in out
    assert f"{sent_by_ddp(cost, 8) / 1e6:,.1f} MB" in out


def test_the_command_knows_every_machine() -> None:
    assert [accelerator.value for accelerator in Accelerator] == list(ACCELERATORS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--utilization", "2"], "utilization must be above 0 and at most 1, not 2.0"),
        (["--devices", "0"], "greater than or equal to 1"),
        (["--accelerator", "tpu"], "'tpu' is not one of"),
        (["epoch=3"], "did you mean 'epochs'"),
    ],
    ids=str,
)
def test_the_command_refuses_what_there_is_not(wrong: list[str], message: str, shell: Shell) -> None:
    code, out, err = shell("estimate", "resnet20", *wrong)
    assert (code, out) == (2, "")
    assert message in err


def test_a_network_that_was_not_measured_is_taken_as_others_of_its_paper(tmp_path: Path) -> None:
    file = tmp_path / "committed.json"
    shares = {"resnet20": 0.5, "resnet50": 0.6, "resnet110": 0.8, "vgg_d": 0.9}
    file.write_text(json.dumps({"machine": {}, "peak": 1e9, "shares_of_peak": shares}))
    measured = Measured.read(file)
    assert measured.share("resnet50") == 0.6
    assert measured.share("resnet152") == 0.6  # the middle of three
    assert measured.share("vgg_e") == 0.9
    assert measured.share("lenet5") == 0.7  # nothing of its paper: the middle of all


# What a collective exchanges, by the operator's name: which of its arguments has all of it.
WHOLE = {"gloo:all_reduce": 0, "gloo:broadcast": 0}
WHOLE_SHARDED = {"c10d::_allgather_base_": 0, "c10d::_reduce_scatter_base_": 1}


def _train(rank: int, folder: Path) -> None:
    """One of two processes."""
    for sharded in (False, True):
        given = _exchanged_in_a_step(rank, sharded)
        if rank == 0:
            (folder / f"{sharded}.json").write_text(json.dumps(given))


def _exchanged_in_a_step(rank: int, sharded: bool) -> dict[str, int]:
    """How many numbers the collectives of a process exchange, by their names."""
    net = archzoo.build("resnet20")
    model = parallelize(net, RunConfig(sharded=sharded), Distributed(rank, 2, torch.device("cpu")))
    images, labels = torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.int64)

    def step() -> None:
        nn.functional.cross_entropy(model(images), labels).backward()
        model.zero_grad()

    for _ in range(3):  # DDP tells its order of gradients once, in the second step
        step()
    with record(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        step()
    given: dict[str, int] = {}
    for event in recorded.events():
        place = (WHOLE_SHARDED if sharded else WHOLE).get(event.name)
        if place is not None:
            given[event.name] = given.get(event.name, 0) + torch.Size(event.input_shapes[place]).numel()
    return given


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(not EVERY_NET, reason="with EVERY_NET=1: seconds")
def test_processes_exchange_what_is_said(tmp_path: Path) -> None:
    run_two(_train, tmp_path)
    cost = estimate("resnet20")
    whole, sharded = (json.loads((tmp_path / f"{sharded}.json").read_text()) for sharded in (False, True))
    # Buffers are float32 but for batch norm's counters of batches, in int64.
    counters = sum(isinstance(module, nn.BatchNorm2d) for module in archzoo.build("resnet20").modules())
    assert sent_by_ddp(cost, 2) == 4 * sum(whole.values()) + 4 * counters
    # Each gathers or scatters one half of two.
    assert sent_by_fsdp(cost, 2) == 4 * sum(sharded.values()) // 2
    assert 4 * sharded["c10d::_reduce_scatter_base_"] == cost.parameters


@pytest.mark.slow
def test_the_page_is_what_the_project_prints() -> None:
    """The lines of some networks, or of all with EVERY_NET=1. Those of memory take minutes: two of them."""
    text = (ROOT / "docs" / "estimate.md").read_text(encoding="utf-8")
    names = archzoo.names() if EVERY_NET else [name for name in CLASSES if not name.startswith("fractalnet")]
    rows = markdown_row(memory_row("lenet5")), markdown_row(memory_row("vgg_d"))
    for part in (*parts(Measured.read(ROOT / "benchmarks" / "committed.json"), names, memory_of=()), *rows):
        for line in part.splitlines():
            assert line in text.splitlines(), "run python -m tools.generate"
    assert all(f"`{name}`" in text for name in archzoo.names())
