"""Resizing and center crops, of single images and as steps of augmentation."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.data._images import Images
from archzoo.errors import DataError
from archzoo.recipes import CenterCrop, RandomCrop, RandomResizedCrop, RandomTenCrop, Resize


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize an image (C, h, w) of any dtype, bilinear with antialiasing."""
    if image.shape[1:] == (height, width):
        return image
    if image.dtype == torch.uint8 and image.stride(0) == 1:  # torch resizes a part of an image faster as a copy
        image = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    return F.interpolate(image.unsqueeze(0), (height, width), mode="bilinear", antialias=True).squeeze(0)


def resize_shorter_side(image: Tensor, size: int) -> Tensor:
    """Resize an image (C, h, w) so that its shorter side is ``size``; the longer side is rounded down."""
    return resize(image, *scaled_size(image.shape[1:], size))


def scaled_size(shape: Sequence[int], size: int) -> tuple[int, int]:
    """The height and width of an image whose shorter side is resized to ``size``."""
    height, width = shape
    return (size, int(size * width / height)) if height <= width else (int(size * height / width), size)


def center_crop(image: Tensor, height: int, width: int) -> Tensor:
    """The center of an image (C, h, w). Raises DataError where the image is smaller."""
    check_crop_fits(image, height, width)
    top, left = round((image.shape[1] - height) / 2), round((image.shape[2] - width) / 2)
    return image[:, top : top + height, left : left + width]


def check_crop_fits(images: Tensor, height: int, width: int) -> None:
    """Raise DataError where images (..., h, w) are smaller than the crop."""
    if images.shape[-2] < height or images.shape[-1] < width:
        raise DataError(
            f"a crop of {height}x{width} does not fit in an image of {images.shape[-2]}x{images.shape[-1]}: resize or "
            "pad it first"
        )


def size_of(transform: CenterCrop | RandomCrop | RandomResizedCrop | RandomTenCrop) -> int:
    """The side of the squares that a step returns. Raises DataError where it is still open."""
    if transform.size is None:
        raise DataError(f"{transform!r} has no size: set it, or call resolve(transform, side)")
    return transform.size


def apply_resize(transform: Resize, images: Images, numbers: Tensor) -> Images:
    """Resize each image to the shorter side that its number draws."""
    if transform.max_size is None and isinstance(images, Tensor):
        return F.interpolate(images, scaled_size(images.shape[-2:], transform.size), mode="bilinear", antialias=True)
    sides = draw_sides(transform, numbers)
    return [resize_shorter_side(image, side) for image, side in zip(images, sides, strict=True)]


def draw_sides(transform: Resize, numbers: Tensor) -> list[int]:
    """The shorter sides that numbers (N, draws) draw."""
    if transform.max_size is None:
        return [transform.size] * len(numbers)
    choices = transform.max_size + 1 - transform.size
    sides: list[int] = (transform.size + (numbers[:, 0] * choices).long()).tolist()
    return sides


def apply_center_crop(transform: CenterCrop, images: Images, numbers: Tensor) -> Tensor:
    """Cut the central square out of each image."""
    size = size_of(transform)
    return torch.stack([center_crop(image, size, size) for image in images])
