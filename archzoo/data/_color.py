"""Changes of color: jitter of brightness, contrast and saturation, and PCA lighting."""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import torch
from torch import Tensor

from archzoo.data._images import Images, stack, to_float
from archzoo.errors import DataError
from archzoo.recipes import ColorJitter, PCALighting

Adjustment = Callable[[Tensor, Tensor], Tensor]


def _blend(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    """``factors`` (N,) times the images plus the rest of the other, clamped to 0 to 1."""
    factors = factors.view(-1, 1, 1, 1).to(images.device)
    return (factors * images + (1 - factors) * other).clamp_(0, 1)


def to_grayscale(images: Tensor) -> Tensor:
    """The luma of ITU-R 601 of images (N, C, H, W): (N, 1, H, W). Images of one channel are returned as they are."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image (C, H, W) with black: a factor of 0 is black, 1 the image."""
    return _blend(images, torch.zeros_like(images), factors)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with its mean gray: a factor of 0 is gray, 1 the image."""
    return _blend(images, to_grayscale(images).mean((1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with its grayscale version: a factor of 0 is grayscale, 1 the image."""
    return _blend(images, to_grayscale(images).expand_as(images), factors)


ADJUSTMENTS: Mapping[str, Adjustment] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
}
ORDERS = tuple(permutations(ADJUSTMENTS))


def color_jitter(transform: ColorJitter, images: Images, numbers: Tensor) -> Tensor:
    """Adjust each image in the order that its fourth number draws; number k draws the factor of adjustment k."""
    batch = to_float(stack(images)).clone()
    drawn = (numbers[:, 3] * len(ORDERS)).long()
    for index, order in enumerate(ORDERS):
        members = torch.nonzero(drawn == index).flatten()
        if len(members):
            batch[members] = _adjust(transform, batch[members], numbers[members], order)
    return batch


def _adjust(transform: ColorJitter, images: Tensor, numbers: Tensor, order: Sequence[str]) -> Tensor:
    for place, name in enumerate(order):
        factors = 1 + getattr(transform, name) * (2 * numbers[:, place] - 1)
        images = ADJUSTMENTS[name](images, factors)
    return images


def pca_lighting(transform: PCALighting, images: Images, numbers: Tensor) -> Tensor:
    """Add one color to each image. Raises DataError unless images have three channels."""
    batch = to_float(stack(images))
    if batch.shape[1] != 3:
        raise DataError(f"PCALighting takes images of 3 channels, not {batch.shape[1]}")
    gaussians = torch.special.ndtri(numbers.double().clamp(1e-7, 1 - 1e-7)).float() * transform.std
    deviations, components = gaussians.new_tensor(transform.deviations), gaussians.new_tensor(transform.components)
    colors = (gaussians * deviations) @ components.T
    lit: Tensor = batch + colors.view(-1, 3, 1, 1).to(batch.device)
    return lit
