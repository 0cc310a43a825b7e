"""Scores of a network on a set of images, and their mean over several runs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Score:
    """How good a network is on some images. ``confusion`` counts them: true classes by predicted classes."""

    confusion: Tensor
    top5_correct: int
    total_loss: float
    protocol: str
    classes: tuple[str, ...]

    @property
    def images(self) -> int:
        """The number of images."""
        return int(self.confusion.sum())

    @property
    def loss(self) -> float:
        """The mean cross-entropy."""
        return self.total_loss / self.images

    @property
    def top1(self) -> float:
        """The share of images whose most probable class is the true one."""
        return int(self.confusion.diagonal().sum()) / self.images

    @property
    def top5(self) -> float:
        """The share of images whose true class is among the five most probable ones."""
        return self.top5_correct / self.images

    @property
    def per_class(self) -> dict[str, float]:
        """The share of correct predictions of each class; nan for a class without images."""
        correct, total = self.confusion.diagonal().tolist(), self.confusion.sum(1).tolist()
        return {
            name: right / count if count else math.nan
            for name, right, count in zip(self.classes, correct, total, strict=True)
        }

    def __add__(self, other: "Score") -> "Score":
        """The score on the images of both; the protocol and the classes are the same."""
        return replace(
            self,
            confusion=self.confusion + other.confusion,
            top5_correct=self.top5_correct + other.top5_correct,
            total_loss=self.total_loss + other.total_loss,
        )

    def to_dict(self) -> dict[str, Any]:
        """All values in plain types; no top-5 accuracy where that would be of all classes."""
        return {
            "images": self.images,
            "protocol": self.protocol,
            "loss": self.loss,
            "top1": self.top1,
            "top5": self.top5 if len(self.classes) > 5 else None,
            "per_class": {name: None if math.isnan(share) else share for name, share in self.per_class.items()},
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        top5 = f", {self.top5:.2%} top-5" if len(self.classes) > 5 else ""
        images = f"{self.images:,} image{'' if self.images == 1 else 's'}"
        return f"{self.top1:.2%} top-1{top5} accuracy on {images}, {self.protocol}, loss {self.loss:.4f}"


def mean_and_deviation(values: Sequence[float]) -> str:
    """Mean and standard deviation over several runs, as papers print them."""
    if len(values) < 2:
        return f"{values[0]:.2%}"
    return f"{statistics.mean(values):.2%} +- {statistics.stdev(values):.2%} of {len(values)} runs"
