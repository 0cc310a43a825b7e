"""Training, validation and test images."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from archzoo.data._dataset import ImageSet
from archzoo.data._left_out import counted, listed
from archzoo.errors import DataError

MOST_NAMED = 100  # classes that a warning names


@dataclass(frozen=True)
class Splits:
    """The three parts of a dataset.

    Attributes:
        train: The images that a network is trained on.
        validation: The images that choices are made on.
        test: The images that are evaluated once, at the end.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def split(images: ImageSet, test: ImageSet, validation: float, seed: int) -> Splits:
    """Set aside a share of the images for validation, the same images for the same seed.

    Raises DataError where the share leaves no image for training or for validation.
    """
    count = _count(images, validation)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return Splits(images.subset(order[count:].sort().values), images.subset(order[:count].sort().values), test)


def split_by_class(images: ImageSet, test: ImageSet, validation: float, seed: int, *, fewest: int = 0) -> Splits:
    """As ``split``, with the same share of each class, as nearly as whole images allow.

    At least ``fewest`` images of each class are set aside, even where that is a larger share, but never all of a class.
    """
    counts = _counts(images)
    order, is_taken = _draw(images, counts, _apportion(counts, _count(images, validation), fewest), seed)
    return Splits(images.subset(order[~is_taken].sort().values), images.subset(order[is_taken].sort().values), test)


def sample_per_class(images: ImageSet, count: int, seed: int) -> ImageSet:
    """So many images of each class, drawn by the seed; a smaller number of them is a part of a larger one.

    Raises DataError where a class has fewer.
    """
    if count < 1:
        raise DataError(f"per_class must be at least 1 image, not {count}")
    counts = _counts(images)
    if few := [name for name, there in zip(images.classes, counts.tolist(), strict=True) if there < count]:
        raise DataError(
            f"per_class must be at most the {int(counts.min())} training images of the smallest class of "
            f"{images.name}, not {count}: {listed(few, MOST_NAMED)} {'has' if len(few) == 1 else 'have'} fewer"
        )
    order, is_taken = _draw(images, counts, torch.full_like(counts, count), seed)
    return images.subset(order[is_taken].sort().values)


def _counts(images: ImageSet) -> Tensor:
    """The number of images of each class."""
    return torch.bincount(images.labels.cpu(), minlength=len(images.classes))


def _draw(images: ImageSet, counts: Tensor, taken: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """All images, class after class in random order; and which of them are among the first ``taken`` of their class."""
    labels = images.labels.cpu()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    order = order[labels[order].sort(stable=True).indices]
    place = torch.arange(len(images)) - (counts.cumsum(0) - counts)[labels[order]]
    return order, place < taken[labels[order]]


def _count(images: ImageSet, share: float) -> int:
    count = round(share * len(images))
    if not 0 < count < len(images):
        raise DataError(
            f"validation must leave images on both sides: {share} of the {len(images)} training images of "
            f"{images.name} is {count}"
        )
    return count


def _apportion(counts: Tensor, total: int, fewest: int) -> Tensor:
    """How many images of each class make ``total`` in proportion to ``counts``, by the largest remainders.

    A class of which that is half an image or more has one.
    """
    products = counts * total
    taken = products // counts.sum()
    remainders = products % counts.sum()
    taken[remainders.argsort(descending=True, stable=True)[: total - int(taken.sum())]] += 1
    at_least = (2 * products >= counts.sum()).long().clamp(min=fewest)
    return taken.maximum(at_least).minimum((counts - 1).clamp(min=0))


def warn_of_missing_classes(splits: Splits) -> None:
    """Warn of the classes of which a part has no image, by name."""
    for part, images in vars(splits).items():
        present = set(images.labels.unique().tolist())
        missing = [name for label, name in enumerate(images.classes) if label not in present]
        if missing:
            warnings.warn(
                f"archzoo: the {part} images have none of {len(missing):,} of {counted(len(images.classes), 'class')}: "
                f"{listed(missing, MOST_NAMED)}",
                stacklevel=2,
            )
