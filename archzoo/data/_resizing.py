"""Resizing and center crops, of single images and as steps of augmentation."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.data._images import Images, to_float
from archzoo.errors import DataError
from archzoo.recipes import CenterCrop, Interpolation, RandomCrop, RandomResizedCrop, RandomTenCrop, Resize


def resize(image: Tensor, height: int, width: int, interpolation: Interpolation = "bilinear") -> Tensor:
    """Resize images (C, h, w) or (N, C, h, w) of any dtype; see ``archzoo.recipes.Resize`` for the interpolations."""
    if image.shape[-2:] == (height, width):
        return image
    if image.dtype == torch.uint8 and image.dim() == 3 and image.stride(0) == 1:
        image = (
            image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
        )  # torch resizes a part of an image faster as a copy
    batch = image if image.dim() == 4 else image.unsqueeze(0)
    if interpolation == "torch7_bicubic":
        resized = resize_by_spline(resize_by_spline(to_float(batch), 3, width), 2, height)
    elif interpolation == "opencv_bilinear":
        resized = F.interpolate(batch, (height, width), mode="bilinear")
    else:
        resized = F.interpolate(batch, (height, width), mode=interpolation, antialias=True)
    return resized if image.dim() == 4 else resized.squeeze(0)


def resize_by_spline(images: Tensor, dim: int, size: int) -> Tensor:
    """Resize one dimension by Catmull and Rom's splines through four neighbors: torch7's image.scale, "bicubic".

    The first and the last values stay in place, and beyond them values go on in a straight line. No antialiasing.
    """
    length = images.shape[dim]
    shape = [size if place == dim else 1 for place in range(images.dim())]
    if length == 1:
        return images.repeat(shape)
    images = torch.cat([_beyond(images, dim, 0, 1), images, _beyond(images, dim, -1, -2)], dim)
    places = torch.linspace(0, length - 1, size, dtype=torch.float64)
    starts = places.long().clamp(max=length - 2)
    t = (places - starts).to(images.dtype)
    weights = (
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    )
    parts = [images.index_select(dim, starts + at) * weight.view(shape) for at, weight in enumerate(weights)]
    return torch.stack(parts).sum(0)


def _beyond(images: Tensor, dim: int, edge: int, inner: int) -> Tensor:
    """The values beyond an edge, in a straight line through the last two."""
    at_edge, before = images.select(dim, edge), images.select(dim, inner)
    return (2 * at_edge - before).unsqueeze(dim)


def resize_shorter_side(image: Tensor, size: int, interpolation: Interpolation = "bilinear") -> Tensor:
    """Resize an image (C, h, w) so that its shorter side is ``size``; the longer side is rounded down."""
    return resize(image, *scaled_size(image.shape[1:], size), interpolation)


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
        return resize(images, *scaled_size(images.shape[-2:], transform.size), transform.interpolation)
    sides, by = draw_sides(transform, numbers), transform.interpolation
    return [resize_shorter_side(image, side, by) for image, side in zip(images, sides, strict=True)]


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
    if isinstance(images, Tensor):
        return center_crop(images.flatten(0, 1), size, size).reshape(*images.shape[:2], size, size)
    return torch.stack([center_crop(image, size, size) for image in images])
