"""What can be refused before the first step: a network, images and a protocol that do not fit together."""

import torch
from torch import nn

from archzoo.data import ImageSet, Prepared, take_crops
from archzoo.errors import DataError, is_out_of_memory
from archzoo.layers import Net, device_of, evaluation_mode
from archzoo.recipes import Dense, Protocol
from archzoo.training._fully_convolutional import fully_convolutional
from archzoo.training._protocols import crops_of


def check_classes(net: nn.Module, images: ImageSet, prepared: Prepared, protocol: Protocol) -> None:
    """Run a network on the first crop of an image, as a protocol takes it, in eval mode.

    Raises DataError where it has another number of classes than the images, and whatever the protocol or the network
    raises for a crop that does not fit, which would be at the end of the training otherwise.
    """
    evaluated = fully_convolutional(net) if isinstance(protocol, Dense) and isinstance(net, Net) else net
    crops = crops_of(protocol)
    batches, labels = take_crops(images, torch.tensor([0]), lambda image: crops(image, prepared))
    if not len(labels):  # it is corrupt, and corrupt images are skipped
        return
    try:
        with evaluation_mode(evaluated), torch.no_grad():
            logits = evaluated(next(iter(batches)).to(device_of(net)))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]
        raise DataError(f"the network cannot be evaluated on {images.name} by {protocol}: {reason}") from error
    check_count(logits.shape[1], images)


def check_count(classes: int, images: ImageSet) -> None:
    """Raise DataError where a network has another number of classes than the images."""
    if classes != len(images.classes):
        raise DataError(
            f"the network has {classes} classes, and {images.name} has {len(images.classes)}: build it with "
            f"num_classes={len(images.classes)}"
        )
