"""Which of several processes this one is, as torchrun, ``launch`` or a scheduler says it. Imports no torch."""

import os
from dataclasses import dataclass

from archzoo.errors import TrainingError

NAMES = ("RANK", "MASTER_ADDR", "MASTER_PORT")  # that several processes need to meet


@dataclass(frozen=True)
class Member:
    """This process among those of a run, and where they meet.

    Attributes:
        rank: From 0 to ``world_size - 1``.
        world_size: The number of processes.
        address: The machine of process 0.
        port: A port there.
    """

    rank: int = 0
    world_size: int = 1
    address: str = ""
    port: int = 0


def read_environment() -> Member:
    """What the environment says. One process alone if WORLD_SIZE is 1 or not set, whatever else a scheduler has left.

    Raises TrainingError where the variables do not make up one of several processes, before any of them waits.
    """
    world_size = _read("WORLD_SIZE", 1, None, "") if os.environ.get("WORLD_SIZE") else 1
    if world_size == 1:
        return Member()
    alone = f"start with --nproc {world_size} or torchrun, or unset WORLD_SIZE to train in one process"
    if missing := [name for name in NAMES if not os.environ.get(name)]:
        are = "are" if len(missing) > 1 else "is"
        raise TrainingError(f"WORLD_SIZE is {world_size}, and {' and '.join(missing)} {are} not set: {alone}")
    return Member(
        _read("RANK", 0, world_size - 1, f", as WORLD_SIZE is {world_size}: {alone}"),
        world_size,
        os.environ["MASTER_ADDR"],
        _read("MASTER_PORT", 1, 65535, f": {alone}"),
    )


def is_one_of_several() -> bool:
    """Whether other processes run the same, or torchrun has started this one alone."""
    return not _is_alone() or "TORCHELASTIC_RUN_ID" in os.environ


def read_local_rank() -> int:
    """The number of this process on its machine, which is that of its GPU; 0 in one process."""
    return 0 if _is_alone() or not os.environ.get("LOCAL_RANK") else _read("LOCAL_RANK", 0, None, "")


def _is_alone() -> bool:
    """Whether WORLD_SIZE says that there is one process, or nothing."""
    return os.environ.get("WORLD_SIZE", "1") in ("", "1")


def _read(name: str, least: int, most: int | None, advice: str) -> int:
    """A whole number in the environment. Raises TrainingError for anything else."""
    text = os.environ[name]
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number < least or (most is not None and number > most):
        bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise TrainingError(f"the environment variable {name} must be a number {bounds}, not {text!r}{advice}")
    return number
