"""The description of a run in its directory, run.json: a run resumes only where it is the same."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from archzoo.data import Splits
from archzoo.errors import TrainingError
from archzoo.files import write_text
from archzoo.recipes import Recipe
from archzoo.training._config import RunConfig
from archzoo.training._distributed import Distributed


def describe_run(recipe: Recipe, config: RunConfig, splits: Splits, description: dict[str, Any]) -> dict[str, Any]:
    """Everything that a run's result depends on, in plain types. Where and how fast it runs changes no result."""
    described = {
        **description,
        "recipe": recipe.to_dict(),
        "config": asdict(config) | dict.fromkeys(("workers", "tensorboard", "resident", "cuda_graph")),
        "data": {name: images.digest() for name, images in vars(splits).items()},
    }
    plain: dict[str, Any] = json.loads(json.dumps(described))
    return plain


def claim_run_dir(run_dir: Path, description: dict[str, Any], distributed: Distributed) -> None:
    """Write run.json, or raise TrainingError if the directory holds another run."""
    file = run_dir / "run.json"
    if different := differences(file, description):
        raise TrainingError(f"{run_dir} holds another run ({'; '.join(different[:3])}): choose another directory")
    distributed.barrier()  # all processes have read before the main one writes
    if distributed.is_main and not file.is_file():
        run_dir.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(description, indent=1))


def differences(file: Path, description: dict[str, Any]) -> list[str]:
    """Where the description of a run in a file differs from this one; nothing if there is no file."""
    if not file.is_file():
        return []
    return sorted(_differences(json.loads(file.read_text()), description))


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
    elif before != now:
        yield f"{name} was {before}, and is {now}"
