"""What each epoch gave, in files: written whole from the history, so that a run that goes on has no line twice."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


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
        self._write("log.csv", table.getvalue())
        self._write("log.jsonl", "".join(json.dumps(row) + "\n" for row in history))
        if self.events is not None:
            for row in history[self.told :]:
                for name, value in row.items():
                    self.events.add_scalar(name, value, int(row["epoch"]))
            self.events.flush()
        self.told = len(history)

    def _write(self, name: str, text: str) -> None:
        partial = self.folder / f".{name}.part"
        partial.write_text(text)
        os.replace(partial, self.folder / name)

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
