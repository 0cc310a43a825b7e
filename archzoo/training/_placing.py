"""Where the images of a run are: in the memory of the computer, or as bytes on the device, to be augmented there."""

from dataclasses import dataclass, replace

import torch

from archzoo.data import ImageSet, Prepared, Splits, why_not_resident
from archzoo.errors import TrainingError
from archzoo.training._config import RunConfig


@dataclass(frozen=True)
class Placed:
    """Images to train and to validate, and the pipelines for them, on one device."""

    train: ImageSet
    validation: ImageSet
    prepared: Prepared


def place(splits: Splits, prepared: Prepared, config: RunConfig, device: torch.device) -> Placed:
    """Put small images on an accelerator. Raises TrainingError where ``resident`` asks for what cannot be."""
    reason = why_not_resident(splits.train, prepared.train, device)
    if config.resident and reason:
        raise TrainingError(f"the images of {splits.train.name} cannot live on {device}: {reason}")
    wanted = config.resident if config.resident is not None else device.type != "cpu"
    if reason or not wanted:
        return Placed(splits.train, splits.validation, prepared)
    train, validation = splits.train.to(device), splits.validation
    if validation.pixels is splits.train.pixels:  # a part of the same images, which need no second copy
        validation = replace(validation, pixels=train.pixels)
    return Placed(train, validation.to(device), prepared.to(device))
