"""What a run tells people: what it starts, and where it is while no terminal shows a bar."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from archzoo.data import Splits
from archzoo.recipes import Duration, Recipe, spell_seconds
from archzoo.training._config import RunConfig
from archzoo.training._logs import Log

INTERVAL = 20  # seconds between two lines: with steps of up to 10 seconds, there is one every 30
SHOWN_CLASSES = 10


def introduce(
    name: str, net: nn.Module, splits: Splits, recipe: Recipe, config: RunConfig, device: torch.device, run_dir: Path
) -> Iterator[str]:
    """What a run starts: network, parameters, device, data, classes, recipe and folder, in a line each."""
    count = sum(parameter.numel() for parameter in net.parameters())
    trained = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    some = "" if trained == count else f", {trained:,} of them trained"
    yield f"{name}: {count:,} parameters{some}, on {device} in {config.precision}"
    train, validation, test = splits.train, splits.validation, splits.test
    yield f"{train.name}: {len(train):,} training, {len(validation):,} validation, {len(test):,} test images"
    yield f"{len(train.classes):,} classes: {_shortened(train.classes)}"
    duration = recipe.duration(len(train))
    yield (
        f"recipe {recipe.name}: {_counted(recipe.length, recipe.unit)}, {duration.iterations:,} steps of "
        f"{recipe.batch_size} images, {recipe.optimizer.name} at lr {recipe.lr:g}"
    )
    yield f"writing to {run_dir}"


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit if count != 1 else unit.removesuffix('s')}"


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - SHOWN_CLASSES
    return ", ".join(names[:SHOWN_CLASSES]) + (f" and {more:,} more" if more > 0 else "")


class Pulse:
    """Logs a line where the last one is long ago, and there is no terminal with a bar."""

    def __init__(self, log: Log, duration: Duration, clock: Callable[[], float] = time.monotonic) -> None:
        self.log, self.duration, self.clock = log, duration, clock
        self.shown = not (sys.stderr is not None and sys.stderr.isatty())
        self.first = 0
        self.began = self.last = clock()

    def start(self, iteration: int) -> None:
        """The run starts, or goes on, at this iteration."""
        self.first = iteration
        self.began = self.last = self.clock()

    def train(self, iteration: int, loss: Callable[[], float]) -> None:
        """A step is done."""
        if self._is_due():
            epoch = math.ceil(iteration / self.duration.per_epoch)
            epochs = math.ceil(self.duration.iterations / self.duration.per_epoch)
            self.log(
                f"epoch {epoch} of {epochs}, iteration {iteration:,} of {self.duration.iterations:,}: "
                f"loss {loss():.4f}, {spell_seconds(self.left(iteration))} left"
            )

    def left(self, iteration: int) -> float:
        """The seconds that remain, at the pace of this process so far, validation included."""
        done = max(iteration - self.first, 1)
        return (self.clock() - self.began) / done * (self.duration.iterations - iteration)

    def evaluate(self, images: str, done: int, total: int) -> None:
        """So many of the images are evaluated."""
        if self._is_due():
            self.log(f"evaluating {images}: {done:,} of {total:,}")

    def note(self) -> None:
        """Another line was logged."""
        self.last = self.clock()

    def _is_due(self) -> bool:
        if not self.shown or self.clock() - self.last < INTERVAL:
            return False
        self.note()
        return True
