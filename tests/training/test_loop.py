"""Training: what each setting promises, and that nothing is lost when a run is stopped, killed or damaged."""

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.data.loading import EpochBatches
from archzoo.data.preprocessing import Prepared
from archzoo.data.splits import Splits
from archzoo.errors import CheckpointError, DataError, Stopped, TrainingError
from archzoo.training import checkpoints
from archzoo.training.distributed import Distributed
from archzoo.training.engine import RunConfig, bfloat16_wins, channels_last_wins, resolved
from archzoo.training.recipes import Recipe, find_recipe
from archzoo.training.schedules import Constant, Cosine, Plateau, Shares
from archzoo.training.trainer import Run, TrainResult, train

SHORT = find_recipe("digits").with_(length=3, schedule=Constant(), lr=0.1)


class Runs:
    """Short runs of LeNet-5 on a few digits, each in a folder of its own."""

    def __init__(self, few: Splits, prepared: Prepared, folder: Path) -> None:
        self.few, self.prepared, self.folder = few, prepared, folder

    def __call__(
        self, recipe: Recipe = SHORT, name: str = "run", net: nn.Module | None = None, **settings: Any
    ) -> TrainResult:
        torch.manual_seed(0)
        made: Any = net or archzoo.build("lenet5_textbook")
        return train(
            made, self.few, self.prepared, recipe, self.folder / name, RunConfig(**settings), say=lambda _: None
        )


@pytest.fixture
def run(few: Splits, prepared: Prepared, tmp_path: Path) -> Runs:
    return Runs(few, prepared, tmp_path)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_learns_and_says_what_it_did(run: Runs, tmp_path: Path) -> None:
    outcome = run(SHORT.with_(length=25), seed=1)
    assert outcome.history[-1]["train_error"] < 0.2 < outcome.history[0]["train_error"]
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 26))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines == outcome.history
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["test"]["pictures"] == 64
    assert result["test"]["protocol"] == "single view"
    assert result["seed"] == 1
    assert result["recipe"]["name"] == "digits"
    assert result["versions"]["torch"] == torch.__version__


def test_the_same_seed_gives_the_same_bits_and_another_others(run: Runs) -> None:
    first, again, other = run(name="a"), run(name="b"), run(name="c", seed=5)
    assert same(first.state, again.state)
    assert not same(first.state, other.state)


def test_one_iteration_of_momentum_is_what_torch_does(run: Runs, few: Splits, prepared: Prepared) -> None:
    """One batch of all pictures, without momentum's past: the parameter minus the rate times the gradient."""
    torch.manual_seed(0)
    net = archzoo.build("lenet5_textbook").double().float()
    before = {name: value.clone() for name, value in net.named_parameters()}
    recipe = SHORT.with_(batch=256, length=1, unit="iterations", weight_decay=0.01, momentum=0.0, nesterov=False)
    made = Run(net, few, prepared, recipe, run.folder / "x", RunConfig(), Distributed(), {}, None, lambda _: None)
    batch = EpochBatches(few.train, prepared.train, 256, 0, 0)[0]
    nn.functional.cross_entropy(net(batch.images), batch.labels).backward()
    gradients = {name: one.grad.clone() for name, one in net.named_parameters() if one.grad is not None}
    net.zero_grad()
    made.step(batch)
    for name, value in net.named_parameters():
        expected = before[name] - 0.1 * (gradients[name] + 0.01 * before[name])
        torch.testing.assert_close(value.detach(), expected, atol=1e-6, rtol=1e-4)


def test_accumulation_is_the_same_batch_in_parts(run: Runs) -> None:
    whole, parts = run(name="whole"), run(name="parts", accumulate=5)
    for name, value in whole.state.items():
        torch.testing.assert_close(parts.state[name], value, atol=1e-4, rtol=1e-3)


def test_bfloat16_and_channels_last_train_too(run: Runs) -> None:
    recipe = SHORT.with_(length=2)
    plain = run(recipe, "plain", channels_last=False).history[-1]["train_loss"]
    for name, settings in {"half": {"precision": "bfloat16"}, "last": {"channels_last": True}}.items():
        outcome = run(recipe, name, **settings)
        assert outcome.history[-1]["train_loss"] == pytest.approx(plain, rel=0.02)
        assert all(value.is_contiguous() for value in outcome.state.values())


def test_the_default_layout_is_that_which_wins_and_precision_is_the_papers(run: Runs) -> None:
    told = run(SHORT.with_(length=1)).result
    assert (told["channels_last"], told["precision"]) == (True, "float32")  # on a CPU
    assert told["settings"]["channels_last"] is None  # what was asked for: the same folder goes on on a GPU
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert not channels_last_wins(gpu, "float32")
    assert channels_last_wins(gpu, "bfloat16")
    chosen = resolved(RunConfig(precision="auto"), cpu).precision
    assert chosen == ("bfloat16" if bfloat16_wins(cpu) else "float32")
    assert resolved(RunConfig(channels_last=False), cpu).channels_last is False


def test_clipping_bounds_the_step(run: Runs) -> None:
    torch.manual_seed(0)
    before = nn.utils.parameters_to_vector(archzoo.build("lenet5_textbook").parameters())
    recipe = SHORT.with_(length=1, unit="iterations", clip=0.01, lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)
    after = nn.utils.parameters_to_vector(run(recipe).net.parameters())
    assert float((after - before).detach().norm()) == pytest.approx(0.01, rel=1e-3)


def test_averaged_weights_are_the_moving_average(run: Runs, few: Splits, prepared: Prepared) -> None:
    recipe = SHORT.with_(ema=0.5, length=4, unit="iterations", batch=64)
    torch.manual_seed(0)
    net = archzoo.build("lenet5_textbook")
    settings = RunConfig(channels_last=False)  # for vectors of parameters
    made = Run(net, few, prepared, recipe, run.folder / "x", settings, Distributed(), {}, None, lambda _: None)
    order = EpochBatches(few.train, prepared.train, 64, 0, 0)
    expected = None
    for step in range(4):
        made.step(order[step])
        now = nn.utils.parameters_to_vector(net.parameters()).detach().clone()
        expected = now if expected is None else 0.5 * expected + 0.5 * now
    averaged = nn.utils.parameters_to_vector(made.judged.parameters())
    torch.testing.assert_close(averaged, expected, atol=1e-6, rtol=1e-5)
    assert not torch.equal(averaged, nn.utils.parameters_to_vector(net.parameters()))


def test_snapshots_at_the_end_of_each_cosine_are_an_ensemble(run: Runs) -> None:
    recipe = SHORT.with_(length=6, schedule=Cosine(restarts=3))
    outcome = run(recipe)
    assert outcome.ensemble is not None
    assert outcome.ensemble.pictures == 64
    state = checkpoints.read_latest(run.folder / "run")
    assert state is not None
    assert len(state["snapshots"]) == 3
    assert same(state["snapshots"][-1], outcome.state)
    rates = [row["lr"] for row in outcome.history]
    assert rates[1] < rates[0] < rates[2] * 2
    assert rates[2] == pytest.approx(rates[0])


def test_a_plateau_lowers_the_rate_when_validation_stalls(run: Runs) -> None:
    recipe = SHORT.with_(length=6, lr=1e-9, schedule=Plateau(by=0.1, patience=2, drops=2))
    rates = [row["lr"] for row in run(recipe).history]
    assert rates == pytest.approx([1e-9, 1e-9, 1e-9, 1e-10, 1e-10, 1e-11])


def test_the_best_epoch_is_tested_where_the_recipe_says_so(run: Runs) -> None:
    recipe = SHORT.with_(length=8, lr=0.4, momentum=0.95, tested="best")
    outcome = run(recipe)
    best = min(range(8), key=lambda epoch: outcome.history[epoch]["validation_error"])
    until = run(recipe.with_(length=best + 1, tested="last"), "until")
    assert same(outcome.state, until.state)
    assert outcome.result["tested"] == "best validation"


# Stopped, killed, damaged


def stopped_at(iteration: int, run: Runs, recipe: Recipe, name: str = "run") -> None:
    """A run that gets SIGTERM when it has done so many iterations."""

    class Counting(Run):
        def step(self, batch: Any) -> None:
            super().step(batch)
            if self.progress.iteration == iteration:
                os.kill(os.getpid(), signal.SIGTERM)

    torch.manual_seed(0)
    net: Any = archzoo.build("lenet5_textbook")
    made = Counting(
        net, run.few, run.prepared, recipe, run.folder / name, RunConfig(), Distributed(), {}, None, lambda _: None
    )
    with pytest.raises(Stopped, match=f"stopped at iteration {iteration}: the same command goes on"):
        made.to_the_end()


@pytest.mark.parametrize("iteration", [1, 8, 13])
def test_a_stopped_run_goes_on_in_the_middle_of_an_epoch_to_the_same_bits(run: Runs, iteration: int) -> None:
    recipe = SHORT.with_(ema=0.9, schedule=Shares((0.5,)), tested="best")
    whole = run(recipe, "whole")
    stopped_at(iteration, run, recipe)
    again = run(recipe)
    assert same(whole.state, again.state)
    timeless = [[row[name] for name in row if "second" not in name] for row in again.history]
    assert timeless == [[row[name] for name in row if "second" not in name] for row in whole.history]


def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(run: Runs) -> None:
    whole = run(name="whole")
    stopped_at(20, run, SHORT)
    latest = checkpoints.found(run.folder / "run")[0]
    damaged = bytearray(latest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    latest.write_bytes(damaged)
    with pytest.warns(UserWarning, match=rf"{latest.name} is damaged \(its bytes .*going on from the one before"):
        again = run()
    assert same(whole.state, again.state)
    for path in checkpoints.found(run.folder / "run"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(CheckpointError, match="all checkpoints in"):
        run()


def test_a_half_written_checkpoint_is_no_checkpoint(run: Runs) -> None:
    stopped_at(10, run, SHORT)
    (run.folder / "run" / ".checkpoint-000000999.part").write_bytes(b"half")
    assert same(run().state, run(name="whole").state)


def test_two_checkpoints_are_kept(run: Runs) -> None:
    run(SHORT.with_(length=5))
    names = [path.name[11:20] for path in checkpoints.found(run.folder / "run")]
    assert names == ["000000040", "000000032"]


def test_a_finished_run_is_not_trained_again(run: Runs) -> None:
    first = run()
    lines: list[str] = []
    torch.manual_seed(0)
    net: Any = archzoo.build("lenet5_textbook")
    again = train(net, run.few, run.prepared, SHORT, run.folder / "run", RunConfig(), say=lines.append)
    assert same(first.state, again.state)
    assert lines[0] == "going on from iteration 24 of 24"
    assert not [line for line in lines if line.startswith("epoch")]


def test_a_folder_of_another_run_is_refused(run: Runs) -> None:
    run()
    with pytest.raises(TrainingError, match=r"another run \(recipe.lr was 0.1, and is 0.2\): choose another folder"):
        run(SHORT.with_(lr=0.2))
    with pytest.raises(TrainingError, match="settings.seed was 0, and is 3"):
        run(seed=3)


def test_a_full_disk_is_said_and_the_last_good_checkpoint_kept(tmp_path: Path) -> None:
    good = checkpoints.write(tmp_path, 1, {"net": torch.zeros(10)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # as if there was no more room
    try:
        with pytest.raises(CheckpointError, match=rf"could not write .*; the last good one is {good}"):
            checkpoints.write(tmp_path, 2, {"net": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == [good]
    state = checkpoints.read_latest(tmp_path)
    assert state is not None
    assert not state["net"].any()


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint(run: Runs) -> None:
    class Breaking(nn.Module):
        """A part that gives nan from its 20th batch on."""

        def __init__(self) -> None:
            super().__init__()
            self.batches = 0

        def forward(self, maps: Tensor) -> Tensor:
            self.batches += self.training
            return maps * (torch.nan if self.batches > 20 else 1)

    net = archzoo.build("lenet5_textbook")
    net.features.add_module("breaking", Breaking())
    with pytest.raises(TrainingError, match=r"no number any more at iteration 21 \(rate 0.1\).*lr=0.01") as caught:
        run(SHORT.with_(length=5), net=net)
    kept = checkpoints.found(run.folder / "run")[0]
    assert "000000016" in kept.name
    assert str(kept) in str(caught.value)


def test_data_that_vanishes_ends_the_run_with_its_name(run: Runs, tmp_path: Path) -> None:
    gone = replace(run.few.train, file=tmp_path / "gone.u8")
    with pytest.raises(DataError, match=r"the pictures of digits are gone: .*gone.u8"):
        Runs(replace(run.few, train=gone), run.prepared, tmp_path)()


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"optimizer": "sdg"}, {}, "torch.optim has no 'sdg'; it has adadelta"),
        ({"batch": 300}, {}, "a batch of 300 is more than the 256 pictures"),
        ({"regularizers": ("dropin",)}, {}, "no regularizer 'dropin'; there are 'dropout 0.5'"),
        ({"decay_scope": "some"}, {}, "the scope of weight decay is all or weights"),
        ({"protocol": "twice"}, {}, "no protocol 'twice'"),
        ({}, {"accumulate": 0}, "accumulate must be at least 1"),
        ({}, {"sharded": True}, "FSDP shares parameters out among processes"),
        ({}, {"precision": "float16"}, "float16 needs an accelerator"),
    ],
)
def test_what_cannot_be_done_is_refused_before_training(
    run: Runs, changes: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(SHORT.with_(**changes), **settings)
    assert not (run.folder / "run").exists()


@pytest.mark.parametrize("name", ["sgd", "adagrad", "rmsprop", "adam", "adamax", "nadam"])
def test_every_optimizer_of_the_field_trains(run: Runs, name: str) -> None:
    recipe = SHORT.with_(optimizer=name, lr=0.05 if name == "sgd" else 0.002, length=6, momentum=0.9, nesterov=False)
    history = run(recipe).history
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_tensorboard_reads_what_was_logged(run: Runs) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    outcome = run(tensorboard=True)
    events = reader.EventAccumulator(str(run.folder / "run" / "tensorboard")).Reload().Scalars("train_loss")
    assert [event.step for event in events] == [1, 2, 3]
    assert [event.value for event in events] == pytest.approx([row["train_loss"] for row in outcome.history])


# The command, in processes that are killed


class Command:
    """``archzoo train`` of LeNet-5 on the digits, in a process of its own; what it says goes to a file."""

    def __init__(self, folder: Path, *more: str, processes: int = 1) -> None:
        self.folder = folder
        self.said = folder.with_suffix(".said")
        command = [sys.executable, "-m", "archzoo", "train", "lenet5_textbook", "--data", "digits", "batch=64"]
        command += [*more, "--output", str(folder), "--nproc", str(processes), "--device", "cpu"]
        with self.said.open("w") as said:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            self.process = subprocess.Popen(command, env=environment, stderr=said, stdout=said)

    def wait(self) -> int:
        return self.process.wait(timeout=180)

    def wait_for(self, iteration: int) -> None:
        """Until it has written a checkpoint of a late enough iteration."""
        end = time.monotonic() + 120
        while not any(int(path.name[11:20]) >= iteration for path in checkpoints.found(self.folder)):
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)


def alive(pids: Sequence[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in _status(pid)]


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def children(pid: int) -> list[int]:
    found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [below for one in found for below in children(one)]


@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(sys.platform != "linux", reason="processes end with their launcher on Linux only")
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_at_any_moment_the_same_command_ends_with_the_same_bits(tmp_path: Path, processes: int) -> None:
    epochs = "length=10"
    whole = Command(tmp_path / "whole", epochs, processes=processes)
    assert whole.wait() == 0, whole.said.read_text()
    for after in (40, 100) if processes == 1 else (60,):  # iterations, of 20 an epoch
        killed = Command(tmp_path / "killed", epochs, processes=processes)
        killed.wait_for(after)
        workers = children(killed.process.pid)
        killed.process.kill()
        killed.wait()
        end = time.monotonic() + 10
        while alive(workers) and time.monotonic() < end:
            time.sleep(0.05)
        assert not alive(workers)  # they end with their launcher, which could not tell them
        assert not (tmp_path / "killed" / "result.json").exists()
    last = Command(tmp_path / "killed", epochs, processes=processes)
    assert last.wait() == 0, last.said.read_text()
    assert "going on from iteration" in last.said.read_text()
    states = [archzoo.load(tmp_path / name / "net.safetensors").state_dict() for name in ("whole", "killed")]
    assert same(*states)


@pytest.mark.xdist_group("processes")
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """LeNet-5 has no batch norm, whose statistics are each process's own."""
    for name, processes, more in (("one", 1, ()), ("two", 2, ()), ("shared", 2, ("--fsdp",))):
        run = Command(tmp_path / name, "length=3", *more, processes=processes)
        assert run.wait() == 0, run.said.read_text()
    states = [archzoo.load(tmp_path / name / "net.safetensors").state_dict() for name in ("one", "two", "shared")]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(states[2][name], value, atol=1e-4, rtol=1e-3)
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two", "shared")]
    assert results[0]["test"]["confusion"] == results[1]["test"]["confusion"] == results[2]["test"]["confusion"]


@pytest.mark.xdist_group("processes")
def test_sigterm_is_a_clean_stop(tmp_path: Path) -> None:
    run = Command(tmp_path / "run", "length=400")
    run.wait_for(20)
    run.process.terminate()
    assert run.wait() == 143
    said = run.said.read_text()
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
