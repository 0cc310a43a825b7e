"""A run's files of text, what it is and what each epoch gave: whole, so that a run that goes on has no line twice."""

import csv
import io
import json
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from archzoo.files import atomic_write


class Log:
    """log.csv and log.jsonl in a run's folder, and events for TensorBoard where they are wanted."""

    def __init__(self, folder: Path, tensorboard: bool) -> None:
        self.folder = folder
        self.events: Any = _writer(folder) if tensorboard else None
        self.told = 0

    def write(self, history: Sequence[dict[str, float]]) -> None:
        """Write the history of all epochs."""
        table = io.StringIO()
        writer = csv.DictWriter(table, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_whole(self.folder / "log.csv", table.getvalue())
        write_whole(self.folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in history))
        if self.events is not None:
            for row in history[self.told :]:
                for name, value in row.items():
                    self.events.add_scalar(name, value, int(row["epoch"]))
            self.events.flush()
        self.told = len(history)

    def close(self) -> None:
        """No more events."""
        if self.events is not None:
            self.events.close()


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError("TensorBoard is not installed: pip install 'archzoo[tensorboard]'") from error
    return SummaryWriter(str(folder / "tensorboard"))


def differences(described: Path, ours: dict[str, Any]) -> list[str]:
    """Where the description of a run in a file is another than ours; nothing where there is no file."""
    if not described.is_file():
        return []
    return sorted(_differences(json.loads(described.read_text()), ours))


def _differences(theirs: Any, ours: Any, name: str = "") -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in theirs.keys() | ours.keys():
            yield from _differences(theirs.get(key), ours.get(key), f"{name}.{key}".lstrip("."))
    elif theirs != ours:
        yield f"{name} was {theirs}, and is {ours}"


def versions() -> dict[str, str]:
    """What a result may depend on."""
    import archzoo

    return {"archzoo": archzoo.__version__, "torch": torch.__version__, "python": platform.python_version()}


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that it is there whole or as it was."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")
