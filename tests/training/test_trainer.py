"""Training: what each option promises, and that a run that is stopped or killed loses nothing."""

import csv
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo import cli
from archzoo.data import Batch, EpochBatches, Prepared, Splits
from archzoo.errors import CheckpointError, DataError, Stopped, TrainingError
from archzoo.recipes import Constant, Cosine, MultiStepFraction, ParameterGroup, Recipe, ReduceOnPlateau, StepDecay
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, Score, TrainResult, prefers_channels_last, train
from archzoo.training import _checkpoints as checkpoints
from archzoo.training._logs import no_log
from archzoo.training._precision import prefers_bfloat16, resolve
from archzoo.training._trainer import Trainer
from tests.networks import EVERY_NET
from tests.processes import run_two

SHORT = find_recipe("digits").with_changes(epochs=3, schedule=Constant(), lr=0.1)
# As Caffe and cuda-convnet have them: at twice the rate, without decay.
BIASES_APART = SHORT.with_changes(groups=(ParameterGroup("*.bias", lr_mult=2, decay_mult=0),))


class Runs:
    """Short runs of LeNet-5 on a few digits, each in a directory of its own."""

    def __init__(self, few: Splits, prepared: Prepared, directory: Path) -> None:
        self.few, self.prepared, self.directory = few, prepared, directory

    def __call__(
        self, recipe: Recipe = SHORT, name: str = "run", net: nn.Module | None = None, **config: Any
    ) -> TrainResult:
        torch.manual_seed(0)
        built: Any = net or archzoo.build("lenet5_textbook")
        return train(built, self.few, self.prepared, recipe, self.directory / name, RunConfig(**config), log=no_log)

    def trainer(self, net: Any, recipe: Recipe, name: str = "x", **config: Any) -> Trainer:
        """A trainer whose steps a test makes itself."""
        return make_trainer(Trainer, self, net, recipe, name, RunConfig(**config))


def make_trainer(kind: type[Trainer], run: Runs, net: Any, recipe: Recipe, name: str, config: RunConfig) -> Trainer:
    return kind(
        net,
        run.few,
        run.prepared,
        recipe,
        run.directory / name,
        config,
        distributed=Distributed(),
        description={},
        parameter_groups=None,
        log=no_log,
    )


@pytest.fixture
def run(few: Splits, prepared: Prepared, tmp_path: Path) -> Runs:
    return Runs(few, prepared, tmp_path)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_run_learns_and_writes_what_it_did(run: Runs, tmp_path: Path) -> None:
    result = run(SHORT.with_changes(epochs=25), seed=1)
    assert result.history[-1]["train_error"] < 0.2 < result.history[0]["train_error"]
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 26))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines == result.history
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written == result.result
    assert written["test"]["images"] == 64
    assert written["test"]["protocol"] == "single crop"
    assert written["seed"] == 1
    assert written["recipe"]["name"] == "digits"
    assert written["versions"]["torch"] == torch.__version__


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_and_another_others(run: Runs) -> None:
    first, again, other = run(name="a"), run(name="b"), run(name="c", seed=5)
    assert same(first.state, again.state)
    assert not same(first.state, other.state)


def test_one_iteration_of_momentum_is_what_torch_does(run: Runs, few: Splits, prepared: Prepared) -> None:
    """One batch of all images, without momentum's past: the parameter minus the rate times the gradient."""
    torch.manual_seed(0)
    net = archzoo.build("lenet5_textbook").double().float()
    before = {name: value.clone() for name, value in net.named_parameters()}
    recipe = SHORT.with_changes(batch_size=256, iterations=1, weight_decay=0.01, momentum=0.0, nesterov=False)
    trainer = run.trainer(net, recipe)
    batch = EpochBatches(few.train, prepared.train, 256, 0, 0)[0]
    nn.functional.cross_entropy(net(batch.images), batch.labels).backward()
    gradients = {name: weight.grad.clone() for name, weight in net.named_parameters() if weight.grad is not None}
    net.zero_grad()
    trainer.step(batch)
    for name, value in net.named_parameters():
        expected = before[name] - 0.1 * (gradients[name] + 0.01 * before[name])
        torch.testing.assert_close(value.detach(), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_accumulation_is_the_same_batch_in_parts(run: Runs) -> None:
    whole, parts = run(name="whole"), run(name="parts", accumulate=5)
    for name, value in whole.state.items():
        torch.testing.assert_close(parts.state[name], value, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_bfloat16_and_channels_last_train_too(run: Runs) -> None:
    recipe = SHORT.with_changes(epochs=2)
    plain = run(recipe, "plain", channels_last=False).history[-1]["train_loss"]
    configs: dict[str, dict[str, Any]] = {"half": {"precision": "bfloat16"}, "last": {"channels_last": True}}
    for name, config in configs.items():
        result = run(recipe, name, **config)
        assert result.history[-1]["train_loss"] == pytest.approx(plain, rel=0.02)
        assert all(value.is_contiguous() for value in result.state.values())


def test_the_default_memory_format_is_the_faster_one_and_precision_is_the_papers(run: Runs) -> None:
    result = run(SHORT.with_changes(epochs=1)).result
    assert (result["channels_last"], result["precision"]) == (True, "float32")  # on a CPU
    assert result["config"]["channels_last"] is None  # what was asked for: the same directory resumes on a GPU
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert not prefers_channels_last(gpu, "float32")
    assert prefers_channels_last(gpu, "bfloat16")
    chosen = resolve(RunConfig(precision="auto"), cpu).precision
    assert chosen == ("bfloat16" if prefers_bfloat16(cpu) else "float32")
    assert resolve(RunConfig(channels_last=False), cpu).channels_last is False


def test_clipping_bounds_the_step(run: Runs) -> None:
    torch.manual_seed(0)
    before = nn.utils.parameters_to_vector(archzoo.build("lenet5_textbook").parameters())
    recipe = SHORT.with_changes(
        iterations=1, grad_clip_norm=0.01, lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0
    )
    after = nn.utils.parameters_to_vector(run(recipe).net.parameters())
    assert float((after - before).detach().norm()) == pytest.approx(0.01, rel=1e-3)


def test_averaged_weights_are_the_moving_average(run: Runs, few: Splits, prepared: Prepared) -> None:
    recipe = SHORT.with_changes(ema=0.5, iterations=4, batch_size=64)
    torch.manual_seed(0)
    net = archzoo.build("lenet5_textbook")
    trainer = run.trainer(net, recipe, channels_last=False)  # for vectors of parameters
    order = EpochBatches(few.train, prepared.train, 64, 0, 0)
    expected = None
    for step in range(4):
        trainer.step(order[step])
        now = nn.utils.parameters_to_vector(net.parameters()).detach().clone()
        expected = now if expected is None else 0.5 * expected + 0.5 * now
    averaged = nn.utils.parameters_to_vector(trainer.state.evaluated_net.parameters())
    torch.testing.assert_close(averaged, expected, atol=1e-6, rtol=1e-5)
    assert not torch.equal(averaged, nn.utils.parameters_to_vector(net.parameters()))


@pytest.mark.slow
def test_snapshots_at_the_end_of_each_cosine_are_an_ensemble(run: Runs) -> None:
    recipe = SHORT.with_changes(epochs=6, schedule=Cosine(restarts=3))
    result = run(recipe)
    assert result.ensemble is not None
    assert result.ensemble.images == 64
    state = checkpoints.read(checkpoints.list_checkpoints(run.directory / "run")[0])
    assert len(state["snapshots"]) == 3
    assert same(state["snapshots"][-1], result.state)
    rates = [row["lr"] for row in result.history]
    assert rates[1] < rates[0] < rates[2] * 2
    assert rates[2] == pytest.approx(rates[0])


@pytest.mark.slow
def test_a_schedule_keeps_the_factors_of_groups(run: Runs) -> None:
    groups = (ParameterGroup("*.bias", lr_mult=2), ParameterGroup("classifier.*", lr_mult=0.1))
    recipe = SHORT.with_changes(schedule=StepDecay(1, gamma=0.1), groups=groups)
    stopped_at(13, run, recipe)
    result = run(recipe)
    assert [row["lr"] for row in result.history] == pytest.approx([0.1, 0.01, 0.001])
    saved = torch.load(next((run.directory / "run").glob("checkpoint-*24-*.pt")), weights_only=True)
    rates = [group["lr"] for group in saved["optimizer"]["param_groups"]]
    assert rates == pytest.approx([0.001, 0.002, 0.0001, 0.0002])
    assert same(result.state, run(recipe, name="whole").state)


@pytest.mark.slow
def test_a_plateau_lowers_the_rate_when_validation_stalls(run: Runs) -> None:
    recipe = SHORT.with_changes(epochs=6, lr=1e-9, schedule=ReduceOnPlateau(gamma=0.1, patience=2, drops=2))
    rates = [row["lr"] for row in run(recipe).history]
    assert rates == pytest.approx([1e-9, 1e-9, 1e-9, 1e-10, 1e-10, 1e-11])


@pytest.mark.slow
def test_the_best_epoch_is_tested_where_the_recipe_says_so(run: Runs) -> None:
    recipe = SHORT.with_changes(epochs=8, lr=0.4, momentum=0.95, select="best")
    result = run(recipe)
    best = min(range(8), key=lambda epoch: result.history[epoch]["validation_error"])
    until = run(recipe.with_changes(epochs=best + 1, select="last"), "until")
    assert same(result.state, until.state)
    assert result.result["selected"] == "best validation"


# Stopped, killed, corrupt


def stopped_at(iteration: int, run: Runs, recipe: Recipe, name: str = "run") -> None:
    """A run that gets SIGTERM when it has done so many iterations."""

    class Counting(Trainer):
        def step(self, batch: Any) -> None:
            super().step(batch)
            if self.progress.iteration == iteration:
                os.kill(os.getpid(), signal.SIGTERM)

    torch.manual_seed(0)
    net: Any = archzoo.build("lenet5_textbook")
    trainer = make_trainer(Counting, run, net, recipe, name, RunConfig())
    with pytest.raises(Stopped, match=f"stopped at iteration {iteration}; rerun the command to resume"):
        trainer.run()


@pytest.mark.slow
@pytest.mark.parametrize("iteration", [1, 8, 13])
def test_a_stopped_run_resumes_in_the_middle_of_an_epoch_to_bit_identical_weights(run: Runs, iteration: int) -> None:
    recipe = SHORT.with_changes(ema=0.9, schedule=MultiStepFraction((0.5,)), select="best")
    whole = run(recipe, "whole")
    stopped_at(iteration, run, recipe)
    again = run(recipe)
    assert same(whole.state, again.state)
    timeless = [[row[name] for name in row if "second" not in name] for row in again.history]
    assert timeless == [[row[name] for name in row if "second" not in name] for row in whole.history]


@pytest.mark.slow
def test_a_corrupt_checkpoint_falls_back_to_the_one_before_with_a_warning(run: Runs) -> None:
    whole = run(name="whole")
    stopped_at(20, run, SHORT)
    latest = checkpoints.list_checkpoints(run.directory / "run")[0]
    content = bytearray(latest.read_bytes())
    content[len(content) // 2] ^= 1
    latest.write_bytes(content)
    with pytest.warns(UserWarning, match=rf"{latest.name} cannot be used: its content .*; trying the one before it"):
        again = run()
    assert same(whole.state, again.state)
    for path in checkpoints.list_checkpoints(run.directory / "run"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="digest"), pytest.raises(CheckpointError, match="no checkpoint in .* can be"):
        run()


@pytest.mark.slow
def test_a_half_written_checkpoint_is_no_checkpoint(run: Runs) -> None:
    stopped_at(10, run, SHORT)
    (run.directory / "run" / ".checkpoint-000000999.part").write_bytes(b"half")
    assert same(run().state, run(name="whole").state)


@pytest.mark.slow
def test_two_checkpoints_are_kept(run: Runs) -> None:
    run(SHORT.with_changes(epochs=5))
    names = [path.name[11:20] for path in checkpoints.list_checkpoints(run.directory / "run")]
    assert names == ["000000040", "000000032"]


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(run: Runs) -> None:
    first = run()
    lines: list[str] = []
    torch.manual_seed(0)
    net: Any = archzoo.build("lenet5_textbook")
    again = train(net, run.few, run.prepared, SHORT, run.directory / "run", RunConfig(), log=lines.append)
    assert same(first.state, again.state)
    assert "resuming from iteration 24 of 24" in lines
    assert not [line for line in lines if line.startswith("epoch")]


@pytest.mark.slow
def test_a_directory_of_another_run_is_refused(run: Runs) -> None:
    run()
    with pytest.raises(TrainingError, match=r"another run \(recipe.lr was 0.1, and is 0.2\): choose another directory"):
        run(SHORT.with_changes(lr=0.2))
    with pytest.raises(TrainingError, match="config.seed was 0, and is 3"):
        run(seed=3)


def test_a_full_disk_is_an_error_and_the_last_good_checkpoint_is_kept(tmp_path: Path) -> None:
    good = checkpoints.write(tmp_path, 1, {"net": torch.zeros(10)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # as if there was no more room
    try:
        with pytest.raises(CheckpointError, match=rf"could not write .*; the last good checkpoint is {good}"):
            checkpoints.write(tmp_path, 2, {"net": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == [good]
    assert not checkpoints.read(good)["net"].any()


def test_a_nan_loss_ends_the_run_and_keeps_the_last_checkpoint(run: Runs) -> None:
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
    with pytest.raises(
        TrainingError, match=r"loss is NaN or infinite at iteration 21 \(lr 0.1\).*lower learning rate, such as lr=0.01"
    ) as caught:
        run(SHORT.with_changes(epochs=5), net=net)
    kept = checkpoints.list_checkpoints(run.directory / "run")[0]
    assert "000000016" in kept.name
    assert str(kept) in str(caught.value)


class Breaks(Trainer):
    """A run whose 16th update, the last one of its second epoch, gives a weight that is not finite."""

    value = torch.inf
    also_stops = False

    def step(self, batch: Batch) -> None:
        super().step(batch)
        if self.progress.iteration == (12 if self.also_stops else 16):
            next(self.state.net.parameters()).data.view(-1)[0] = self.value
            self.stop_signal = signal.SIGTERM * self.also_stops


@pytest.mark.parametrize(("value", "also_stops"), [(torch.inf, False), (torch.nan, True)])
def test_weights_that_are_not_finite_are_in_no_checkpoint_and_no_result(
    run: Runs, value: float, also_stops: bool
) -> None:
    """No loss has seen the last update yet."""
    recipe = SHORT.with_changes(epochs=2)
    trainer = make_trainer(Breaks, run, archzoo.build("lenet5_textbook"), recipe, "run", RunConfig())
    assert isinstance(trainer, Breaks)
    trainer.value, trainer.also_stops = value, also_stops
    at = 12 if also_stops else 16
    with pytest.raises(TrainingError, match=f"the weights are NaN or infinite at iteration {at} .*lower learning rate"):
        trainer.run()
    assert [path.name[:20] for path in checkpoints.list_checkpoints(run.directory / "run")] == ["checkpoint-000000008"]
    assert not (run.directory / "run" / "result.json").exists()


def test_memory_that_runs_out_in_a_step_is_said_with_what_takes_less(run: Runs) -> None:
    net = archzoo.build("lenet5_textbook")
    net.register_forward_pre_hook(lambda module, _: torch.empty(2**60).numel() if module.training else None)
    with pytest.raises(TrainingError, match="not enough memory on cpu for batches of 64 images: .* such as 2"):
        run(SHORT.with_changes(batch_size=64), net=net)


def test_a_validation_loss_that_is_not_finite_ends_the_run(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    score = Score(torch.eye(10).long(), 10, math.nan, "single crop", tuple("0123456789"))
    monkeypatch.setattr(Trainer, "_evaluate", lambda *_: score)
    with pytest.raises(TrainingError, match="the validation loss is NaN or infinite at iteration 8 "):
        run()
    assert not checkpoints.list_checkpoints(run.directory / "run")


def test_a_process_whose_launcher_was_killed_stops_with_a_checkpoint(
    run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = run.trainer(archzoo.build("lenet5_textbook"), SHORT, "run")
    launcher = os.getppid()
    trainer.distributed = replace(trainer.distributed, launcher=launcher)
    monkeypatch.setattr(os, "getppid", lambda: launcher if trainer.progress.iteration < 3 else 1)
    with pytest.raises(Stopped, match="stopped at iteration 3; rerun the command"):
        trainer.run()
    assert [path.name[:20] for path in checkpoints.list_checkpoints(run.directory / "run")] == ["checkpoint-000000003"]


def test_data_that_vanishes_ends_the_run_with_its_name(run: Runs, tmp_path: Path) -> None:
    gone = replace(run.few.train, file=tmp_path / "gone.u8")
    with pytest.raises(DataError, match=r"the images of digits are gone: .*gone.u8"):
        Runs(replace(run.few, train=gone), run.prepared, tmp_path)()


@pytest.mark.parametrize(
    ("changes", "config", "message"),
    [
        ({"optimizer": "sdg"}, {}, "torch.optim has no optimizer 'sdg': did you mean 'sgd'"),
        ({"batch_size": 300}, {}, "batch_size must be at most the 256 images of digits, not 300"),
        ({"regularizers": ("dropin",)}, {}, "regularizers must be a tuple of regularizers, not"),
        ({"decay_scope": "some"}, {}, "decay_scope must be 'all' or 'weights', not 'some'"),
        ({"groups": (ParameterGroup("*.biass"),)}, {}, "no parameter of the network matches '.*.biass' of groups"),
        ({"batch_norm_images": 64}, {}, "batch_norm_images is for networks with batch norm"),
        ({"protocol": "twice"}, {}, "protocol must be a protocol, not 'twice'"),
        ({"optimizer": "rprop"}, {}, "optimizer rprop takes no weight decay: set weight_decay=0"),
        ({}, {"accumulate": 0}, "accumulate must be an integer from 1 to 32, not 0"),
        ({}, {"sharded": True}, "FSDP shards parameters over processes"),
        ({}, {"precision": "float16"}, "float16 needs an accelerator"),
    ],
)
def test_what_cannot_be_done_is_refused_before_training(
    run: Runs, changes: dict[str, Any], config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(SHORT.with_changes(**changes), **config)
    assert not (run.directory / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adagrad", "rmsprop", "adam", "adamax", "nadam", "almost_adam", "caffe_sgd"])
def test_every_optimizer_of_the_field_trains(run: Runs, name: str) -> None:
    recipe = SHORT.with_changes(
        optimizer=name, lr=0.05 if name in ("sgd", "caffe_sgd") else 0.002, epochs=3, weight_decay=0.0
    )
    history = run(recipe).history
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.slow
def test_tensorboard_reads_what_was_logged(run: Runs) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = run(tensorboard=True)
    events = reader.EventAccumulator(str(run.directory / "run" / "tensorboard")).Reload().Scalars("train_loss")
    assert [event.step for event in events] == [1, 2, 3]
    assert [event.value for event in events] == pytest.approx([row["train_loss"] for row in result.history])


# The command, in processes that are killed


CHANGES = ("epochs=6", "groups=ParameterGroup('*.bias', lr_mult=2, decay_mult=0)")


def words(folder: Path, *more: str, processes: int = 1) -> list[str]:
    """``archzoo train`` of LeNet-5 on the digits."""
    command = ["archzoo", "train", "lenet5_textbook", "--data", "digits", "batch_size=64", *more]
    return [*command, "--output", str(folder), "--nproc", str(processes), "--device", "cpu"]


def run_whole(folder: Path, processes: int) -> None:
    """The command to its end, in this process where it is one: it need not import torch."""
    if processes == 1:
        with patch.object(sys, "argv", words(folder, *CHANGES)), pytest.raises(SystemExit) as done:
            cli.main()
        assert done.value.code in (0, None)
    else:
        command = Command(folder, *CHANGES, processes=processes)
        assert command.wait() == 0, command.output.read_text()


class Command:
    """The command in a process of its own; what it says goes to a file."""

    def __init__(self, folder: Path, *more: str, processes: int = 1) -> None:
        self.folder = folder
        self.output = folder.with_suffix(".output")
        command = [sys.executable, "-m", *words(folder, *more, processes=processes)]
        with self.output.open("w") as output:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            self.process = subprocess.Popen(command, env=environment, stderr=output, stdout=output)

    def wait(self) -> int:
        return self.process.wait(timeout=180)

    def wait_for(self, iteration: int) -> None:
        """Until it has written a checkpoint of a late enough iteration."""
        end = time.monotonic() + 120
        while latest_iteration(self.folder) < iteration:
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)


def latest_iteration(folder: Path) -> int:
    """Of the checkpoints there are."""
    return max((int(path.name[11:20]) for path in checkpoints.list_checkpoints(folder)), default=-1)


def alive(pids: Sequence[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in _status(pid)]


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def children(pid: int) -> list[int]:
    direct = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return direct + [below for child in direct for below in children(child)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The directory of a run of so many processes that nobody stopped."""
    directory = tmp_path_factory.mktemp("whole")

    @cache
    def run(processes: int) -> Path:
        run_whole(directory / str(processes), processes)
        return directory / str(processes)

    return run


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(sys.platform != "linux", reason="processes end with their launcher on Linux only")
@pytest.mark.skipif(not EVERY_NET, reason="starts four processes: with EVERY_NET=1. test_released_data.py kills two")
@pytest.mark.parametrize("processes", [1, 2])
def test_stopped_and_killed_the_rerun_command_ends_with_bit_identical_weights(
    tmp_path: Path, processes: int, whole: Callable[[int], Path]
) -> None:
    folder = tmp_path / "run"
    stopped = Command(folder, *CHANGES, processes=processes)
    stopped.wait_for(10)  # iterations, of 20 an epoch
    stopped.process.terminate()
    assert stopped.wait() == 143
    output = stopped.output.read_text()
    assert "rerun the command to resume" in output
    assert "Traceback" not in output
    reached = latest_iteration(folder)
    killed = Command(folder, *CHANGES, processes=processes)
    killed.wait_for(reached + 1)
    workers = children(killed.process.pid)
    killed.process.kill()
    killed.wait()
    end = time.monotonic() + 10
    while alive(workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(workers)  # they end with their launcher, which could not tell them
    assert not (folder / "result.json").exists()
    assert f"resuming from iteration {reached} of 120" in killed.output.read_text()
    run_whole(folder, processes)
    states = [archzoo.load(path / "net.safetensors").state_dict() for path in (whole(processes), folder)]
    assert same(*states)


def _train_a_share(rank: int, folder: Path, few: Splits, prepared: Prepared) -> None:
    """One of two processes: a run with the parameters in both, and one in which each has half of them."""
    for sharded in (False, True):
        torch.manual_seed(0)
        net, directory = archzoo.build("lenet5_textbook"), folder / f"sharded-{sharded}"
        config, distributed = RunConfig(sharded=sharded), Distributed(rank, 2)
        done = train(net, few, prepared, BIASES_APART, directory, config, distributed=distributed, log=no_log)
        if rank == 0:
            torch.save((done.state, done.result["test"]["confusion"]), f"{directory}.pt")


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(
    not EVERY_NET, reason="with EVERY_NET=1. test_released_data.py and test_two_processes.py ask it in small"
)
def test_two_processes_train_as_one_does(few: Splits, prepared: Prepared, run: Runs, tmp_path: Path) -> None:
    """LeNet-5 has no batch norm, whose statistics are each process's own."""
    alone = run(BIASES_APART, "alone")
    run_two(_train_a_share, tmp_path, few, prepared)
    for sharded in (False, True):
        state, confusion = torch.load(tmp_path / f"sharded-{sharded}.pt")
        assert state.keys() == alone.state.keys()
        for name, value in alone.state.items():
            torch.testing.assert_close(state[name], value, atol=1e-4, rtol=1e-3)
        assert confusion == alone.result["test"]["confusion"]


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(not EVERY_NET, reason="starts five processes: with EVERY_NET=1")
def test_the_command_trains_with_two_processes_as_with_one(tmp_path: Path, whole: Callable[[int], Path]) -> None:
    sharded = Command(tmp_path / "sharded", *CHANGES, "--fsdp", processes=2)
    assert sharded.wait() == 0, sharded.output.read_text()
    directories = [whole(1), whole(2), sharded.folder]
    states = [archzoo.load(directory / "net.safetensors").state_dict() for directory in directories]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(states[2][name], value, atol=1e-4, rtol=1e-3)
    results = [json.loads((directory / "result.json").read_text()) for directory in directories]
    assert results[0]["test"]["confusion"] == results[1]["test"]["confusion"] == results[2]["test"]["confusion"]


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(not EVERY_NET, reason="starts three processes: with EVERY_NET=1")
def test_two_processes_train_several_seeds(tmp_path: Path) -> None:
    seeds = Command(tmp_path / "seeds", "epochs=1", "--seed", "0,1", processes=2)
    assert seeds.wait() == 0, seeds.output.read_text()
    assert "of 2 runs" in seeds.output.read_text()


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(not EVERY_NET, reason="minutes: with EVERY_NET=1")
def test_networks_that_draw_their_paths_are_sharded_interrupted_and_resumed() -> None:
    script = Path(archzoo.__file__).parents[1] / "benchmarks" / "attack_training.py"
    names = ("lenet5", "stochastic_depth_110", "fractalnet_5_16")
    command = [sys.executable, str(script), "networks", "--networks", *names]
    environment = {name: value for name, value in os.environ.items() if name != "EVERY_NET"}  # in its full depth
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600, env=environment)
    name, tries, failures = done.stdout.strip("| \n").split(" | ")
    assert (name, failures) == ("networks", "0"), done.stderr
    # Of each network four runs, and a sharded one beside one process; DDP beside it where no paths are drawn.
    assert int(tries) == 16
