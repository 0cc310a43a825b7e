"""Training, validation and test images."""

from dataclasses import dataclass

import torch

from archzoo.data._dataset import ImageSet
from archzoo.errors import DataError


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
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    count = round(validation * len(images))
    if not 0 < count < len(images):
        raise DataError(
            f"validation must leave images on both sides: {validation} of the {len(images)} training images of "
            f"{images.name} is {count}"
        )
    return Splits(images.subset(order[count:].sort().values), images.subset(order[:count].sort().values), test)
