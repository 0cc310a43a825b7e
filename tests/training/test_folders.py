"""One folder, one run: locked, described, and checked; and disks that fail at any file."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

import archzoo
from archzoo import files
from archzoo.data import Batch, Prepared, Splits
from archzoo.errors import CheckpointError, TrainingError
from archzoo.models.stochastic_depth import StochasticBlock
from archzoo.recipes import Constant
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, TrainResult, train
from archzoo.training import _checkpoints as checkpoints
from archzoo.training import _locking as locking
from archzoo.training._exclusive import one_at_a_time
from archzoo.training._locking import Lock
from archzoo.training._machines import describe_differences, describe_machine
from archzoo.training._shared_paths import shared_paths
from archzoo.training._steps import split_batch
from archzoo.training._writing import writing
from archzoo.weights import save

RECIPE = find_recipe("digits").with_changes(epochs=2, schedule=Constant(), lr=0.1, batch_size=128)
# Another process that holds a lock as any program would, by the system's own call.
HOLDER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(file, fcntl.LOCK_EX)
os.write(file, f"{os.getpid()} {os.uname().nodename}".encode())
print("held", flush=True)
sys.stdin.read()
"""

Run = Callable[..., TrainResult]


@pytest.fixture
def run(few: Splits, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(locking, "PATIENCE", 0.1)

    def run(name: str = "run", lines: list[str] | None = None, **config: Any) -> TrainResult:
        torch.manual_seed(0)
        net: Any = archzoo.build("lenet5_textbook")
        said = [] if lines is None else lines
        return train(net, few, prepared, RECIPE, tmp_path / name, RunConfig(**config), log=said.append)

    return run


def same(first: TrainResult, second: TrainResult) -> bool:
    return all(torch.equal(value, second.state[name]) for name, value in first.state.items())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no POSIX locks")
def test_a_second_run_is_refused_with_the_process_of_the_first_until_that_ends(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-S", "-c", HOLDER, str(folder / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(TrainingError, match=rf"run is in use by process {holder.pid}: wait until it ends"):
            run()
        assert [path.name for path in folder.iterdir()] == [".lock"]
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    run()


def test_two_runs_of_one_process_do_not_share_a_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    lock = Lock(tmp_path / "run")
    with pytest.raises(TrainingError, match=f"in use by process {os.getpid()}, this one"):
        run()
    lock.release()
    run()


def test_trainings_of_two_threads_do_not_draw_from_the_same_generators(run: Run) -> None:
    begun, ended = threading.Event(), threading.Event()

    def train_elsewhere() -> None:
        with one_at_a_time(), one_at_a_time():  # a job trains
            begun.set()
            ended.wait()

    thread = threading.Thread(target=train_elsewhere)
    thread.start()
    begun.wait()
    try:
        with pytest.raises(TrainingError, match="another thread of this process is training, and both would draw"):
            run()
    finally:
        ended.set()
        thread.join()
    torch.manual_seed(0)
    archzoo.build("lenet5_textbook")  # as run does before it trains
    before = torch.get_rng_state()
    run()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_is_removed_or_replaced_ends_the_run(tmp_path: Path, replaced: bool) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    lock = Lock(folder)
    lock.check()
    folder.rename(tmp_path / "moved")
    if replaced:
        folder.mkdir()
        (folder / ".lock").write_text("1")
    with pytest.raises(TrainingError, match="run was removed, moved or replaced .*: move it back and rerun"):
        lock.check()
    lock.release()


@pytest.mark.parametrize("name", ["run.json", "log.csv", "result.json", "net.safetensors", "predictions.png", ".lock"])
def test_what_is_no_file_in_the_folder_is_refused_at_once(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / name)
    with pytest.raises(TrainingError, match=rf"{name} is a FIFO, not a file: remove it"):
        run()


def test_a_fifo_that_is_called_as_a_checkpoint_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / f"checkpoint-000000009-{'0' * 16}.pt")
    os.mkfifo(tmp_path / "run" / ".checkpoint-000000004.part")
    run()


def test_a_damaged_description_is_written_anew_where_the_checkpoints_are_of_the_run(run: Run, tmp_path: Path) -> None:
    first = run()
    file = tmp_path / "run" / "run.json"
    description = file.read_text()
    for damaged in ("", "[1]", description[:40]):
        file.write_text(damaged)
        with pytest.warns(UserWarning, match="run.json is damaged"):
            assert same(run(), first)
        assert file.read_text() == description
    file.write_text("")
    with (
        pytest.warns(UserWarning, match=r"run.json is damaged|it belongs to another run"),
        pytest.raises(CheckpointError, match=r"no checkpoint in .* can be used \(it belongs to another run\)"),
    ):
        run(seed=1)


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_not_resumed_from(run: Run, tmp_path: Path) -> None:
    whole = run("whole")
    run("other", seed=1)
    run()
    latest = checkpoints.list_checkpoints(tmp_path / "run")[0]
    latest.unlink()
    shutil.copy(checkpoints.list_checkpoints(tmp_path / "other")[0], tmp_path / "run")
    with pytest.warns(UserWarning, match="cannot be used: it belongs to another run; trying the one before it"):
        assert same(run(), whole)
    assert [path.suffix for path in (tmp_path / "run").glob("checkpoint-000000004*")].count(".unusable") == 1


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def changed(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {**state, name: value}


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no optimizer": without("optimizer"),
    "a list": lambda state: [state],
    "no tensors": changed("net", {}),
    "other shapes": lambda state: {**state, "net": {name: value[:1] for name, value in state["net"].items()}},
    "other types": lambda state: {**state, "net": {name: value.double() for name, value in state["net"].items()}},
    "other progress": changed("progress", {"iteration": 4}),
    "another iteration": lambda state: {**state, "progress": {**state["progress"], "iteration": 2}},
    "an endless loss": lambda state: {**state, "progress": {**state["progress"], "loss": float("inf")}},
    "no groups": changed("optimizer", {"state": {}, "param_groups": []}),
    "odd momentum": changed("optimizer", {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": []}),
    "a text": changed("snapshots", "none"),
}


@pytest.mark.slow
def test_checkpoints_of_a_right_digest_and_wrong_content_are_passed_over(run: Run, tmp_path: Path) -> None:
    whole = run("whole")
    run()
    latest, before = checkpoints.list_checkpoints(tmp_path / "run")
    state = checkpoints.read(latest)
    kept = latest.read_bytes(), before.read_bytes()
    for content in WRONG.values():
        for path in (tmp_path / "run").glob("checkpoint-*"):
            path.unlink()
        before.write_bytes(kept[1])
        checkpoints.write(tmp_path / "run", 4, content(state))
        with pytest.warns(UserWarning, match="cannot be used: it"):
            assert same(run(), whole)


def test_another_number_of_processes_or_threads_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    checkpoints.list_checkpoints(tmp_path / "run")[0].unlink()
    threads = torch.get_num_threads()
    lines: list[str] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    run(lines=lines)
    assert any(f"it had threads {threads}, here {threads + 1}" in line for line in lines)
    assert describe_differences(describe_machine(Distributed()), describe_machine(Distributed())) == ""
    one, two = (describe_machine(Distributed(0, count)) for count in (1, 2))
    assert describe_differences(two, one) == "processes 2, here 1"


FAILING = ("run.json", "log.csv", "log.jsonl", "result.json", "checkpoint-000000004")


ADVICE = {errno.ENOSPC: "No space left on device: make room", errno.EROFS: "Read-only file system: make it writable"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), [*((name, errno.ENOSPC) for name in FAILING), ("log.csv", errno.EROFS)])
def test_a_disk_that_fails_at_any_file_is_one_line_and_loses_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    replace = os.replace

    def fail(source: Path, target: Path) -> None:
        if target.name.startswith(name):
            raise OSError(number, os.strerror(number))
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(TrainingError, match=rf"could not write .*{name}: {ADVICE[number]}") as caught:
            run()
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "run").glob(".*.part*"))
    assert same(run(), run("whole"))
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "No space left on device: make room there"), (errno.EROFS, "Read-only file system: make it writ")],
)
def test_a_disk_without_room_for_the_trained_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    file = tmp_path / "net.safetensors"
    with pytest.raises(TrainingError, match=f"could not write {file}: {message}"), writing(file):
        save(archzoo.build("lenet5_textbook"), file, "lenet5_textbook")


def test_two_writers_of_one_file_have_temporary_files_of_their_own(tmp_path: Path) -> None:
    target = tmp_path / "log.csv"
    with files.atomic_write(target) as first, files.atomic_write(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"  # which ended last
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


# Steps of several processes


@pytest.mark.parametrize(
    ("images", "accumulate", "processes", "sizes"),
    [
        (7, 3, 1, [3, 2, 2]),
        (2, 3, 1, [1, 1]),
        (5, 4, 2, [2, 1, 1, 1]),  # of a batch of 9: the other process has 4 images, and four parts too
        (3, 4, 2, [1, 1, 1, -1]),  # two of them were corrupt
        (4, 8, 2, [1, 1, 1, 1]),
    ],
)
def test_all_processes_run_as_many_parts_of_a_batch(
    images: int, accumulate: int, processes: int, sizes: list[int]
) -> None:
    batch = Batch(torch.arange(float(images)).view(-1, 1, 1, 1), torch.arange(images), 9 if processes == 2 else images)
    parts = split_batch(batch, accumulate, processes)
    assert [len(labels) if weight else -len(labels) for _, labels, weight in parts] == sizes
    assert torch.equal(torch.cat([labels for _, labels, weight in parts if weight]), batch.labels)


def test_sharded_processes_draw_the_same_paths_and_other_dropout() -> None:
    blocks = nn.Sequential(*(StochasticBlock(nn.Sequential(nn.Identity()), nn.Identity(), 0.5) for _ in range(20)))
    ones = torch.ones(1, 1, 2, 2)

    def draw(own_seed: int, path_seed: int) -> tuple[float, float]:
        torch.manual_seed(own_seed)
        with shared_paths(blocks, lambda: path_seed):
            return float(blocks(ones).sum()), float(torch.rand(()))

    (first, own), (second, other) = draw(1, 7), draw(2, 7)
    assert first == second  # each surviving block doubles its input
    assert len({draw(1, seed)[0] for seed in range(20)}) > 2
    torch.manual_seed(1)
    assert own == float(torch.rand(()))  # as if no path had been drawn
    assert own != other
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in blocks)
