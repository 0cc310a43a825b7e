"""What a finished run returns, and writes as result.json."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from archzoo.files import write_text
from archzoo.layers import Net
from archzoo.training._logs import versions
from archzoo.training._scores import Score
from archzoo.training._writing import writing


@dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Attributes:
        net: The trained network.
        state: Its full state dict, also where its parameters were sharded.
        history: One row of losses, errors and times for each epoch.
        test: The score on the test set, which was evaluated once.
        ensemble: The score of the ensemble of snapshots, if there are any.
        result: What result.json holds.
    """

    net: Net
    state: dict[str, Tensor]
    history: list[dict[str, float]]
    test: Score
    ensemble: Score | None
    result: dict[str, Any]


def describe_result(
    description: dict[str, Any], test: Score, ensemble: Score | None, values: dict[str, Any]
) -> dict[str, Any]:
    """The scores with these values, the versions, and the run's description."""
    return {
        "test": test.to_dict(),
        "ensemble": None if ensemble is None else ensemble.to_dict(),
        **values,
        "versions": versions(),
        **description,
    }


def write_result(run_dir: Path, result: dict[str, Any]) -> None:
    """Write result.json in a run directory."""
    with writing(run_dir / "result.json"):
        write_text(run_dir / "result.json", json.dumps(result, indent=1))
