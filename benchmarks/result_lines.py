"""Results of a long benchmark in a file of JSON lines, so that it can be stopped at any time and started again.

A line is appended as soon as its result exists. Several processes may write into one file.
"""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

Line = dict[str, object]


class ResultLines:
    """Lines by key, those of a file first. Without a file, they are kept only as long as the process lives."""

    def __init__(self, path: Path | None, keys: tuple[str, ...]) -> None:
        self.path = path
        self.keys = keys
        lines = path.read_text().splitlines() if path and path.exists() else []
        self.lines = {self.key(line): line for line in map(json.loads, lines)}  # of two with one key, the later

    def key(self, line: Line) -> tuple[object, ...]:
        """What no two results share."""
        return tuple(line[key] for key in self.keys)

    def add(self, line: Line) -> None:
        """Keep a line, in the file as one write."""
        self.lines[self.key(line)] = line
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")


def within(budget: float | None, names: Iterable[str]) -> Iterator[str]:
    """The names, as long as the budget of seconds lasts. The work begun is finished."""
    start = time.monotonic()
    for name in names:
        if budget is not None and time.monotonic() - start > budget:
            return
        yield name
