"""Batches of an epoch: the same global batches for any number of processes, from any step on."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archzoo.data._augmentation import Pipeline, derive_seed
from archzoo.data._dataset import ImageSet
from archzoo.errors import DataError


@dataclass(frozen=True)
class Batch:
    """One process's share of a global batch: images (n, C, H, W), labels (n,), and the size of the global batch."""

    images: Tensor
    labels: Tensor
    global_size: int


class EpochBatches(Dataset[Batch]):
    """One epoch of training: item k is this process's share of global batch k.

    The order is a permutation drawn from the seed and the epoch. An incomplete last batch is dropped.

    Args:
        images: The training images.
        pipeline: Applied to every batch.
        batch_size: Images per step, over all processes.
        seed: The seed of the order and of the augmentation.
        epoch: The epoch, from 0.
        rank: This process, from 0 to ``world_size - 1``.
        world_size: The number of processes.

    Raises:
        DataError: Where the batch is larger than the dataset or smaller than the number of processes.
    """

    def __init__(
        self,
        images: ImageSet,
        pipeline: Pipeline,
        batch_size: int,
        seed: int,
        epoch: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_batch_size(batch_size, images, world_size)
        self.images = images
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        generator = torch.Generator().manual_seed(derive_seed("order", seed, epoch))
        self.order = torch.randperm(len(images), generator=generator)
        self.numbers = pipeline.draw_numbers(len(images), seed, epoch)

    def __len__(self) -> int:
        return len(self.order) // self.batch_size

    def indices(self, step: int) -> Tensor:
        """The indices of the images in a global batch, over all processes."""
        return self.order[step * self.batch_size : (step + 1) * self.batch_size]

    def __getitem__(self, step: int) -> Batch:
        own = self.indices(step)[self.rank :: self.world_size]
        batch = self.pipeline(self.images.take(own), self.numbers[own])
        return Batch(batch.contiguous(), self.images.labels[own], self.batch_size)


def check_batch_size(batch_size: int, images: ImageSet, world_size: int) -> None:
    """Raise DataError where a batch is larger than the dataset or smaller than the number of processes."""
    if batch_size > len(images):
        raise DataError(f"batch_size must be at most the {len(images)} images of {images.name}, not {batch_size}")
    if batch_size < world_size:
        raise DataError(f"batch_size must be at least the {world_size} processes, not {batch_size}")


def load_batches(epoch: EpochBatches, start: int = 0, workers: int = 0) -> Iterator[Batch]:
    """The batches of an epoch from step ``start`` on, prepared by ``workers`` processes, or in this one with 0.

    Images on an accelerator are prepared in this process: a forked one cannot use CUDA.
    """
    steps = range(start, len(epoch))
    workers = workers if epoch.images.pixels.device.type == "cpu" else 0
    if steps:
        yield from DataLoader(epoch, batch_size=None, sampler=steps, num_workers=workers)
