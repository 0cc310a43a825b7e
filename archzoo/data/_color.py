"""Changes of color: jitter of brightness, contrast, saturation and hue, and PCA lighting."""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import torch
from torch import Tensor

from archzoo.data._images import Images, stack, to_float
from archzoo.errors import DataError
from archzoo.recipes import ColorJitter, PCALighting

Adjustment = Callable[[Tensor, Tensor], Tensor]


def _blend(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    """``factors`` (N,) times the images plus the rest of the other."""
    factors = factors.view(-1, 1, 1, 1).to(images.device)
    return factors * images + (1 - factors) * other


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


def adjust_hue(images: Tensor, shares: Tensor) -> Tensor:
    """Turn the circle of colors (HSV) by a share of it for each image (C, H, W); lightness and saturation stay.

    Values are from 0 to 1. Images of one channel are returned as they are.
    """
    if images.shape[1] == 1:
        return images
    value = images.amax(1, keepdim=True)
    chroma = value - images.amin(1, keepdim=True)
    hue = _sixths(images, value, chroma) + 6 * shares.view(-1, 1, 1, 1)
    # Each channel is value - chroma x (0 to 1): a trapezoid around the circle, its middle at red, green or blue.
    starts = torch.tensor([5.0, 3.0, 1.0], device=images.device, dtype=images.dtype).view(1, 3, 1, 1)
    place = (starts + hue) % 6
    return value - chroma * torch.minimum(place, 4 - place).clamp(0, 1)


def _sixths(images: Tensor, value: Tensor, chroma: Tensor) -> Tensor:
    """The hue of images (N, 3, H, W) in sixths of the circle, red at 0, green at 2, blue at 4: (N, 1, H, W)."""
    red, green, blue = images.chunk(3, 1)
    divisor = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    from_red, from_green, from_blue = (green - blue) / divisor, (blue - red) / divisor + 2, (red - green) / divisor + 4
    return torch.where(value == red, from_red, torch.where(value == green, from_green, from_blue))


ADJUSTMENTS: Mapping[str, Adjustment] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


def color_jitter(transform: ColorJitter, images: Images, numbers: Tensor) -> Tensor:
    """Adjust each image in the order that its last number draws; number k draws the factor of the k-th adjustment."""
    batch = to_float(stack(images)).clone()
    orders = tuple(permutations(list(ADJUSTMENTS)[: transform.draws - 1]))
    drawn = (numbers[:, -1] * len(orders)).long()
    for index, order in enumerate(orders):
        members = torch.nonzero(drawn == index).flatten()
        if len(members):
            batch[members] = _adjust(transform, batch[members], numbers[members], order)
    return batch


def _adjust(transform: ColorJitter, images: Tensor, numbers: Tensor, order: Sequence[str]) -> Tensor:
    for place, name in enumerate(order):
        offsets = getattr(transform, name) * (2 * numbers[:, place] - 1)
        images = ADJUSTMENTS[name](images, offsets if name == "hue" else 1 + offsets)
        if transform.clamp:
            images = images.clamp(0, 1)
    return images


def pca_lighting(transform: PCALighting, images: Images, numbers: Tensor) -> Tensor:
    """Add one color to each image. Raises DataError unless images have three channels."""
    batch = to_float(stack(images))
    if batch.shape[1] != 3:
        raise DataError(f"PCALighting takes images of 3 channels, not {batch.shape[1]}")
    gaussians = torch.special.ndtri(numbers.double().clamp(1e-7, 1 - 1e-7)).float() * transform.std
    eigenvalues, components = gaussians.new_tensor(transform.eigenvalues), gaussians.new_tensor(transform.components)
    colors = (gaussians * eigenvalues) @ components.T
    lit: Tensor = batch + colors.view(-1, 3, 1, 1).to(batch.device)
    return lit
