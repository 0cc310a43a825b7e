"""What a run writes beside its checkpoints: log.csv, log.jsonl, TensorBoard's events, and lines for people."""

import csv
import io
import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from archzoo.errors import MissingDependency
from archzoo.escaping import one_line
from archzoo.files import write_text
from archzoo.processes import say
from archzoo.training._writing import writing

Log = Callable[[str], None]


def log_to_stderr(message: str) -> None:
    """Print one line to stderr: the default of every ``log`` argument."""
    say(one_line(message))


def no_log(message: str) -> None:
    """Log nothing: for all processes but the main one."""


class HistoryWriter:
    """Writes log.csv and log.jsonl in a run directory, and events for TensorBoard on request.

    The files are written as a whole, so that a resumed run has no line twice.
    """

    def __init__(self, run_dir: Path, tensorboard: bool) -> None:
        self.run_dir = run_dir
        self.events: Any = _summary_writer(run_dir) if tensorboard else None
        self.written = 0

    def write(self, history: Sequence[dict[str, float]]) -> None:
        """Write one row for each epoch."""
        table = io.StringIO()
        columns = dict.fromkeys(name for row in history for name in row)  # a run may end on another device
        writer = csv.DictWriter(table, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        lines = "".join(json.dumps(row) + "\n" for row in history)
        for name, text in (("log.csv", table.getvalue()), ("log.jsonl", lines)):
            with writing(self.run_dir / name):
                write_text(self.run_dir / name, text)
        if self.events is not None:
            with writing(self.run_dir / "tensorboard"):
                self._write_events(history[self.written :])
        self.written = len(history)

    def _write_events(self, rows: Sequence[dict[str, float]]) -> None:
        for row in rows:
            for name, value in row.items():
                self.events.add_scalar(name, value, int(row["epoch"]))
        self.events.flush()

    def close(self) -> None:
        """Close the events file."""
        if self.events is not None:
            with writing(self.run_dir / "tensorboard"):
                self.events.close()


def _summary_writer(run_dir: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDependency("TensorBoard is not installed: pip install 'archzoo[tensorboard]'") from error
    with writing(run_dir / "tensorboard"):
        return SummaryWriter(str(run_dir / "tensorboard"))


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    import archzoo

    return {"archzoo": archzoo.__version__, "torch": torch.__version__, "python": platform.python_version()}
