"""Batches of images: one tensor, or a list of tensors where sizes differ."""

import torch
from torch import Tensor

from archzoo.errors import DataError

Images = Tensor | list[Tensor]  # (N, C, H, W), or N of (C, H, W)


def stack(images: Images) -> Tensor:
    """Images of one size as a batch (N, C, H, W). Raises DataError where sizes differ."""
    if isinstance(images, Tensor):
        return images
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        (_, *first), (_, *second) = sorted(shapes)[:2]
        raise DataError(
            f"images differ in size, {first[0]}x{first[1]} and {second[0]}x{second[1]}: the augmentation must end in "
            "one size, such as Resize(256), RandomCrop()"
        )
    return torch.stack(images)


def to_cpu(images: Images) -> Images:
    """Images on the CPU."""
    return images.cpu() if isinstance(images, Tensor) else [image.cpu() for image in images]


def to_float(images: Tensor) -> Tensor:
    """Bytes as floats from 0 to 1; floats as they are."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images
