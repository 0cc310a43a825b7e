"""Where a run is: its iteration, the sums of the epoch so far, its history, and the progress bar."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from archzoo.errors import MissingDependency
from archzoo.recipes import Duration, Schedule, rate_factor

Row = dict[str, float]


@dataclass
class Progress:
    """Where a run is: what a checkpoint holds beside the network and the optimizer."""

    iteration: int = 0
    loss: float = 0.0  # sums over the images of this epoch so far
    errors: float = 0.0
    images: float = 0.0
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)
    best_error: float = math.inf

    @property
    def sums(self) -> list[float]:
        """Loss, errors and images of this epoch so far."""
        return [self.loss, self.errors, self.images]

    @sums.setter
    def sums(self, values: list[float]) -> None:
        self.loss, self.errors, self.images = values

    @property
    def validation_errors(self) -> list[float]:
        """Of each epoch that is done."""
        return [row["validation_error"] for row in self.history]

    @property
    def training_errors(self) -> list[float]:
        """Of each epoch that is done."""
        return [row["train_error"] for row in self.history]

    def rate_factor(self, schedule: Schedule, run: Duration, iteration: int) -> float:
        """The factor of a schedule at an iteration, after the errors so far."""
        return rate_factor(schedule, iteration, run, self.validation_errors, self.training_errors)

    def next_epoch(self, row: Row) -> "Progress":
        """The progress at the start of the next epoch, with this epoch's row in the history."""
        return Progress(self.iteration, history=[*self.history, row], best_error=self.best_error)


class DeviceSums:
    """Sums of losses and errors that stay on the device until they are read: reading waits for an accelerator."""

    def __init__(self, device: torch.device) -> None:
        self.pending = torch.zeros(2, dtype=torch.float64, device=device)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add the loss of a batch and its wrong answers."""
        with torch.no_grad():
            errors = (logits.argmax(1) != labels).sum()
            self.pending += torch.stack([loss.detach().double(), errors.double()])

    def take(self) -> tuple[float, float]:
        """The loss and the errors since the last call."""
        loss, errors = self.pending.tolist()
        self.pending.zero_()
        return loss, errors


@contextmanager
def progress_bar(epoch: int, start: int, end: int, *, shown: bool) -> Iterator[Any]:
    """A bar over the iterations of an epoch, at a terminal."""
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingDependency("tqdm is not installed: pip install 'archzoo[train]'") from error
    disable = None if shown else True  # None: shown at a terminal only
    with tqdm(total=end, initial=start, desc=f"epoch {epoch}", disable=disable, leave=False) as bar:
        yield bar
