"""Batches of an epoch: the same global batches for any number of processes, from any step on."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archzoo.data._augmentation import Pipeline, derive_seed
from archzoo.data._dataset import ImageSet
from archzoo.data._images import Images, stack
from archzoo.data._workers import begin_worker, watched_workers
from archzoo.errors import DataError


@dataclass(frozen=True)
class Batch:
    """One process's share of a global batch: images (n, C, H, W), labels (n,), and the size of the global batch.

    That size counts corrupt images too, which are left out where they are to be skipped.
    """

    images: Tensor
    labels: Tensor
    global_size: int

    def to(self, device: torch.device) -> "Batch":
        """The same batch in the memory of a device; from page-locked memory without waiting for the copy."""
        images, labels = (tensor.to(device, non_blocking=True) for tensor in (self.images, self.labels))
        return replace(self, images=images, labels=labels)

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, which DataLoader asks for."""
        return replace(self, images=self.images.pin_memory(), labels=self.labels.pin_memory())


class EpochBatches(Dataset[Batch]):
    """One epoch of training: item k is this process's share of global batch k.

    The order is a permutation drawn from the seed and the epoch. An incomplete last batch is dropped.

    Args:
        images: The training images.
        pipeline: Applied to every batch.
        batch_size: Images per step, over all processes.
        seed: The seed of the order and of the augmentation.
        epoch: The epoch, from 0. Order and numbers are drawn on the CPU, and moved to the device of the images.
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
        device = images.labels.device
        self.order = torch.randperm(len(images), generator=generator).to(device)
        self.numbers = pipeline.draw_numbers(len(images), seed, epoch).to(device)

    def __len__(self) -> int:
        return len(self.order) // self.batch_size

    def indices(self, step: int) -> Tensor:
        """The indices of the images in a global batch, over all processes."""
        return self.order[step * self.batch_size : (step + 1) * self.batch_size]

    def __getitem__(self, step: int) -> Batch:
        own = self.indices(step)[self.rank :: self.world_size]
        images, kept = self.images.transform(own, self.pipeline, self.numbers[own])
        if not len(kept):
            raise DataError(f"every image of a batch of {self.images.name} is corrupt: replace them, or remove them")
        return Batch(stack(images).contiguous(), self.images.labels[kept], self.batch_size)


def check_batch_size(batch_size: int, images: ImageSet, world_size: int) -> None:
    """Raise DataError where a batch is larger than the dataset or smaller than the number of processes."""
    if batch_size > len(images):
        raise DataError(f"batch_size must be at most the {len(images)} images of {images.name}, not {batch_size}")
    if batch_size < world_size:
        raise DataError(f"batch_size must be at least the {world_size} processes, not {batch_size}")


def load_batches(
    epoch: EpochBatches, start: int = 0, workers: int = 0, device: torch.device | None = None
) -> Iterator[Batch]:
    """The batches of an epoch from step ``start`` on, prepared by ``workers`` processes, or in this one with 0.

    On an accelerator each batch comes through page-locked memory, and is copied while the one before it is used.
    """
    steps = range(start, len(epoch))
    if not steps:
        return
    if epoch.images.pixels.device.type != "cpu":  # prepared there, in this process: a forked one cannot use CUDA
        yield from map(epoch.__getitem__, steps)
        return
    batches = DataLoader(
        epoch,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        pin_memory=_pins(device),
        worker_init_fn=partial(begin_worker, parent=os.getpid()),
    )
    with watched_workers():
        yield from batches if device is None else copy_ahead(batches, device)


def _pins(device: torch.device | None) -> bool:
    """Whether copies to a device are faster from page-locked memory."""
    return device is not None and device.type == "cuda"


def copy_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches in the memory of a device: the next is on its way while one is used."""
    copying = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
    waiting: tuple[Batch, torch.cuda.Event | None] | None = None
    for batch in batches:
        with torch.cuda.stream(copying):
            moved = batch.to(device)
        copied = None if copying is None else copying.record_event()
        if waiting is not None:
            yield _arrived(*waiting)
        waiting = moved, copied
    if waiting is not None:
        yield _arrived(*waiting)


def _arrived(batch: Batch, copied: torch.cuda.Event | None) -> Batch:
    """A batch whose copy the current stream waits for. Its memory is not reused before that stream is done with it."""
    if copied is not None:
        computing = torch.cuda.current_stream(batch.images.device)
        computing.wait_event(copied)  # the copy of the next batch may still be on its way
        batch.images.record_stream(computing)
        batch.labels.record_stream(computing)
    return batch


Crops = Callable[[Images], Iterable[Tensor]]


class _CropsOfParts(Dataset[tuple[list[Tensor], Tensor]]):
    """Item k: the crops of part k of the images, and the labels of its images."""

    def __init__(self, images: ImageSet, parts: Sequence[Tensor], crops: Crops) -> None:
        self.images, self.parts, self.crops = images, parts, crops

    def __getitem__(self, number: int) -> tuple[list[Tensor], Tensor]:
        crops, labels = take_crops(self.images, self.parts[number], self.crops)
        return list(crops), labels


def load_crops(
    images: ImageSet, parts: Sequence[Tensor], crops: Crops, workers: int = 0
) -> Iterator[tuple[Iterable[Tensor], Tensor]]:
    """The crops (n, C, h, w) of each part of the images, given by indices, and the labels (n,) of its images.

    Images that stay encoded are prepared by ``workers`` processes, which hold all crops of a part at once.
    """
    if workers and images.is_encoded:
        dataset = _CropsOfParts(images, parts, crops)
        loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=range(len(parts)),
            num_workers=workers,
            worker_init_fn=partial(begin_worker, parent=os.getpid()),
        )
        with watched_workers():
            yield from loader
    else:
        for part in parts:
            yield take_crops(images, part, crops)


def take_crops(images: ImageSet, indices: Tensor, crops: Crops) -> tuple[Iterable[Tensor], Tensor]:
    """The crops of the images at these indices, and their labels; neither of a corrupt image that is left out."""
    taken, kept = images.transform(indices, Pipeline())
    return (crops(taken) if len(kept) else []), images.labels[kept]
