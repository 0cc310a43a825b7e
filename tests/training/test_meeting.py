"""Which process this one is, and how it meets the others: said before any work, and never waited for in vain."""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

import archzoo
from archzoo.cli import main
from archzoo.cli._training import is_main_process, start_processes
from archzoo.errors import BadOption, TrainingError
from archzoo.training import _meeting as meeting
from archzoo.training import load_trained, read_environment
from archzoo.training._environment import NAMES, Member, read_local_rank
from archzoo.training._meeting import meet
from archzoo.weights import save
from tests.processes import find_port

OF_TORCHRUN = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
ADVICE = "start with --nproc 2 or torchrun, or unset WORLD_SIZE to train in one process"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OF_TORCHRUN, "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


def test_the_environment_of_torchrun_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_environment() == Member()
    set_all(monkeypatch, **OF_TORCHRUN)
    assert read_environment() == Member(1, 2, "10.0.0.1", 29500)
    assert read_local_rank() == 1


def test_what_a_scheduler_has_left_is_no_matter_to_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of rank 3 would print and write nothing at the end."""
    for world_size in ("", "1"):
        set_all(monkeypatch, WORLD_SIZE=world_size, RANK=3, LOCAL_RANK=3, MASTER_PORT="none")
        assert read_environment() == Member()
        assert read_local_rank() == 0
        assert is_main_process()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE must be a number of at least 1, not 'two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE must be a number of at least 1, not '0'"),
        ({"RANK": "2"}, f"RANK must be a number from 0 to 1, not '2', as WORLD_SIZE is 2: {ADVICE}"),
        ({"RANK": "-1"}, f"RANK must be a number from 0 to 1, not '-1', as WORLD_SIZE is 2: {ADVICE}"),
        ({"MASTER_PORT": "http"}, f"MASTER_PORT must be a number from 1 to 65535, not 'http': {ADVICE}"),
        ({"MASTER_PORT": "65536"}, f"MASTER_PORT must be a number from 1 to 65535, not '65536': {ADVICE}"),
        ({"MASTER_ADDR": ""}, f"WORLD_SIZE is 2, and MASTER_ADDR is not set: {ADVICE}"),
        (dict.fromkeys(NAMES, ""), f"WORLD_SIZE is 2, and RANK and MASTER_ADDR and MASTER_PORT are not set: {ADVICE}"),
    ],
)
def test_an_environment_of_no_process_is_refused_before_the_data_are_read(
    changes: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_all(monkeypatch, **OF_TORCHRUN | changes)
    with pytest.raises(TrainingError) as refused:
        start_processes(1)
    assert str(refused.value).removeprefix("the environment variable ") == message
    with pytest.raises(TrainingError):
        archzoo.training.run("lenet5_textbook", data=tmp_path / "nothing", run_dir=tmp_path / "run")


def test_torchrun_has_said_how_many_processes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, **OF_TORCHRUN, LOCAL_WORLD_SIZE=2, TORCHELASTIC_RUN_ID="none")
    start_processes(1)
    start_processes(2)
    with pytest.raises(BadOption, match="--nproc is without torchrun, which has started 2 processes here"):
        start_processes(4)


def test_a_process_that_does_not_come_is_named_and_then_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "SAID_AFTER", 0.0)
    monkeypatch.setattr(meeting, "PATIENCE", timedelta(seconds=0.3))
    port = find_port()
    place = f"127.0.0.1:{port}"
    with (
        pytest.warns(UserWarning, match=f"process 0 waits for processes 1, 2 of 3 at {place}; .* unset WORLD_SIZE"),
        pytest.raises(TrainingError, match=f"processes 1, 2 of 3 did not come to {place}"),
    ):
        meet(Member(0, 3, "127.0.0.1", port))
    with (
        pytest.warns(UserWarning, match="process 1 waits for process 0 of 2 at 127.0.0.1:1;"),
        pytest.raises(TrainingError, match="process 0 of 2 did not come to 127.0.0.1:1"),
    ):
        meet(Member(1, 2, "127.0.0.1", 1))


def test_a_port_that_is_taken_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(TrainingError, match=rf"process 0 of 2 cannot meet the others at 127.0.0.1:{port} \(.*"):
            meet(Member(0, 2, "127.0.0.1", port))


def test_a_torchrun_that_has_ended_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setattr(meeting, "AGENT_PATIENCE", 0.1)
    with pytest.raises(TrainingError, match="torchrun does not answer at 127.0.0.1:1, and has perhaps ended"):
        meet(Member(1, 2, "127.0.0.1", 1))


def test_a_command_ends_with_torchrun_from_its_first_moment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("archzoo.cli.end_with_parent", lambda: calls.append("ends with its parent"))
    monkeypatch.setattr("archzoo.cli.app", lambda: calls.append("the command"))
    for launched in (False, True):
        if launched:
            set_all(monkeypatch, TORCHELASTIC_RUN_ID="none")
        with pytest.raises(SystemExit):
            main()
    assert calls == ["the command", "ends with its parent", "the command"]


def test_one_of_several_processes_evaluates_without_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    save(archzoo.build("lenet5_textbook"), file, "lenet5_textbook")
    set_all(monkeypatch, **OF_TORCHRUN)
    trained = load_trained(file).to("cpu")
    assert next(trained.net.parameters()).device == torch.device("cpu")
    assert os.environ["RANK"] == "1"
