"""How the processes of a run find each other, and what is said while some are missing."""

import itertools
import os
import socket
import time
import warnings
from collections.abc import Callable
from datetime import timedelta

from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from archzoo.errors import TrainingError
from archzoo.training._environment import Member
from archzoo.training._launching import ERRORS, SOCKET, is_launched

INTERVAL = 0.05  # seconds between two looks
SAID_AFTER = 20.0  # seconds until the missing processes are named
AGENT_PATIENCE = 20.0  # seconds until torchrun is given up
# Processes wait as long as torch's. Those of ``launch`` end together: one of them may read its images for hours, or be
# paused.
PATIENCE, WATCHED_PATIENCE = timedelta(minutes=30), timedelta(days=14)

_runs = itertools.count()  # of this process: all processes make the same calls, and count alike
_stores: dict[Member, Store] = {}


def patience() -> timedelta:
    """How long a process waits for another one."""
    return WATCHED_PATIENCE if ERRORS in os.environ else PATIENCE


def meet(member: Member) -> Store:
    """The store of one run, once all processes are there. It has nothing of the runs before it.

    Raises TrainingError where the address cannot be used, or a process does not come.
    """
    run = next(_runs)
    try:
        own = PrefixStore(f"run-{run}", _open_store(member))
        own.set(f"here-{member.rank}", "")
        _wait(member, lambda: [rank for rank in range(member.world_size) if not own.check([f"here-{rank}"])])
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise TrainingError(
            f"process {member.rank} of {member.world_size} cannot meet the others at {_place(member)} ({reason}): "
            f"MASTER_ADDR and MASTER_PORT must name the machine of process 0 and a free port there"
        ) from error
    return own


def _open_store(member: Member) -> Store:
    """The store where the processes meet, over the socket that ``launch`` has bound or as torchrun's environment says.

    It stays open as long as the process. With a store per run, a process that is done with one run meets those that
    are not in the store that they are about to close, and waits for the next run in vain.
    """
    if member not in _stores:
        at_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # as torch's env:// asks
        is_host = member.rank == 0 and not at_agent
        if at_agent:
            _check_agent(member)
        elif SOCKET not in os.environ and not is_host:
            _wait(member, lambda: [] if _is_open(member) else [0])
        _stores[member] = TCPStore(
            member.address,
            member.port,
            member.world_size,
            is_host,
            timeout=patience(),
            wait_for_workers=False,
            multi_tenant=SOCKET not in os.environ,
            master_listen_fd=int(os.environ[SOCKET]) if SOCKET in os.environ and is_host else None,
        )
    return _stores[member]


def _check_agent(member: Member) -> None:
    """Raise TrainingError where torchrun does not answer. It listened before it started this process."""
    end = time.monotonic() + AGENT_PATIENCE
    while not _is_open(member):
        if time.monotonic() > end:
            raise TrainingError(f"torchrun does not answer at {_place(member)}, and has perhaps ended: start it again")
        time.sleep(INTERVAL)


def _is_open(member: Member) -> bool:
    """Whether somebody listens where the processes meet."""
    try:
        socket.create_connection((member.address, member.port), timeout=5).close()
    except OSError:  # also where the name of its machine is not known yet
        return False
    return True


def _wait(member: Member, missing: Callable[[], list[int]]) -> None:
    """Look until no process is missing; name those that are, in a while. Unlike torch's waits, Ctrl-C ends this one."""
    began, said = time.monotonic(), False
    while absent := missing():
        waited = time.monotonic() - began
        if waited > patience().total_seconds():
            raise TrainingError(f"{_named(absent)} of {member.world_size} did not come to {_place(member)}")
        if waited > SAID_AFTER and not said and ERRORS not in os.environ:
            said = True
            advice = "" if is_launched() else "; to train in one process, unset WORLD_SIZE"
            warnings.warn(
                f"archzoo: process {member.rank} waits for {_named(absent)} of {member.world_size} at "
                f"{_place(member)}{advice}",
                stacklevel=2,
            )
        time.sleep(INTERVAL)


def _named(ranks: list[int]) -> str:
    return f"process{'es' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _place(member: Member) -> str:
    return f"{member.address}:{member.port}"
