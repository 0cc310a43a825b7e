"""Processes that meet several times: a command runs several seeds, and a script calls ``run`` as often as it likes."""

import os
import socket
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch._C._distributed_c10d import TCPStore

from archzoo.training._distributed import join
from archzoo.training._launching import SOCKET
from tests.processes import find_port, run_as_torchrun, run_two

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("processes")]
RUNS = 3


def _meet_again(rank: int, folder: Path, how: str, agent: int) -> None:
    """Join several times; the process that hosts the store is slow to leave, and the other one is early."""
    if how == "over the launcher's socket":
        listening = socket.create_server(("127.0.0.1", int(os.environ["MASTER_PORT"]))) if rank == 0 else None
        os.environ[SOCKET] = str(listening.fileno()) if listening else ""
    elif how == "at torchrun's agent":
        os.environ.update({"TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_PORT": str(agent)})
    for number in range(RUNS):
        with join("cpu") as distributed:
            assert (distributed.rank, distributed.world_size) == (rank, 2)
            values = torch.tensor([number, rank])
            assert distributed.all_reduce(values).tolist() == [2 * number, 1]
            time.sleep(0.2 * (rank == 0))
        assert not dist.is_initialized()
    (folder / f"{rank}").touch()


@pytest.mark.parametrize("how", ["as torchrun's environment says", "at torchrun's agent", "over the launcher's socket"])
def test_processes_meet_as_often_as_they_have_runs(how: str, tmp_path: Path) -> None:
    agent = TCPStore("127.0.0.1", find_port(), is_master=True, wait_for_workers=False)
    run_as_torchrun(_meet_again, tmp_path, how, agent.port)
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1"}


def _join_within_a_group(rank: int, folder: Path) -> None:
    for _ in range(RUNS):
        with join("cpu") as distributed:
            assert (distributed.rank, distributed.world_size) == (rank, 2)
            assert distributed.gather(rank) == [0, 1]
        assert dist.is_initialized()
    (folder / f"{rank}").touch()


def test_a_process_that_has_joined_a_group_stays_in_it(tmp_path: Path) -> None:
    run_two(_join_within_a_group, tmp_path)
    assert {"0", "1"} <= {path.name for path in tmp_path.iterdir()}
