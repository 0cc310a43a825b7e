"""Steps that hold tensors or a size fitted to a dataset. ``prepare`` makes them; no recipe states them."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.data._augmentation import apply
from archzoo.data._images import Images, stack, to_float
from archzoo.errors import DataError

PART = 2**20  # values


@dataclass(frozen=True)
class Pad:
    """Pad with zeros on all sides to a square of this size."""

    size: int
    draws: ClassVar[int] = 0


@dataclass(frozen=True)
class Normalize:
    """(values - mean) / std of values from 0 to 1; mean and std are (C, 1, 1) or (C, H, W)."""

    mean: Tensor
    std: Tensor
    draws: ClassVar[int] = 0


@dataclass(frozen=True)
class Scale:
    """Multiply every value by a factor."""

    factor: float
    draws: ClassVar[int] = 0


@dataclass(frozen=True)
class ReverseChannels:
    """Channels in the opposite order: RGB becomes BGR."""

    draws: ClassVar[int] = 0


@dataclass(frozen=True)
class Rotate:
    """Subtract the mean (D,) of images from 0 to 1 as rows, and multiply by the matrix (D, D)."""

    mean: Tensor
    matrix: Tensor
    draws: ClassVar[int] = 0


@dataclass(frozen=True)
class ZCAWhitening:
    """Normalize the contrast of each image to a norm, subtract the mean (D,) and multiply by the matrix (D, D)."""

    mean: Tensor
    matrix: Tensor
    contrast: float
    draws: ClassVar[int] = 0


@apply.register
def _pad(step: Pad, images: Images, numbers: Tensor) -> Images:
    batch = stack(images)
    height, width = batch.shape[-2:]
    if max(height, width) > step.size:
        raise DataError(f"images of {height}x{width} do not fit in {step.size}x{step.size}: resize them")
    rows, columns = step.size - height, step.size - width
    return F.pad(batch, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


@apply.register
def _normalize(step: Normalize, images: Images, numbers: Tensor) -> Images:
    device = images[0].device
    mean, std = step.mean.to(device), step.std.to(device)
    if isinstance(images, Tensor):
        if images.dtype == torch.uint8 and device.type == "cpu":
            return _normalize_bytes(step, images)
        return to_float(images).sub(mean).div_(std)
    return [to_float(image).sub(mean).div_(std) for image in images]


def _normalize_bytes(step: Normalize, images: Tensor) -> Tensor:
    """The same numbers, computed in parts that stay in the cache of a core, in the memory of the result."""
    normalized = torch.empty(images.shape)
    count = max(PART // max(images[:1].numel(), 1), 1)
    for target, part in zip(torch.split(normalized, count), torch.split(images, count), strict=True):
        target.copy_(part).div_(255).sub_(step.mean).div_(step.std)
    return normalized


@apply.register
def _scale(step: Scale, images: Images, numbers: Tensor) -> Images:
    return to_float(stack(images)) * step.factor


@apply.register
def _reverse(step: ReverseChannels, images: Images, numbers: Tensor) -> Images:
    return stack(images).flip(1)


@apply.register
def _rotate(step: Rotate, images: Images, numbers: Tensor) -> Images:
    batch = to_float(stack(images))
    mean, matrix = step.mean.to(batch.device), step.matrix.to(batch.device)
    return ((batch.flatten(1) - mean) @ matrix).view(batch.shape)


@apply.register
def _whiten(step: ZCAWhitening, images: Images, numbers: Tensor) -> Images:
    batch = stack(images)
    mean, matrix = step.mean.to(batch.device), step.matrix.to(batch.device)
    return ((normalize_contrast(batch, step.contrast) - mean) @ matrix).view(batch.shape)


def normalize_contrast(images: Tensor, norm: float) -> Tensor:
    """Images (N, C, H, W) as rows (N, C * H * W) of mean 0 and of this norm."""
    rows = to_float(images).flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    norms: Tensor = rows.norm(dim=1, keepdim=True)
    return norm * rows / norms.clamp(min=1e-8)
