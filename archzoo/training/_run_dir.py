"""The directory of a run: locked, and described in run.json. A run resumes only where it is the same."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archzoo.data import Splits
from archzoo.errors import TrainingError
from archzoo.files import write_text
from archzoo.recipes import Recipe
from archzoo.training._config import RunConfig
from archzoo.training._distributed import Distributed
from archzoo.training._locking import Lock, check_is_file
from archzoo.training._writing import writing

WRITTEN = (".lock", "run.json", "log.csv", "log.jsonl", "result.json", "net.safetensors", "predictions.png")


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


@dataclass(frozen=True)
class RunDir:
    """The directory of one run.

    Attributes:
        path: The directory.
        run: Sixteen hex digits that identify the run; each of its checkpoints has them.
        description: What run.json holds.
        lock: The lock on the directory, in the process that writes.
    """

    path: Path
    run: str
    description: dict[str, Any]
    lock: Lock | None = None

    def check(self) -> None:
        """Raise TrainingError, before anything is written, where another directory has taken this one's place."""
        if self.lock is not None:
            self.lock.check()


def identify(description: dict[str, Any]) -> str:
    """Sixteen hex digits that differ for runs that differ."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def claimed(run_dir: Path, description: dict[str, Any], distributed: Distributed) -> Iterator[RunDir]:
    """The directory of a run, locked for this process and the others of its launch.

    Raises TrainingError in all processes if another process uses the directory, it holds another run, or the processes
    have been given different runs.
    """
    _check_same_run(run_dir, description, distributed)
    lock: Lock | None = None
    refusal = ""
    try:
        if distributed.is_main:
            try:
                lock = _claim(run_dir, description)
            except TrainingError as error:
                refusal = str(error)
        if refusal := distributed.gather(refusal)[0]:
            raise TrainingError(refusal)
        yield RunDir(run_dir, identify(description), description, lock)
    finally:
        if lock is not None:
            lock.release()


def _check_same_run(run_dir: Path, description: dict[str, Any], distributed: Distributed) -> None:
    descriptions = distributed.gather(description)
    for rank, other in enumerate(descriptions):
        if different := sorted(_differences(descriptions[0], other)):
            raise TrainingError(
                f"process {rank} has another run for {run_dir} than process 0 ({'; '.join(different[:3])}): start all "
                f"with the same command and data"
            )


def _claim(run_dir: Path, description: dict[str, Any]) -> Lock:
    """Lock the directory, and write run.json where there is none."""
    with writing(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
    for name in WRITTEN:
        check_is_file(run_dir / name)
    lock = Lock(run_dir)
    try:
        file = run_dir / "run.json"
        if different := differences(file, description):
            raise TrainingError(f"{run_dir} holds another run ({'; '.join(different[:3])}): choose another directory")
        if _read(file) is None:
            with writing(file):
                write_text(file, json.dumps(description, indent=1))
    except BaseException:
        lock.release()
        raise
    for partial in run_dir.glob(".*.part*"):  # of a process that was killed
        partial.unlink(missing_ok=True)
    return lock


def _read(file: Path) -> dict[str, Any] | None:
    """The description in a file. None where there is no file or it is damaged: checkpoints say whose they are too."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrainingError(f"could not read {file}: {error.strerror}: make it readable") from error
    except (ValueError, RecursionError):
        warnings.warn(f"archzoo: {file} is damaged and no description of a run: it is written anew", stacklevel=2)
        return None
    return content


def differences(file: Path, description: dict[str, Any]) -> list[str]:
    """Where the description of a run in a file differs from this one; nothing if there is none."""
    before = _read(file)
    return [] if before is None else sorted(_differences(before, description))


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
    elif before != now:
        yield f"{name} was {before}, and is {now}"
