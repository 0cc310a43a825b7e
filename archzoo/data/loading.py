"""Which pictures come when: global batches that are the same for any number of processes, from any step on."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archzoo.data.augmentation import Pipeline, seed_of
from archzoo.data.dataset import ImageSet
from archzoo.errors import DataError


@dataclass(frozen=True)
class Batch:
    """A share of a global batch: images (n, C, H, W), labels (n,), and the size of the global batch."""

    images: Tensor
    labels: Tensor
    of: int


class Epoch(Dataset[Batch]):
    """One epoch of training: item k is this process's share of global batch k.

    The order is a permutation drawn from the seed and the epoch. A batch that is not full is dropped.
    """

    def __init__(
        self, pictures: ImageSet, pipeline: Pipeline, batch: int, seed: int, epoch: int, rank: int = 0, world: int = 1
    ) -> None:
        check_batch(batch, pictures, world)
        self.pictures = pictures
        self.pipeline = pipeline
        self.batch = batch
        self.rank = rank
        self.world = world
        self.order = torch.randperm(
            len(pictures), generator=torch.Generator().manual_seed(seed_of("order", seed, epoch))
        )
        self.numbers = pipeline.table(len(pictures), seed, epoch)

    def __len__(self) -> int:
        return len(self.order) // self.batch

    def indices(self, step: int) -> Tensor:
        """The pictures of a global batch, those of all processes."""
        return self.order[step * self.batch : (step + 1) * self.batch]

    def __getitem__(self, step: int) -> Batch:
        mine = self.indices(step)[self.rank :: self.world]
        images = self.pipeline(self.pictures.take(mine), self.numbers[mine])
        return Batch(images.contiguous(), self.pictures.labels[mine], self.batch)


def check_batch(batch: int, pictures: ImageSet, world: int) -> None:
    """Raise DataError where a batch is more than there are pictures, or less than there are processes."""
    if batch > len(pictures):
        raise DataError(f"a batch of {batch} is more than the {len(pictures)} pictures of {pictures.name}")
    if batch < world:
        raise DataError(f"a batch of {batch} cannot be shared by {world} processes")


def batches(epoch: Epoch, start: int = 0, workers: int = 0) -> Iterator[Batch]:
    """The batches of an epoch from a step on, made ahead by so many worker processes."""
    steps = range(start, len(epoch))
    if not steps:
        return
    loader = DataLoader(epoch, batch_size=None, sampler=steps, num_workers=workers)
    yield from loader
