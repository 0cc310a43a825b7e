"""Evaluation of a network or an ensemble on images that it was not trained on."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.data import Images, ImageSet, Prepared, load_crops
from archzoo.errors import DataError
from archzoo.layers import Net, device_of, evaluation_mode
from archzoo.recipes import Dense, Protocol, SingleCrop
from archzoo.training._checking import check_count
from archzoo.training._config import check_workers
from archzoo.training._distributed import Distributed
from archzoo.training._fully_convolutional import fully_convolutional
from archzoo.training._protocols import Crops, crops_of, single_crop
from archzoo.training._scores import Score

SINGLE_CROP = SingleCrop()


def evaluate(
    nets: nn.Module | Sequence[nn.Module],
    images: ImageSet,
    prepared: Prepared,
    *,
    protocol: Protocol = SINGLE_CROP,
    batch_size: int = 128,
    distributed: Distributed | None = None,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Score:
    """The score of a network, or of an ensemble of several, on these images. Each process evaluates its share.

    Without ``distributed``, one process evaluates all of them on the device of the first network. For a single crop,
    ``workers`` processes decode images that stay encoded. Restores train/eval mode. ``progress``
    is called after each batch with the images so far and all that this process evaluates. Raises DataError if there are
    no images, or another number of classes than logits, and TrainingError for more workers than a run takes.
    """
    check_workers(workers)
    if not len(images):
        raise DataError(f"{images.name} has no images to evaluate")
    is_dense = isinstance(protocol, Dense)
    members = [nets] if isinstance(nets, nn.Module) else list(nets)
    distributed = distributed or Distributed(device=device_of(members[0]))
    members = [fully_convolutional(net) if is_dense and isinstance(net, Net) else net for net in members]
    own = torch.arange(len(images))[distributed.rank :: distributed.world_size]
    sums, crops = _Sums(len(images.classes)), crops_of(protocol)
    parts = torch.split(own.to(images.labels.device), 1 if is_dense else batch_size)
    workers = workers if crops is single_crop else 0  # the other protocols make too many crops to hold at once
    with evaluation_mode(*members), torch.inference_mode():
        loaded = load_crops(images, parts, partial(_take_crops, crops, prepared), workers)
        for number, (batches, labels) in enumerate(loaded, 1):
            if len(labels):
                sums.add(_average(members, batches, distributed.device), labels.cpu(), images)
            if progress is not None:
                progress(min(number * len(parts[0]), len(own)), len(own))
    return sums.score(distributed, str(protocol), images.classes)


def predict(nets: Sequence[nn.Module], images: Images, prepared: Prepared, crops: Crops, device: Any) -> Tensor:
    """The softmax (N, num_classes), averaged over crops and networks."""
    return _average(nets, crops(images, prepared), device)


def _take_crops(crops: Crops, prepared: Prepared, images: Images) -> Iterable[Tensor]:
    return crops(images, prepared)


def _average(nets: Sequence[nn.Module], batches: Iterable[Tensor], device: Any) -> Tensor:
    total, count = torch.zeros(()), 0
    for batch in batches:
        for net in nets:
            total = total + net(batch.to(device)).float().softmax(1).cpu().double()
            count += 1
    return total / count


class _Sums:
    """The sums of a score over batches."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.confusion = torch.zeros(classes * classes)
        self.top5_correct = torch.zeros(1)
        self.loss = torch.zeros(1, dtype=torch.float64)

    def add(self, probabilities: Tensor, labels: Tensor, images: ImageSet) -> None:
        classes = self.classes
        check_count(probabilities.shape[1], images)
        self.confusion += torch.bincount(labels * classes + probabilities.argmax(1), minlength=classes * classes)
        top5 = probabilities.topk(min(5, classes)).indices
        self.top5_correct += (top5 == labels.unsqueeze(1)).any(1).sum()
        self.loss += F.nll_loss(probabilities.clamp(min=1e-300).log(), labels, reduction="sum")

    def score(self, distributed: Distributed, protocol: str, classes: Sequence[str]) -> Score:
        """The score over the images of all processes."""
        own = torch.cat([self.confusion.double(), self.top5_correct.double(), self.loss]).to(distributed.device)
        *counts, top5_correct, loss = distributed.all_reduce(own).tolist()
        confusion = torch.tensor(counts).long().view(self.classes, self.classes)
        if not confusion.any():
            raise DataError("every image is corrupt, and none is left to evaluate")
        return Score(confusion, round(top5_correct), loss, protocol, tuple(classes))
