"""What was run: measured.json, whose form is in schema.json. Nothing is in it but what ``archzoo reproduce`` wrote."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from archzoo.errors import ReportError
from archzoo.read_only import ReadOnlyDict

MEASURED = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Runs of one network by one recipe that differ in their seeds alone.

    Attributes:
        recipe: The name of the recipe.
        network: The name of the network.
        options: Its options that differ from its defaults, without channels and classes.
        changes: Values of the recipe that were changed, as the command line has them.
        data: Where the images came from, with the SHA-256 of pixels and labels.
        images: The number of training, validation and test images.
        seeds: The seed of each run.
        errors: The error on the test images in percent, of each run.
        seconds: The time of training of each run.
        command: The command that repeats them.
        commit: The commit of this repository that ran them, or the version.
        machine: What they ran on, in words.
        versions: Those of archzoo, torch and Python.
        files: Their result.json, in this repository, or nothing.
    """

    recipe: str
    network: str
    data: str
    images: Mapping[str, int] = field(hash=False)
    seeds: tuple[int, ...]
    errors: tuple[float, ...]
    seconds: tuple[float, ...]
    command: str
    commit: str
    machine: str
    versions: Mapping[str, str] = field(hash=False)
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    changes: Mapping[str, str] = field(default_factory=dict, hash=False)
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("options", "changes", "images", "versions"):
            object.__setattr__(self, name, ReadOnlyDict(getattr(self, name)))
        counts = {len(self.seeds), len(self.errors), len(self.seconds)}
        if len(counts) > 1 or not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ReportError(
                f"{self.recipe}, {self.network}: each run has a seed of its own, an error and a time, not "
                f"{self.seeds}, {self.errors} and {self.seconds}"
            )
        if not all(0 <= error <= 100 for error in self.errors):
            raise ReportError(f"{self.recipe}, {self.network}: errors are from 0 to 100 percent, not {self.errors}")

    @property
    def error(self) -> float:
        """The mean error in percent."""
        return statistics.mean(self.errors)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the errors; None of one run."""
        return statistics.stdev(self.errors) if len(self.errors) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """All values in plain types, for JSON."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values


def read_measured(path: Path = MEASURED) -> list[Measured]:
    """What a file like measured.json holds. Raises ReportError where it has another form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [measured_of(values) for values in content["runs"]]
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ReportError):
            raise
        raise ReportError(f"{path} is no table of runs ({error or type(error).__name__})") from error


def measured_of(values: Mapping[str, Any]) -> Measured:
    """One entry of it. Raises ReportError for a value that is missing or unknown."""
    known = {field.name for field in fields(Measured)}
    if not isinstance(values, Mapping) or not set(values) <= known:
        raise ReportError(f"a run has {', '.join(sorted(known))}, not {', '.join(map(str, values))}")
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return Measured(**given)
    except TypeError as error:
        raise ReportError(f"a run is not complete: {error}") from error


def text_of(runs: Sequence[Measured]) -> str:
    """The text of a file like measured.json."""
    return json.dumps({"runs": [run.to_dict() for run in runs]}, indent=1) + "\n"
